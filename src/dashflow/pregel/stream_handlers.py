"""Which callback handlers a run's stream needs, and which of those around it must not hear it.

May not know the engine. Imported when a run streams ``messages`` or ``tools``, or runs inside LangChain's
callbacks; loads LangChain only when a handler is made.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dashflow.pregel.listener import Put, StreamListener

__all__ = ("LISTENING", "keep_to_themselves", "show_message", "stream_handlers")

LISTENING = frozenset({"messages", "tools"})
"""The modes whose parts come from LangChain's callbacks."""


def stream_handlers(
    modes: Collection[str],
    put: Put,
    *,
    subgraphs: bool,
    namespace: tuple[str, ...] = (),
    blocks: bool = False,
) -> list[StreamListener]:
    """The handlers that make the parts of ``messages`` and ``tools``.

    Args:
        modes: What the caller listens to.
        put: Takes parts; called from any thread.
        subgraphs: Whether the caller wants to see subgraphs.
        namespace: The streamed graph's own.
        blocks: Whether ``messages`` are events of content blocks (version 3) instead of chunks.
    """
    handlers: list[StreamListener] = []
    if "messages" in modes:
        handlers.append(_messages(blocks)(put, subgraphs, parent_ns=namespace))
    if "tools" in modes:
        from dashflow.pregel.tools import StreamToolCallHandler

        handlers.append(StreamToolCallHandler(put, subgraphs, parent_ns=namespace))
    return handlers


def _messages(blocks: bool) -> type[StreamListener]:
    if blocks:
        from dashflow.pregel.message_events import StreamMessagesHandlerV2

        return StreamMessagesHandlerV2
    from dashflow.pregel.messages import StreamMessagesHandler

    return StreamMessagesHandler


def keep_to_themselves(manager: Any, *, chunks: bool, nested: bool) -> None:
    """Take from a run's callback manager the handlers of runs around it that must not hear this one.

    Args:
        manager: LangChain's callback manager of the run.
        chunks: The run streams ``messages`` as chunks: a handler that makes models write content blocks
            would take the chunks away.
        nested: Whether the run is part of a task. One that is not (it has a thread of its own) has namespaces
            that start at its own root: who listens to one graph only would take its parts for that graph's.
    """
    known = sys.modules.get("dashflow.pregel.listener")
    if known is None:
        return  # no such handler was ever made
    events = sys.modules.get("dashflow.pregel.message_events")

    def stays(handler: Any) -> bool:
        if chunks and events is not None and isinstance(handler, events.StreamMessagesHandlerV2):
            return False
        return nested or not isinstance(handler, known.StreamListener) or handler.subgraphs

    manager.handlers = [handler for handler in manager.handlers if stays(handler)]
    manager.inheritable_handlers = [handler for handler in manager.inheritable_handlers if stays(handler)]


def show_message(config: Mapping[str, Any], message: Any) -> None:
    """Show a whole message in the ``messages`` mode, from inside of a task, to those who listen to its graph.

    Args:
        config: The task's config.
        message: The message, with its id.
    """
    known = sys.modules.get("dashflow.pregel.messages")
    callbacks = config.get("callbacks")
    if known is None or callbacks is None:
        return  # no such handler was ever made
    for handler in getattr(callbacks, "handlers", callbacks):
        if isinstance(handler, known.StreamMessagesHandler):
            handler.show(message, config.get("metadata") or {})
