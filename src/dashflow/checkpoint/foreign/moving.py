"""Bringing threads over: from a database's tables into streams of a log, so that runs go on from there.

One checkpoint is held at a time, however long a thread is. What the log has already is not recorded again,
so an import that was killed goes on where it was, and doing it twice adds nothing.
"""

from __future__ import annotations

import os
import random
import time
from collections import deque
from collections.abc import Iterator, Sequence

from dashflow._util.ids import uuid7
from dashflow.checkpoint.events import to_new
from dashflow.checkpoint.foreign.database import Database, Taken, Write
from dashflow.checkpoint.foreign.items import move_items
from dashflow.checkpoint.foreign.packed import Packing, UnreadableError
from dashflow.checkpoint.foreign.report import ImportReport, Skipped
from dashflow.checkpoint.foreign.there import There
from dashflow.checkpoint.imported import Typed
from dashflow.checkpoint.saver import LogSaver
from dashflow.checkpoint.thread import stream_of
from dashflow.core.events import CheckpointImported, Event, WritesImported
from dashflow.errors import (
    ImportStoppedError,
    LogError,
    OwnershipConflictError,
    UsageError,
    VersionConflictError,
)
from dashflow.log.base import Append, Ticket

_UNDER_WAY = 64
"""Appends that may wait for the disk at a time."""

_MOST_BYTES = 16_000_000


def import_langgraph(
    source: str | os.PathLike[str],
    saver: LogSaver,
    *,
    threads: Sequence[str] = (),
    store: str | os.PathLike[str] | None = None,
    dry_run: bool = False,
) -> ImportReport:
    """Bring the threads of a database that LangGraph wrote into a saver's log.

    Every checkpoint comes with its id, its place in history, its metadata and the writes of tasks at it, so
    that threads go on, questions can be answered, and old checkpoints can be gone back to. Values keep the
    bytes they have; those that the saver's serialiser may not read (pickles, what is encrypted with another
    key) are left out and reported, and the rest of the thread is kept. The source is not changed.

    Args:
        source: A file that ``SqliteSaver`` or ``SqliteStore`` wrote, or the DSN of a PostgreSQL database
            that ``PostgresSaver``, ``ShallowPostgresSaver`` or ``PostgresStore`` wrote to.
        saver: Where to.
        threads: Only these; none given: all.
        store: File of a ``SqliteStore`` that gets the items of the database's store; None: they stay.
        dry_run: Read and check everything, and record nothing.

    Raises:
        UsageError: There is no such file, or psycopg is needed.
        NotLangGraphError: The source is something else.
        DamagedFileError: SQLite finds the file damaged. Nothing was brought over.
        ImportStoppedError: It broke off in the middle; its ``report`` says how far it came.
    """
    database = open_database(os.fspath(source))
    report = ImportReport(source=database.where, kind=database.kind, dry_run=dry_run)
    try:
        _Mover(database, saver, report).move(threads)
        if store is not None and not dry_run:
            move_items(database, os.fspath(store), report)
        elif count := database.count_items():
            why = f"{count} items of a store; name a store's file to get them"
            report.leave_out(Skipped("items", "not_asked", why))
    except LogError as error:
        raise ImportStoppedError(report.source, error, report) from error
    finally:
        database.close()
    return report


def open_database(source: str) -> Database:
    """The database at a path or DSN."""
    scheme = source.partition("://")[0]
    if scheme in ("postgresql", "postgres") or (source.count("=") and not os.path.exists(source)):
        from dashflow.checkpoint.foreign.postgres import PostgresDatabase

        return PostgresDatabase(source)
    if "://" in source:
        raise UsageError(f"Threads come from a SQLite file or a PostgreSQL DSN, not from {scheme + '://'!r}.")
    from dashflow.checkpoint.foreign.sqlite import SqliteDatabase

    return SqliteDatabase(source)


class _Mover:
    """One import.

    Args:
        database: From where.
        saver: Where to.
        report: Is told.
    """

    def __init__(self, database: Database, saver: LogSaver, report: ImportReport) -> None:
        self._database = database
        self._saver = saver
        self._packing = Packing(saver.serde)
        self._report = report

    def move(self, threads: Sequence[str]) -> None:
        """Bring threads over."""
        last: str | None = None
        wanted = set(threads)
        for thread, ns in self._database.places(threads):
            self._report.threads += thread != last
            self._report.namespaces += 1
            last = thread
            place = _Place(self._database, self._saver, self._packing, self._report, thread, ns)
            try:
                place.move()
            except (OwnershipConflictError, VersionConflictError) as conflict:
                why = f"{conflict} The import can be repeated then."
                self._report.leave_out(Skipped("thread", "in_use", why, thread, ns))
            wanted.discard(thread)
        for thread in sorted(wanted):
            self._report.leave_out(Skipped("thread", "unknown", "is not in the source", thread))


