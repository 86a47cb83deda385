"""Who wants to know when stored data names a class that is not allowed, or only just."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Lock
from typing import NotRequired, TypedDict

__all__ = ("SerdeEvent", "SerdeEventListener", "emit_serde_event", "register_serde_event_listener")

logger = logging.getLogger(__name__)


class SerdeEvent(TypedDict):
    """A class that was met in stored data.

    ``kind`` is ``msgpack_blocked``, ``msgpack_unregistered_allowed`` or ``msgpack_method_blocked``;
    ``method`` comes with the last.
    """

    kind: str
    module: str
    name: str
    method: NotRequired[str]


SerdeEventListener = Callable[[SerdeEvent], None]

_listeners: list[SerdeEventListener] = []
_lock = Lock()


def register_serde_event_listener(listener: SerdeEventListener) -> Callable[[], None]:
    """Call ``listener`` for every such event from now on; returns what ends that, once or often called."""
    with _lock:
        _listeners.append(listener)

    def unregister() -> None:
        with _lock:
            if listener in _listeners:
                _listeners.remove(listener)

    return unregister


def emit_serde_event(event: SerdeEvent) -> None:
    """Tell all listeners; one that raises is logged and keeps none of the others from hearing it."""
    with _lock:
        listening = list(_listeners)
    for listener in listening:
        try:
            listener(event)
        except Exception:
            logger.warning("Serde listener failed", exc_info=True)
