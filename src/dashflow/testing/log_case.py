"""What the parts of the event log's contract share: how a test gets its logs, events, threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest

from dashflow.log.base import EventLog, NewEvent, Record
from dashflow.log.ids import EventIds

Open = Callable[[], EventLog]
T = TypeVar("T")

AT: Final = 1_700_000_000_000_000_000
"""The time of every event, unless a test says another; nanoseconds since the Unix epoch."""

_ids = EventIds(int.from_bytes(os.urandom(8), "big"), AT)


class LogCase:
    """A class of tests that gets its logs from ``open_log``."""

    def open_log(self, place: Path) -> EventLog:
        """Open the log at ``place``, an empty folder at first; again: as another process would."""
        raise NotImplementedError

    def kill(self, log: EventLog) -> None:
        """Have the other logs of the test take the owners of ``log`` for dead, without closing it.

        As if its process had been killed, or its leases had run out: whatever is quick and real in the
        backend, for example a clock that the test moves on. ``log`` is closed at the end as usual.
        """
        raise NotImplementedError

    @pytest.fixture
    def opened(self, tmp_path: Path) -> Iterator[Open]:
        """Opens the test's log, as often as called; all are closed at the end."""
        logs: list[EventLog] = []

        def opening() -> EventLog:
            logs.append(self.open_log(tmp_path))
            return logs[-1]

        yield opening
        for log in logs:
            log.close()

    @pytest.fixture
    def log(self, opened: Open) -> EventLog:
        """The test's log."""
        return opened()


def new_event(kind: str = "TaskCompleted", data: bytes = b"payload", at: int = AT) -> NewEvent:
    """An event with an id of its own."""
    return NewEvent(type=kind, data=data, event_id=_ids.next(), at=at)


def new_events(count: int) -> list[NewEvent]:
    """Events that can be told apart by their data: ``b"0"``, ``b"1"``, ..."""
    return [new_event(data=str(number).encode()) for number in range(count)]


def owner_of(log: EventLog, run: str = "r") -> str:
    """The name of an owner that ``log`` may claim for."""
    return f"{log.instance}/{run}"


def versions(records: Sequence[Record]) -> list[int]:
    """The versions of records, in their order."""
    return [record.version for record in records]


def in_threads(jobs: Sequence[Callable[[], T]]) -> list[T]:
    """Run all jobs at the same time; their results in order, or the first error."""
    results: list[Any] = [None] * len(jobs)
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            results[number] = jobs[number]()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return results
