"""ToolCallTransformer: one stream object per tool call. May not know who calls tools."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from dashflow.prebuilt.tool_call_stream import ToolCallStream
from dashflow.stream.event import ProtocolEvent
from dashflow.stream.mux import StreamMux
from dashflow.stream.stream_channel import StreamChannel
from dashflow.stream.transformer import StreamTransformer

__all__ = ("ToolCallTransformer",)


class ToolCallTransformer(StreamTransformer):
    """``run.tool_calls``: a ``ToolCallStream`` for each tool call in this graph's nodes.

    Not there by itself: give it to ``compile(transformers=[ToolCallTransformer])`` or to the call.

    Args:
        scope: Namespace of the graph.
    """

    _native = True
    required_stream_modes = ("tools",)

    def __init__(self, scope: tuple[str, ...] = ()) -> None:
        super().__init__(scope)
        self._log: StreamChannel[ToolCallStream] = StreamChannel()
        self._active: dict[str, ToolCallStream] = {}
        self._is_async = False
        self._pump_fn: Callable[[], bool] | None = None
        self._apump_fn: Callable[[], Awaitable[bool]] | None = None

    def init(self) -> dict[str, Any]:
        """The channel ``tool_calls``."""
        return {"tool_calls": self._log}

    def _on_register(self, mux: StreamMux) -> None:
        self._is_async = mux.is_async

    def _bind_pump(self, fn: Callable[[], bool]) -> None:
        self._pump_fn = fn

    def _bind_apump(self, fn: Callable[[], Awaitable[bool]]) -> None:
        self._apump_fn = fn

    def process(self, event: ProtocolEvent) -> bool:
        """Show what belongs to this graph."""
        if event["method"] == "tools" and tuple(event["params"]["namespace"]) == self.scope:
            data = event["params"]["data"]
            if (call_id := data.get("tool_call_id")) is not None:
                self._happened(call_id, data)
        return True

    def _happened(self, call_id: str, data: dict[str, Any]) -> None:
        kind = data.get("event")
        if kind == "tool-started":
            self._active[call_id] = call = self._new_call(call_id, data)
            self._log.push(call)
        elif (known := self._active.get(call_id)) is not None:
            if kind == "tool-output-delta":
                known.output_deltas.push(data.get("delta"))
            elif kind == "tool-finished":
                self._active.pop(call_id)._finish(_content(data.get("output")))
            elif kind == "tool-error":
                self._active.pop(call_id)._fail(data.get("message", ""))

    def _new_call(self, call_id: str, data: dict[str, Any]) -> ToolCallStream:
        """A stream object whose reader drives the run."""
        call = ToolCallStream(call_id, data.get("tool_name", ""), data.get("input"))
        call.output_deltas._bind(is_async=self._is_async)
        call.output_deltas._request_more = self._pump_fn
        call.output_deltas._arequest_more = self._apump_fn
        return call

    def finalize(self) -> None:
        """Calls that have not ended returned nothing."""
        for call in self._active.values():
            call._finish(None)
        self._active.clear()

    def fail(self, err: BaseException) -> None:
        """Calls that have not ended fail as the run does."""
        for call in self._active.values():
            call._fail(str(err))
        self._active.clear()


def _content(output: Any) -> Any:
    """What a tool's message says; other output as it is. A message may have been serialised on its way."""
    from langchain_core.messages import ToolMessage

    if isinstance(output, ToolMessage):
        return output.content
    if not isinstance(output, dict) or output.get("type") != "constructor":
        return output
    name, kwargs = output.get("id"), output.get("kwargs")
    if not isinstance(name, list) or name[-1:] != ["ToolMessage"] or not isinstance(kwargs, dict):
        return output
    return kwargs.get("content")
