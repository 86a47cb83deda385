"""ValidationNode: checks the tool calls of the last message without running anything. Deprecated."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, ToolCall, ToolMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import get_executor_for_config
from langchain_core.tools import BaseTool, create_schema_from_function
from pydantic import BaseModel, ValidationError
from typing_extensions import deprecated

from dashflow.pregel.callable import RunnableCallable
from dashflow.warnings import LangGraphDeprecatedSinceV10

__all__ = ("ValidationNode",)


def _default_format_error(error: BaseException, call: ToolCall, schema: Any) -> str:
    """What the model is told unless the user says otherwise."""
    return f"{error!r}\n\nRespond after fixing all validation errors."


@deprecated(
    "ValidationNode is deprecated. "
    "Please use `create_agent` from `langchain.agents` with custom tool error handling.",
    category=LangGraphDeprecatedSinceV10,
)
class ValidationNode(RunnableCallable):
    """Answers every tool call of the last message with its checked arguments, or with what is wrong.

    Messages about errors carry ``is_error`` in ``additional_kwargs``.

    Args:
        schemas: Models, tools with a model as ``args_schema``, or functions.
        format_error: From an error, the call and the schema to what the model is told.
        name: Name of the node.
        tags: Tags of its trace.

    Raises:
        ValueError: A schema is of another kind.
    """

    def __init__(
        self,
        schemas: Sequence[BaseTool | type[BaseModel] | Callable[..., Any]],
        *,
        format_error: Callable[[BaseException, ToolCall, type[BaseModel]], str] | None = None,
        name: str = "validation",
        tags: list[str] | None = None,
    ) -> None:
        super().__init__(self._func, None, name=name, tags=tags, trace=False)
        self._format_error = format_error or _default_format_error
        self.schemas_by_name: dict[str, Any] = dict(map(_named, schemas))

    def _func(self, input: Any, config: RunnableConfig) -> Any:  # noqa: A002
        keyed = not isinstance(input, list)
        messages: Sequence[AnyMessage] = input.get("messages", ()) if keyed else input
        if not messages:
            raise ValueError("No message found in input")
        if not isinstance(message := messages[-1], AIMessage):
            raise ValueError("Last message is not an AIMessage")
        with get_executor_for_config(config) as executor:
            answers = list(executor.map(self._check, message.tool_calls))
        return {"messages": answers} if keyed else answers

    def _check(self, call: ToolCall) -> ToolMessage:
        schema = self.schemas_by_name[call["name"]]
        named = {"name": call["name"], "tool_call_id": call["id"] or ""}
        try:
            if issubclass(schema, BaseModel):
                return ToolMessage(schema.model_validate(call["args"]).model_dump_json(), **named)
            return ToolMessage(schema.validate(call["args"]).json(), **named)
        except (ValidationError, _old_error(schema)) as error:
            text = self._format_error(error, call, schema)
            return ToolMessage(text, additional_kwargs={"is_error": True}, **named)


def _named(schema: Any) -> tuple[str, Any]:
    """A schema's name and its model."""
    if isinstance(schema, BaseTool):
        if schema.args_schema is None:
            raise ValueError(f"Tool {schema.name} does not have an args_schema defined.")
        if not _is_model(schema.args_schema):
            raise ValueError(
                "Validation node only works with tools that have a pydantic BaseModel args_schema. "
                f"Got {schema.name} with args_schema: {schema.args_schema}."
            )
        return schema.name, schema.args_schema
    if _is_model(schema):
        return schema.__name__, schema
    if callable(schema):
        return schema.__name__, create_schema_from_function("Validation", schema)
    raise ValueError(
        f"Unsupported input to ValidationNode. Expected BaseModel, tool or function. Got: {type(schema)}."
    )


def _is_model(schema: Any) -> bool:
    """Whether it is a model class of pydantic, version 2 or 1."""
    return isinstance(schema, type) and (issubclass(schema, BaseModel) or hasattr(schema, "parse_obj"))


def _old_error(schema: Any) -> type[Exception]:
    """The validation error of pydantic 1, if the schema is one of its models."""
    if issubclass(schema, BaseModel):
        return ValidationError
    from pydantic.v1 import ValidationError as OldError

    return OldError
