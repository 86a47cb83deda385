"""Inboxes in the log: what waits for a busy thread, who of the waiting lives, and the line of those here.

Reads the log, and says what is to be appended; appends nothing.
"""

from __future__ import annotations

import threading
from bisect import insort
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Final

from dashflow.checkpoint.events import inbox_event
from dashflow.checkpoint.thread import ThreadReader, stream_of
from dashflow.core.events import RunDeadLettered, RunFailed, RunFinished, RunPaused, RunStarted
from dashflow.core.inbox import InputQueued, ProcessReady, waiting

INBOX: Final = "inbox"
WAITER: Final = "waiter"
WORKER: Final = "worker"

_ENDS: Final = (RunFinished.type, RunPaused.type, RunFailed.type, RunDeadLettered.type)


def inbox_of(thread: str) -> str:
    """The stream of a thread's inbox."""
    return f"{INBOX}-{thread}"


class Inbox:
    """One thread's inbox."""

    def __init__(self, reader: ThreadReader, thread: str) -> None:
        self._reader = reader
        self.thread = thread
        self.stream = inbox_of(thread)

    @property
    def empty(self) -> bool:
        """Whether nothing waits; one question to the log, where nothing happened since it was empty."""
        version = self._reader.log.version(self.stream)
        return version == self._reader.empty_inboxes.get(self.thread, 0) or not self.waiting()[0]

    def waiting(self) -> tuple[list[InputQueued], int]:
        """What waits, in the order of turns; and the stream's version."""
        records = self._reader.log.read(self.stream)
        left = waiting(inbox_event(record, self._reader.registry) for record in records)
        version = records[-1].version if records else self._reader.log.version(self.stream)
        if not left:
            self._reader.empty_inboxes[self.thread] = version
        return left, version

    def position(self, version: int) -> int:
        """The position of a version of the thread's own stream."""
        records = self._reader.log.read(stream_of(self.thread), after=version - 1, limit=1)
        return records[0].position if records else 0

    def end_after(self, position: int, within: float) -> bool:
        """Wait for so many seconds for a run of the thread to end; whether one did."""
        subscription = self._reader.log.subscribe(after=position, stream=stream_of(self.thread), types=_ENDS)
        try:
            return bool(subscription.poll(within))
        finally:
            subscription.close()

    def started(self, ticket: str, after: int, upto: int) -> bool:
        """Whether an input's run has started, by the thread's events of these versions."""
        reader = self._reader
        for record in reader.log.read(stream_of(self.thread), after=after, upto=upto):
            if record.type == RunStarted.type:
                event = reader.event(record)
                if isinstance(event, RunStarted) and event.ticket == ticket:
                    return True
        return False


def waiter_of(reader: ThreadReader) -> str:
    """The stream by which this process shows that it lives, while it waits for turns."""
    return f"{WAITER}-{reader.log.instance}"


def living(reader: ThreadReader, category: str) -> set[str]:
    """Streams of processes that live, of waiters or workers."""
    return {info.stream for info in reader.log.streams(category=category) if info.owner}


def dead(reader: ThreadReader, category: str) -> list[str]:
    """Streams that dead processes left behind."""
    return [info.stream for info in reader.log.streams(category=category) if not info.owner]


def has_worker(reader: ThreadReader, graph: str) -> bool:
    """Whether a worker lives that finishes runs of this graph."""
    for stream in living(reader, WORKER):
        for record in reader.log.read(stream):
            event = inbox_event(record, reader.registry)
            if isinstance(event, ProcessReady) and graph in event.graphs:
                return True
    return False


class Place:
    """Somebody of this process who waits; ``turn`` is done when nobody here is before them."""

    def __init__(self, order: tuple[bool, int]) -> None:
        self.order = order
        self.turn: Future[None] = Future()


class Line:
    """Those of this process who wait for one thread. Only the first one watches the log."""

    def __init__(self) -> None:
        self._places: list[Place] = []
        self._lock = threading.Lock()

    def enter(self, order: tuple[bool, int]) -> Place:
        """Take a place; ``order`` says who comes first."""
        place = Place(order)
        with self._lock:
            insort(self._places, place, key=lambda one: one.order)
            self._call()
        return place

    def leave(self, place: Place) -> bool:
        """Leave, and call the next one; whether nobody is left."""
        with self._lock:
            self._places.remove(place)
            self._call()
            return not self._places

    def _call(self) -> None:
        places = self._places
        if places and not places[0].turn.done():
            places[0].turn.set_result(None)


def others(before: Sequence[InputQueued], ticket: str) -> list[InputQueued] | None:
    """Those whose turn comes before a ticket's; None when it does not wait any more."""
    tickets = [one.ticket for one in before]
    return [*before[: tickets.index(ticket)]] if ticket in tickets else None
