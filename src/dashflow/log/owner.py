"""Who runs a stream at this moment."""

from __future__ import annotations

from dashflow.log.base import EventLog


def owner_of(log: EventLog, stream: str) -> str:
    """The owner of a stream who is alive; "" for nobody, and for a stream that is not there."""
    return next((info.owner for info in log.streams(stream=stream)), "")