class _Place:
    """One namespace of a thread, on its way into a stream."""

    def __init__(
        self,
        database: Database,
        saver: LogSaver,
        packing: Packing,
        report: ImportReport,
        thread: str,
        ns: str,
    ) -> None:
        self._database = database
        self._saver = saver
        self._packing = packing
        self._report = report
        self._thread, self._ns = thread, ns
        self._stream = stream_of(thread, ns)
        self._there = There.read(saver.log, self._stream, packing)
        self._under_way: deque[tuple[Ticket, int]] = deque()
        self._unsent = 0
        self._told: set[tuple[str, object]] = set()

    def move(self) -> None:
        """Record what the log has not."""
        there = self._there
        missed = 0
        waiting: Taken | None = None
        for taken in self._readable():
            if there.continued:
                missed += taken.id not in there.ids
                self._report.present += taken.id in there.ids
                continue
            if waiting is not None:
                self._bring(waiting, latest=False)
            waiting = taken
        if waiting is not None:
            self._bring(waiting, latest=True)
        while self._under_way:
            self._under_way.popleft()[0].wait()
        if missed:
            self._leave_out(
                "thread",
                "continued",
                f"went on under DashFlow; {missed} checkpoints of the source are not in it",
            )
        if orphans := self._database.orphans(self._thread, self._ns):
            self._leave_out("writes", "orphan", f"of {orphans} checkpoints that the source does not have")

    def _readable(self) -> Iterator[Taken]:
        """The checkpoints that can be read; the others are reported."""
        for found in self._database.checkpoints(self._thread, self._ns, self._packing, self._there.marks):
            if isinstance(found, Taken):
                yield found
            else:
                identifier, problem = found
                self._leave_out("checkpoint", problem.code, problem.why, identifier)

    def _bring(self, taken: Taken, *, latest: bool) -> None:
        """Record a checkpoint and what was written at it, as far as the log has not."""
        there = self._there
        events: list[Event] = []
        known = taken.id in there.ids
        latest = latest and taken.id >= there.latest and not (known and taken.id == there.latest)
        if known and not latest:
            self._report.present += 1
        else:
            events.append(self._checkpoint(taken, latest=latest))
        # Whoever takes part in the step sees its writes only after the checkpoint that it starts from.
        events += self._writes(taken.id)
        if events:
            self._submit(events)

    def _checkpoint(self, taken: Taken, *, latest: bool) -> CheckpointImported:
        there, packing, version = self._there, self._packing, self._there.version + 1
        values, same = [], []
        for channel, label, mark, typed in taken.values:
            at = there.marks.get((channel, mark))
            if at is None and typed is not None:
                values.append([channel, label, *self._counted(packing.closed(typed))])
                there.marks[channel, mark] = version
            else:
                same.append([channel, at])
        for name, problem in taken.lost:
            if (name, problem.why) not in self._told:
                self._told.add((name, problem.why))
                self._leave_out("value", problem.code, problem.why, taken.id, name)
        there.ids.add(taken.id)
        if latest:
            there.latest = taken.id
        self._report.checkpoints += 1
        return CheckpointImported(
            taken.id,
            [*self._counted(packing.closed(taken.told))],
            [*self._counted(packing.closed(taken.metadata))],
            taken.parent,
            latest=latest,
            values=values,
            whole=True,
            same=same,
        )

    def _counted(self, typed: Typed) -> Typed:
        self._report.size += len(typed[1])
        self._unsent += len(typed[1])
        return typed

    def _writes(self, checkpoint: str) -> list[Event]:
        """What tasks wrote at a checkpoint: of each task all of it, or it has to run again."""
        tasks: dict[tuple[str, str], list[Write]] = {}
        for write in self._database.writes(self._thread, self._ns, checkpoint):
            tasks.setdefault((write.task, write.path), []).append(write)
        events: list[Event] = []
        for (task, path), writes in tasks.items():
            try:
                read = [(one.number, one.channel, self._packing.opened(one.tag, one.data)) for one in writes]
            except UnreadableError as problem:
                self._leave_out("writes", problem.code, problem.why, checkpoint, task)
                continue
            new = [
                [index, channel, *self._counted(self._packing.closed(typed))]
                for index, channel, typed in read
                if self._there.adds((checkpoint, task, index), channel, typed)
            ]
            if new:
                self._report.writes += len(new)
                events.append(WritesImported(checkpoint, task, new, path))
        return events

    def _submit(self, events: Sequence[Event]) -> None:
        version, size = self._there.version, self._unsent
        self._there.version += len(events)
        self._unsent = 0
        if self._report.dry_run:
            return
        now = time.time_ns()
        new = [to_new(event, uuid7(now, random.getrandbits(62)), now, "", b"", "") for event in events]
        ticket = self._saver.log.submit(Append(self._stream, new, version, unowned=True))
        self._under_way.append((ticket, size))
        while len(self._under_way) > _UNDER_WAY or sum(left for _, left in self._under_way) > _MOST_BYTES:
            self._under_way.popleft()[0].wait()

    def _leave_out(self, what: str, code: str, why: str, checkpoint: str = "", name: str = "") -> None:
        self._report.leave_out(Skipped(what, code, why, self._thread, self._ns, checkpoint, name))
