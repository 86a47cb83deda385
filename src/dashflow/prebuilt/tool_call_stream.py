"""ToolCallStream: one tool call while it runs. May not know events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from dashflow.stream.stream_channel import StreamChannel

__all__ = ("ToolCallStream",)


class ToolCallStream:
    """One tool call; iterate it (``for`` or ``async for``, as the run) for its partial output.

    Args:
        tool_call_id: Id of the call in the model's message.
        tool_name: Name of the tool.
        input: Its arguments, as far as they are known.

    Attributes:
        tool_call_id: See above.
        tool_name: See above.
        input: See above.
        output_deltas: Pieces of output that the tool emits while it runs; has one reader.
        output: What it returned; None before.
        error: What it failed with, as text.
        completed: Whether it has returned or failed.
    """

    def __init__(self, tool_call_id: str, tool_name: str, input: Any = None) -> None:  # noqa: A002  # LangGraph's
        self.tool_call_id = tool_call_id
        self.tool_name = tool_name
        self.input = input
        self.output_deltas: StreamChannel[Any] = StreamChannel()
        self.output: Any = None
        self.error: str | None = None
        self.completed = False

    def _finish(self, output: Any) -> None:
        self.output = output
        self.completed = True
        self.output_deltas.close()

    def _fail(self, message: str) -> None:
        self.error = message
        self.completed = True
        self.output_deltas.close()

    def __iter__(self) -> Iterator[Any]:
        """Read ``output_deltas``."""
        return iter(self.output_deltas)

    def __aiter__(self) -> AsyncIterator[Any]:
        """Read ``output_deltas``."""
        return aiter(self.output_deltas)

    def __repr__(self) -> str:
        status = "running" if not self.completed else "completed" if self.error is None else "failed"
        return (
            f"ToolCallStream(tool_call_id={self.tool_call_id!r}, tool_name={self.tool_name!r}, "
            f"status={status})"
        )
