"""MessagesTransformer: one stream object per message that a chat model writes.

May not know who calls models.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from dashflow.stream.event import ProtocolEvent
from dashflow.stream.stream_channel import StreamChannel
from dashflow.stream.transformer import StreamTransformer

if TYPE_CHECKING:
    from langchain_core.language_models.chat_model_stream import AsyncChatModelStream, ChatModelStream
    from langchain_core.messages import BaseMessage

__all__ = ("MessagesTransformer",)


class MessagesTransformer(StreamTransformer):
    """``run.messages``: a ``ChatModelStream`` for each call of a chat model in this graph's nodes.

    What a model streams is shown while it comes. A finished message that a node returns is shown as a
    stream that is complete already. Results of tools are not shown.

    Args:
        scope: Namespace of the graph.
    """

    _native = True
    required_stream_modes = ("messages",)

    def __init__(self, scope: tuple[str, ...] = ()) -> None:
        super().__init__(scope)
        self._log: StreamChannel[Any] = StreamChannel()
        self._namespace = list(scope)
        self._by_run: dict[str, ChatModelStream | AsyncChatModelStream] = {}
        self._pump_fn: Callable[[], bool] | None = None
        self._apump_fn: Callable[[], Awaitable[bool]] | None = None

    def init(self) -> dict[str, Any]:
        """The channel ``messages``."""
        return {"messages": self._log}

    def _bind_pump(self, fn: Callable[[], bool]) -> None:
        self._pump_fn = fn

    def _bind_apump(self, fn: Callable[[], Awaitable[bool]]) -> None:
        self._apump_fn = fn

    def process(self, event: ProtocolEvent) -> bool:
        """Show what belongs to this graph."""
        params = event["params"]
        if event["method"] == "messages" and params["namespace"] == self._namespace:
            payload, metadata = params["data"]
            metadata = metadata or {}
            if isinstance(payload, dict):
                if "event" in payload:
                    self._streamed(payload, str(metadata.get("run_id", "")), metadata.get("langgraph_node"))
            elif _is_finished(payload):
                self._whole(payload, metadata.get("langgraph_node"))
        return True

    def _streamed(self, event: dict[str, Any], run: str, node: str | None) -> None:
        """An event of a model's own stream; ``run`` says of which call."""
        kind = event["event"]
        if kind == "message-start":
            if event.get("role") == "tool":
                return
            stream = self._new_stream(event.get("message_id"), node)
            self._by_run[run] = stream
            self._log.push(stream)
        if (known := self._by_run.get(run)) is not None:
            known.dispatch(event)
        if kind == "message-finish":
            self._by_run.pop(run, None)

    def _whole(self, message: BaseMessage, node: str | None) -> None:
        from langchain_core.language_models._compat_bridge import message_to_events

        stream = self._new_stream(message.id, node)
        for event in message_to_events(message, message_id=message.id):
            stream.dispatch(event)
        self._log.push(stream)

    def _new_stream(self, message_id: Any, node: str | None) -> ChatModelStream | AsyncChatModelStream:
        """A stream object whose reader drives the run."""
        from langchain_core.language_models.chat_model_stream import AsyncChatModelStream, ChatModelStream

        about: dict[str, Any] = {
            "namespace": [],
            "node": node,
            "message_id": None if message_id is None else str(message_id),
        }
        if self._pump_fn is not None and self._apump_fn is None:
            stream = ChatModelStream(**about)
            stream.set_request_more(self._pump_fn)
            return stream
        astream = AsyncChatModelStream(**about)
        if self._apump_fn is not None:
            astream.set_arequest_more(self._apump_fn)
        return astream

    def finalize(self) -> None:
        """Streams end with their own last event."""
        self._by_run.clear()

    def fail(self, err: BaseException) -> None:
        """Messages that were being written fail with the run."""
        for stream in self._by_run.values():
            stream.fail(err)
        self.finalize()


def _is_finished(payload: Any) -> bool:
    """Whether this is a whole message that somebody said, not a chunk and not a tool's result."""
    from langchain_core.messages import AIMessageChunk, BaseMessage, ToolMessage

    return isinstance(payload, BaseMessage) and not isinstance(payload, AIMessageChunk | ToolMessage)
