"""Errors of tool calls: which of them the model is told about, and in which words."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from types import UnionType
from typing import Any, TypeAlias, Union, cast, get_args, get_origin, get_type_hints

from langchain_core.tools import ToolException
from pydantic import ValidationError

from dashflow.prebuilt.tool_injection import Injections

INVALID_TOOL_NAME_ERROR_TEMPLATE = (
    "Error: {requested_tool} is not a valid tool, try one of [{available_tools}]."
)
TOOL_CALL_ERROR_TEMPLATE = "Error: {error}\n Please fix your mistakes."
TOOL_EXECUTION_ERROR_TEMPLATE = (
    "Error executing tool '{tool_name}' with kwargs {tool_kwargs} with error:\n"
    " {error}\n"
    " Please fix the error and try again."
)
TOOL_INVOCATION_ERROR_TEMPLATE = (
    "Error invoking tool '{tool_name}' with kwargs {tool_kwargs} with error:\n"
    " {error}\n"
    " Please fix the error and try again."
)

ErrorHandling: TypeAlias = bool | str | Callable[..., str] | type[Exception] | tuple[type[Exception], ...]
"""How ``ToolNode`` treats a tool's error. True: told to the model. A text: told in these words. A class or
several: those are told, others raised. A function: its answer is told, for the errors that the annotation of
its parameter names. False: raised."""


class ToolInvocationError(ToolException):
    """The model called a tool with arguments that do not fit it.

    Attributes:
        message: What the model is told.
        tool_name: The tool.
        tool_kwargs: The arguments that the model gave.
        source: The validation error.
        filtered_errors: Its parts that concern the model's arguments.
    """

    def __init__(
        self,
        tool_name: str,
        source: ValidationError,
        tool_kwargs: dict[str, Any],
        filtered_errors: list[Any] | None = None,
    ) -> None:
        shown = str(source)
        if filtered_errors is not None:
            shown = "\n".join(
                f"{'.'.join(map(str, part.get('loc', ())))}: {part.get('msg', 'Unknown error')}"
                for part in filtered_errors
            )
        self.message = TOOL_INVOCATION_ERROR_TEMPLATE.format(
            tool_name=tool_name, tool_kwargs=tool_kwargs, error=shown
        )
        self.tool_name = tool_name
        self.tool_kwargs = tool_kwargs
        self.source = source
        self.filtered_errors = filtered_errors
        super().__init__(self.message)


def default_handling(error: Exception) -> str:
    """Tell the model about arguments that do not fit; raise everything else."""
    if isinstance(error, ToolInvocationError):
        return error.message
    raise error


def is_handled(error: Exception, handling: ErrorHandling) -> bool:
    """Whether the model is told about ``error``.

    Raises:
        ValueError: See ``handled_types``.
    """
    if not handling:
        return False
    if isinstance(handling, tuple):
        return isinstance(error, handling)
    if isinstance(handling, type) and issubclass(handling, Exception):
        return isinstance(error, handling)
    if callable(handling):
        return isinstance(error, handled_types(cast("Callable[..., str]", handling)))
    return True


def told(error: Exception, handling: ErrorHandling) -> str:
    """What the model is told about ``error``.

    Raises:
        ValueError: ``handling`` is of no known kind.
    """
    if isinstance(handling, bool | tuple) or (isinstance(handling, type) and issubclass(handling, Exception)):
        return TOOL_CALL_ERROR_TEMPLATE.format(error=repr(error))
    if isinstance(handling, str):
        return handling
    if callable(handling):
        return cast("Callable[..., str]", handling)(error)
    raise ValueError(
        f"Got unexpected type of `handle_tool_error`. Expected bool, str or callable. Received: {handling}"
    )


def handled_types(handler: Callable[..., str]) -> tuple[type[Exception], ...]:
    """The exceptions that the annotation of a handler's parameter names; all, when there is none.

    Raises:
        ValueError: It names something else than exceptions.
    """
    parameters = list(signature(handler).parameters.values())
    if parameters and parameters[0].name in ("self", "cls") and len(parameters) == 2:
        parameters = parameters[1:]
    hints = get_type_hints(handler)
    if not parameters or parameters[0].name not in hints:
        return (Exception,)
    hint = hints[parameters[0].name]
    if get_origin(hint) in (Union, UnionType):
        kinds = get_args(hint)
        if all(isinstance(kind, type) and issubclass(kind, Exception) for kind in kinds):
            return kinds
        raise ValueError(
            "All types in the error handler error annotation must be Exception types. For example, "
            "`def custom_handler(e: Union[ValueError, TypeError])`. "
            f"Got '{hint}' instead."
        )
    if isinstance(hint, type) and issubclass(hint, Exception):
        return (hint,)
    raise ValueError(
        "Arbitrary types are not supported in the error handler signature. Please annotate the error with "
        "either a specific Exception type or a union of Exception types. For example, "
        "`def custom_handler(e: ValueError)` or `def custom_handler(e: Union[ValueError, TypeError])`. "
        f"Got '{hint}' instead."
    )


def models_errors(error: ValidationError, injections: Injections) -> list[Any]:
    """The parts of a validation error that concern arguments the model gave, without injected values."""
    hidden = injections.filled
    kept = []
    for part in error.errors():
        if not part["loc"] or part["loc"][0] in hidden:
            continue
        given = part.get("input")
        if isinstance(given, dict):
            part["input"] = {name: value for name, value in given.items() if name not in hidden}
        kept.append(part)
    return kept
