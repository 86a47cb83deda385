"""The log of one command: opening it, and finding in it the run or thread that somebody named.

Reading commands create nothing: a mistyped ``--db`` must not leave a new file behind.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dashflow.cli.options import DEFAULT_DB, Settings
from dashflow.errors import UnknownRunError, UsageError
from dashflow.log.base import EventLog, StreamInfo
from dashflow.log.open import open_log

LAST = "last"
PLANS = "plan"
THREADS = "run"
BATCHES = "batch"
PARTS = "sub"
"""Graphs inside others, as parts of those' threads."""


@contextmanager
def opened(settings: Settings, *, create: bool = False) -> Iterator[EventLog]:
    """The log, closed at the end; an empty one in memory where there is no file and none is wanted.

    Raises:
        NotALogError, LogFormatError, StorageUnavailableError: the file cannot be used.
    """
    log = open_log(settings.db if create or _exists(settings.db) else "memory://")
    try:
        if create and settings.db == DEFAULT_DB:
            _hide_from_git(Path(settings.db).parent)
        yield log
    finally:
        log.close()


def _exists(db: str) -> bool:
    """Whether there is something to open; an address that is no path is left to the log to judge."""
    return "://" in db or not db or os.path.lexists(os.path.expanduser(db))


def _hide_from_git(folder: Path) -> None:
    """The default log lies in the user's project and is nothing to commit."""
    with suppress(OSError), open(folder / ".gitignore", "x") as file:
        file.write("*\n")


def find_run(log: EventLog, name: str, where: str) -> str:
    """The run that ``name`` means: its id, the start of only one id, or ``last``.

    Raises:
        UnknownRunError: no run's id starts like that.
        UsageError: several do.
    """
    return find_stream(log, name, where, PLANS)


def find_thread(log: EventLog, name: str, where: str) -> tuple[str, bool]:
    """As ``find_run``, among graph threads too; whether it is a plan."""
    plans = {_id(info): info for info in log.streams(category=PLANS)}
    threads = {_id(info): info for info in log.streams(category=THREADS)}
    found = _find({**threads, **plans}, name, where)
    return found, found in plans


def find_stream(log: EventLog, name: str, where: str, category: str) -> str:
    """As ``find_run``, among the streams of one category."""
    return _find({_id(info): info for info in log.streams(category=category)}, name, where)


def find_graph_thread(log: EventLog, name: str, where: str) -> str:
    """As ``find_run``, among graph threads only."""
    return _find({_id(info): info for info in log.streams(category=THREADS)}, name, where)


def newest_first(infos: list[StreamInfo]) -> list[StreamInfo]:
    """Streams, the one begun last in front."""
    return sorted(infos, key=lambda info: (info.created_at, info.stream), reverse=True)


def _find(known: dict[str, StreamInfo], name: str, where: str) -> str:
    if name in known:
        return name
    if name == LAST and known:
        return _id(newest_first(list(known.values()))[0])
    matching = [one for one in known if name and one.startswith(name)]
    if not matching:
        raise UnknownRunError(name, where)
    if len(matching) > 1:
        shown = ", ".join(sorted(matching)[:5]) + (", ..." if len(matching) > 5 else "")
        raise UsageError(f"{name!r} could be {len(matching)} runs: {shown}. Write more of the id.")
    return matching[0]


def _id(info: StreamInfo) -> str:
    return info.stream.removeprefix(f"{info.category}-")
