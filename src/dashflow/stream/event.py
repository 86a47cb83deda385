"""One event of a run's stream, and how a stream part becomes one. May not know transformers or runs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypedDict

__all__ = ("EventParams", "ProtocolEvent", "new_event", "protocol_event")


class EventParams(TypedDict):
    """What an event says. ``timestamp``: wall clock in milliseconds, which may go backwards."""

    namespace: list[str]
    timestamp: int
    data: Any
    interrupts: NotRequired[tuple[Any, ...]]


class ProtocolEvent(TypedDict):
    """A stream part in the envelope that local and remote readers share.

    ``method`` is the stream mode, or the name of a channel; ``seq`` numbers what a run's own log shows and is
    what to order by.
    """

    type: Literal["event"]
    event_id: NotRequired[str]
    seq: NotRequired[int]
    method: str
    params: EventParams


def new_event(method: str, namespace: list[str], data: Any) -> ProtocolEvent:
    """An event that happens now."""
    return {
        "type": "event",
        "method": method,
        "params": {"namespace": namespace, "timestamp": time.time_ns() // 1_000_000, "data": data},
    }


def protocol_event(part: Mapping[str, Any]) -> ProtocolEvent:
    """The event for a part of ``stream(..., version="v2")``."""
    event = new_event(part["type"], list(part["ns"]), part["data"])
    if "interrupts" in part:
        event["params"]["interrupts"] = part["interrupts"]
    return event
