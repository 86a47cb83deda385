"""What chat models have written and not finished, for a run that is stopped in the middle of it.

A LangChain callback handler. Made for runs whose models stream and whose graph keeps its messages usable.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGenerationChunk

from dashflow._util.reserved import NS_SEP
from dashflow.constants import TAG_NOSTREAM

_STOPPED = frozenset({"CancelledError", "GeneratorExit"})


class PartialMessages(BaseCallbackHandler):
    """Collects the chunks of model calls in the outermost graph's nodes until they are done."""

    run_inline = True

    def __init__(self) -> None:
        self._written: dict[UUID, list[Any]] = {}

    def on_chat_model_start(
        self,
        serialized: dict[str, Any],
        messages: Any,
        *,
        run_id: UUID,
        tags: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """A model is called."""
        namespace = (metadata or {}).get("langgraph_checkpoint_ns", "")
        if namespace and NS_SEP not in namespace and TAG_NOSTREAM not in (tags or ()):
            self._written[run_id] = []

    def on_llm_new_token(self, token: Any, *, chunk: Any = None, run_id: UUID, **kwargs: Any) -> None:
        """It wrote something."""
        written = self._written.get(run_id)
        if written is not None and isinstance(chunk, ChatGenerationChunk):
            written.append(chunk.message)

    def on_llm_end(self, response: Any, *, run_id: UUID, **kwargs: Any) -> None:
        """It is done."""
        self._written.pop(run_id, None)

    def on_llm_error(self, error: BaseException, *, run_id: UUID, **kwargs: Any) -> None:
        """It failed, or was stopped: only then what it wrote is kept."""
        if type(error).__name__ not in _STOPPED:
            self._written.pop(run_id, None)

    def take(self) -> list[AIMessage]:
        """The messages as far as they were written; without tool calls, whose arguments may be half there."""
        messages = []
        for chunks in self._written.values():
            if not chunks:
                continue
            whole = chunks[0]
            for chunk in chunks[1:]:
                whole = whole + chunk
            if whole.content:
                metadata = {**whole.response_metadata, "partial": True}
                messages.append(AIMessage(whole.content, id=whole.id, response_metadata=metadata))
        self._written = {}
        return messages
