"""Inboxes in the log: what waits for a busy thread, and who of the waiting lives.

Reads the log, and says what is to be appended; appends nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dashflow.checkpoint.events import read_as
from dashflow.checkpoint.thread import ThreadReader, stream_of
from dashflow.core.events import (
    RunCancelled,
    RunDeadLettered,
    RunFailed,
    RunFinished,
    RunPaused,
    RunStarted,
)
from dashflow.core.inbox import EVENTS, InboxEvent, InputQueued, ProcessReady, waiting
from dashflow.log.base import Record

INBOX: Final = "inbox"
WAITER: Final = "waiter"
WORKER: Final = "worker"

_ENDS: Final = (
    RunFinished.type,
    RunPaused.type,
    RunFailed.type,
    RunCancelled.type,
    RunDeadLettered.type,
)

_NEVER: Final[tuple[int, tuple[InputQueued, ...]]] = (0, ())
"""What is known of an inbox that nothing ever was in."""


def inbox_event(record: Record, reader: ThreadReader) -> InboxEvent:
    """The event in a record of an inbox, or of a process that waits or works.

    Raises:
        CorruptEventError: Its data cannot be read as that type of event.
        ValueCodecError: A value's class is not registered.
    """
    event: InboxEvent = read_as(
        record, EVENTS.get(record.type), reader.registry, reader.unknown, reader.log.blob
    )
    return event


def inbox_of(thread: str) -> str:
    """The stream of a thread's inbox."""
    return f"{INBOX}-{thread}"


class Busy(Exception):
    """The thread is not free for an input: others wait, or a worker is about to finish a run."""


class Inbox:
    """One thread's inbox."""

    def __init__(self, reader: ThreadReader, thread: str) -> None:
        self._reader = reader
        self.thread = thread
        self.stream = inbox_of(thread)

    def known_at(self, version: int) -> bool:
        """Whether it is known what waited at a version of the inbox."""
        return self._reader.inboxes.get(self.thread, _NEVER)[0] == version

    def empty(self, version: int) -> bool:
        """Whether nothing waits; ``version`` is the inbox's. Asks the log only where something happened."""
        known, left = self._reader.inboxes.get(self.thread, _NEVER)
        return not left if known == version else not self.waiting()[0]

    def waiting(self) -> tuple[Sequence[InputQueued], int]:
        """What waits, in the order of turns; and the stream's version. Reads only what is new."""
        reader = self._reader
        version, left = reader.inboxes.get(self.thread, _NEVER)
        records = reader.log.read(self.stream, after=version)
        if records:
            if records[0].version != version + 1:  # in between everything was done with, and forgotten
                left = ()
            version = records[-1].version
            news = (inbox_event(record, reader) for record in records)
            left = tuple(waiting([*left, *news]))
            reader.inboxes[self.thread] = (version, left)
        return left, version

    def position(self, version: int) -> int:
        """The position of a version of the thread's own stream."""
        records = self._reader.lines.read(stream_of(self.thread), after=version - 1, limit=1)
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
        for record in reader.lines.read(stream_of(self.thread), after=after, upto=upto):
            if record.type == RunStarted.type:
                event = reader.event(record, record.stream)
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
            event = inbox_event(record, reader)
            if isinstance(event, ProcessReady) and graph in event.graphs:
                return True
    return False


def others(before: Sequence[InputQueued], ticket: str) -> list[InputQueued] | None:
    """Those whose turn comes before a ticket's; None when it does not wait any more."""
    tickets = [one.ticket for one in before]
    return [*before[: tickets.index(ticket)]] if ticket in tickets else None
