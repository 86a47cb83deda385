"""What a node's function wants besides its input, found by parameter name and annotation, once.

Neither LangChain nor a store is imported for it: their classes are known by name.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Callable, Mapping
from inspect import Parameter, isfunction, ismethod, signature
from typing import Any, get_args, get_type_hints

from dashflow.engine.task import Scope
from dashflow.types.streaming import StreamWriter

Provider = tuple[str, Callable[[Scope], Any]]
"""Name of a parameter, and where its value comes from."""

_WANTED: dict[str, Callable[[Scope], Any]] = {
    "config": lambda scope: scope.config,
    "writer": lambda scope: scope.writer,
    "store": lambda scope: scope.store,
    "previous": lambda scope: scope.runtime.previous,
    "runtime": lambda scope: scope.runtime,
    "error": lambda scope: scope.error,
    "idempotency_key": lambda scope: scope.idempotency_key,
}
_TYPES = {"config": "RunnableConfig", "writer": "StreamWriter", "store": "BaseStore", "error": "NodeError"}
"""What a parameter must be annotated as, if at all, to be filled; those not named here may be anything."""

_BY_NAME = (Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY)


def wants(function: Callable[..., Any], skip: int = 1) -> tuple[Provider, ...]:
    """The parameters of ``function`` that the runtime fills, with where their values come from.

    The first ``skip`` ones are the input's.

    A parameter counts by its name, unless it is annotated as something else and has a default: then it is
    the program's own. ``error`` counts only when it is annotated as a ``NodeError``.
    """
    return tuple((p.name, _WANTED[p.name]) for p in candidates(function, skip) if _is_filled(p))


def candidates(function: Callable[..., Any], skip: int = 1) -> list[Parameter]:
    """The parameters after the first ``skip`` ones that have the name of something the runtime lends."""
    try:
        parameters = list(signature(function).parameters.values())
    except (TypeError, ValueError):  # builtins without a signature take the state only
        return []
    return [p for p in parameters[skip:] if p.name in _WANTED and p.kind in _BY_NAME]


def warn_of_hints(function: Callable[..., Any], skip: int = 1) -> None:
    """Tell where an annotation keeps a parameter from being filled, once, when a graph is built.

    The first ``skip`` parameters are the input's.

    Warns:
        UserWarning: ``config`` is annotated as something else than a ``RunnableConfig``.
    """
    for parameter in candidates(function, skip):
        hint = parameter.annotation
        if parameter.name == "config" and hint is not Parameter.empty and not means(hint, _TYPES["config"]):
            warnings.warn(
                "The 'config' parameter should be typed as 'RunnableConfig' or 'RunnableConfig | None', "
                f"not '{hint}'. ",
                UserWarning,
                stacklevel=_outside(),
            )


def _is_filled(parameter: Parameter) -> bool:
    name, hint = parameter.name, parameter.annotation
    kind = _TYPES.get(name)
    if kind is None:
        return True
    if hint is Parameter.empty:
        return name != "error"
    if means(hint, kind):
        return True
    return name != "error" and parameter.default is Parameter.empty


def means(hint: Any, kind: str) -> bool:
    """Whether an annotation, evaluated or still text, is the class named ``kind``, or that or None."""
    if isinstance(hint, str):
        parts = re.fullmatch(
            r"\s*(?:(?:\w+\.)*Optional\[(.+)\]|(.+?)\s*\|\s*None|None\s*\|\s*(.+)|(.+))\s*", hint
        )
        inner = next((part for part in parts.groups() if part), "") if parts else ""
        return inner.rpartition(".")[2] == kind
    options = [part for part in get_args(hint) if part is not type(None)]
    if kind == "StreamWriter":
        return bool(hint == StreamWriter or (len(options) == 1 and options[0] == StreamWriter))
    if len(options) == 1:
        hint = options[0]
    return getattr(hint, "__name__", None) == kind and _is_at_home(hint, kind)


def _is_at_home(hint: Any, kind: str) -> bool:
    """Whether a class comes from where the one of that name does: LangChain has a ``BaseStore``, too."""
    package = str(getattr(hint, "__module__", "")).partition(".")[0]
    return package in ("dashflow", "langgraph") or (package == "langchain_core" and kind == _TYPES["config"])


def may_be_none(hint: Any) -> bool:
    """Whether an annotation, evaluated or still text, has None as one of its options."""
    if isinstance(hint, str):
        return re.search(r"\bOptional\[|\bNone\b", hint) is not None
    return type(None) in get_args(hint)


def _outside() -> int:
    """Stack level of whoever called into DashFlow, as seen by ``warn_of_hints``."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("dashflow."):
        frame, level = frame.f_back, level + 1
    return level


def hints_of(function: Any) -> dict[str, Any]:
    """Type hints of a function or callable object; {} when they cannot be resolved."""
    call = getattr(type(function), "__call__", None)  # noqa: B004  # its hints are asked for, not whether it is there
    target = function if isfunction(function) or ismethod(function) else call
    try:
        return get_type_hints(target) if target is not None else {}
    except (NameError, TypeError, AttributeError):  # names only a type checker knows: infer nothing
        return {}


def input_schema_of(function: Any, hints: Mapping[str, Any]) -> Any:
    """The class with annotated fields that the first parameter is annotated as; None if it is no such.

    Args:
        function: The function.
        hints: Its hints, see ``hints_of``.
    """
    try:
        first = next(iter(signature(function).parameters))
    except (StopIteration, TypeError, ValueError):
        return None
    hint = hints.get(first)
    try:
        return hint if isinstance(hint, type) and get_type_hints(hint) else None
    except (NameError, TypeError):
        return None
