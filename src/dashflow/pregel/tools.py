"""The ``tools`` mode: starts, partial output and ends of tool calls, as parts.

May not know the engine: parts leave through the function that a handler was made with. Imported when a run
streams tools, not before.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from contextvars import Token
from typing import Any, NamedTuple
from uuid import UUID

from dashflow._util.scope import TOOL_CALL_WRITER
from dashflow.errors import GraphDrained, GraphInterrupt
from dashflow.pregel.listener import Put, StreamListener

__all__ = ("StreamToolCallHandler",)


class _Call(NamedTuple):
    """A tool call that runs."""

    namespace: tuple[str, ...]
    id: str
    token: Token[Callable[[Any], None] | None]


class StreamToolCallHandler(StreamListener):
    """Shows each tool call: ``tool-started``, ``tool-output-delta``, ``tool-finished`` or ``tool-error``.

    While a tool runs, what it emits through its runtime goes to its own call. A tool that is interrupted, or
    stopped by a drain, has not ended: it starts again when the run goes on.

    Args:
        stream: Takes the parts.
        subgraphs: Whether to show what happens in the graph's subgraphs.
        parent_ns: Namespace of the graph that is streamed.
    """

    def __init__(self, stream: Put, subgraphs: bool, *, parent_ns: tuple[str, ...] | None = None) -> None:
        super().__init__(stream, subgraphs, parent_ns=parent_ns)
        self._calls: dict[UUID, _Call] = {}  # by run: the end of a tool does not tell its call's id

    def on_tool_start(
        self,
        serialized: dict[str, Any],
        input_str: str,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        inputs: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """A tool starts."""
        namespace = self._place(metadata, tags)
        if namespace is None:
            return
        call_id = kwargs.get("tool_call_id") or str(run_id)

        def emit(delta: Any) -> None:
            self._show(namespace, "tool-output-delta", call_id, delta=delta)

        self._calls[run_id] = _Call(namespace, call_id, TOOL_CALL_WRITER.set(emit))
        started: dict[str, Any] = {"tool_name": (serialized or {}).get("name") or kwargs.get("name") or ""}
        if inputs is not None:
            started["input"] = inputs
        self._show(namespace, "tool-started", call_id, **started)

    def on_tool_end(
        self, output: Any, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> Any:
        """A tool returned."""
        if call := self._ended(run_id):
            self._show(call.namespace, "tool-finished", call.id, output=output)

    def on_tool_error(
        self, error: BaseException, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> Any:
        """A tool raised."""
        call = self._ended(run_id)
        if call is not None and not isinstance(error, GraphInterrupt | GraphDrained):
            self._show(call.namespace, "tool-error", call.id, message=str(error))

    def _ended(self, run_id: UUID) -> _Call | None:
        call = self._calls.pop(run_id, None)
        if call is not None:
            # A tool may end in another context than it started in, a thread's copy: that one dies by itself.
            with suppress(ValueError):
                TOOL_CALL_WRITER.reset(call.token)
        return call

    def _show(self, namespace: tuple[str, ...], event: str, call_id: str, **more: Any) -> None:
        self.stream((namespace, "tools", {"event": event, "tool_call_id": call_id, **more}))
