"""The ``messages`` mode of ``stream_events(version="v3")``: events of content blocks instead of chunks.

Imported when a run streams them, not before: LangChain has such events since its core 1.3.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

from langchain_core.messages import BaseMessage, ToolMessage
from langchain_core.tracers._streaming import _V2StreamingCallbackHandler

from dashflow.pregel.listener import Put
from dashflow.pregel.messages import Origin, StreamMessagesHandler

__all__ = ("StreamMessagesHandlerV2",)


class StreamMessagesHandlerV2(StreamMessagesHandler, _V2StreamingCallbackHandler):
    """Shows what chat models write as events of content blocks, as ``stream_events(version="v3")`` has them.

    Its second base makes LangChain's models send such events even where a node just calls ``invoke``. Results
    of tools are left out: they are shown in the ``tools`` mode.

    Args:
        stream: Takes the parts.
        subgraphs: Whether to show what happens in the graph's subgraphs.
        parent_ns: Namespace of the graph that is streamed.
    """

    def __init__(self, stream: Put, subgraphs: bool, *, parent_ns: tuple[str, ...] | None = None) -> None:
        super().__init__(stream, subgraphs, parent_ns=parent_ns)
        self._streamed: set[UUID] = set()

    def on_llm_new_token(
        self,
        token: Any,
        *,
        chunk: Any = None,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Nothing: chunks of the other kind (a node calls ``model.stream`` itself) do not belong here."""

    def on_stream_event(
        self,
        event: Any,
        *,
        run_id: UUID,
        parent_run_id: UUID | None = None,
        tags: list[str] | None = None,
        **kwargs: Any,
    ) -> Any:
        """A model wrote something; the call it belongs to is the part's ``run_id``."""
        origin = self.metadata.get(run_id)
        if origin is None:
            return
        if event.get("event") == "message-start":
            self._streamed.add(run_id)
            if message_id := event.get("message_id"):
                self.seen.add(message_id)
        self.stream((origin[0], "messages", (event, {**origin[1], "run_id": str(run_id)})))

    def _written(self, origin: Origin, message: BaseMessage, run_id: UUID) -> None:
        if run_id not in self._streamed:
            self._emit(origin, message, dedupe=True)
            return
        self._streamed.discard(run_id)
        if message.id is None:
            message.id = str(uuid4())
        self.seen.add(message.id)  # the node may return it, under another id than its events had

    def on_llm_error(
        self, error: BaseException, *, run_id: UUID, parent_run_id: UUID | None = None, **kwargs: Any
    ) -> Any:
        """A model failed."""
        self._streamed.discard(run_id)
        super().on_llm_error(error, run_id=run_id, parent_run_id=parent_run_id, **kwargs)

    def _returned(self, origin: Origin, message: BaseMessage) -> None:
        if not isinstance(message, ToolMessage):
            self._emit(origin, message, dedupe=True)
