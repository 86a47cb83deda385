"""One tool call on its way: what interceptors of ``ToolNode`` are handed, and the form it is sent in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias
from warnings import warn

from langchain_core.messages import ToolCall, ToolMessage
from langchain_core.tools import BaseTool
from typing_extensions import TypedDict, Unpack

from dashflow.prebuilt.tool_injection import ToolRuntime
from dashflow.types.commands import Command

Answer: TypeAlias = ToolMessage | Command[Any]
"""What a tool call comes to."""


class _Overrides(TypedDict, total=False):
    tool_call: ToolCall
    tool: BaseTool | None
    state: Any
    runtime: ToolRuntime[Any, Any]


@dataclass
class ToolCallRequest:
    """What ``wrap_tool_call`` is asked.

    Attributes:
        tool_call: Name, arguments and id, as the model wrote them.
        tool: The tool of that name; None when the node has none.
        state: The graph's state.
        runtime: What the tool gets as its ``ToolRuntime``.
    """

    tool_call: ToolCall
    tool: BaseTool | None
    state: Any
    runtime: ToolRuntime[Any, Any]

    def __setattr__(self, name: str, value: Any) -> None:
        if hasattr(self, name):  # not the constructor
            warn(
                f"Setting attribute '{name}' on ToolCallRequest is deprecated. "
                "Use the override() method instead to create a new instance with modified values.",
                DeprecationWarning,
                stacklevel=2,
            )
        object.__setattr__(self, name, value)

    def override(self, **overrides: Unpack[_Overrides]) -> ToolCallRequest:
        """A copy with some attributes changed. Another ``state`` is also what the tool's runtime shows."""
        request = replace(self, **overrides)
        if "state" in overrides and isinstance(request.runtime, ToolRuntime):
            return replace(request, runtime=replace(request.runtime, state=request.state))
        return request


ToolCallWrapper: TypeAlias = Callable[[ToolCallRequest, Callable[[ToolCallRequest], Answer]], Answer]
"""An interceptor: gets the request and a function that runs a request, any number of times; its answer
is the call's."""

AsyncToolCallWrapper: TypeAlias = Callable[
    [ToolCallRequest, Callable[[ToolCallRequest], Awaitable[Answer]]], Awaitable[Answer]
]
"""An async interceptor."""


class ToolCallWithContext(TypedDict):
    """A tool call sent to ``ToolNode`` by ``Send``, with the state it was made in."""

    tool_call: ToolCall
    __type: Literal["tool_call_with_context"]
    state: Any
