"""Looking ahead on a recorded line of events: to its end, or to where its graph became another one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from dashflow.core.events import Event
from dashflow.core.fold import ThreadState
from dashflow.errors import CorruptEventError, ValueCodecError
from dashflow.log.base import Record

Told = tuple[Record, Event, ThreadState]
"""An event, and the state after it."""

EARLIER = "what it did at earlier versions of the graph, from which it was brought here"


def next_move(line: Iterator[Told], state: ThreadState) -> tuple[Told | None, ThreadState]:
    """The next event that brought the thread to another version of its graph; and the state there."""
    try:
        for told in line:
            state = told[2]
            if getattr(told[1], "moved", None) is not None:
                return told, state
    except (CorruptEventError, ValueCodecError):  # it is known already that it cannot be followed
        return None, state
    return None, state


def last_of(line: Iterator[Told], state: ThreadState) -> ThreadState:
    """The state at the end of a line, or at the last event of it that can be read."""
    with suppress(CorruptEventError, ValueCodecError):
        for _, _, after in line:
            state = after
    return state
