"""``SqliteLog``: the parts put together behind the port. Decides nothing that a part could decide."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from dashflow.errors import LogError
from dashflow.log.admission import category_of
from dashflow.log.base import Record, Snapshot, StreamInfo, Subscription
from dashflow.log.commits import CommitQueue
from dashflow.log.sqlite import snapshots, views
from dashflow.log.sqlite.clock import since_boot
from dashflow.log.sqlite.database import Database
from dashflow.log.sqlite.owners import Owners
from dashflow.log.sqlite.reader import Head, Reader, head_of
from dashflow.log.sqlite.watcher import Watcher
from dashflow.log.sqlite.writer import Writer
from dashflow.log.stored import StoredLog, names_of
from dashflow.log.subscriptions import Bell, PagedSubscription

_EVERYTHING: Final = -1
"""SQLite's LIMIT for no limit."""

_LAST: Final = 2**63 - 1


class SqliteLog(StoredLog):
    """An ``EventLog`` in one SQLite file, for any number of threads and processes.

    Args:
        where: The file's path; ``:memory:`` for a log without one; or an open connection. A
            connection to a file only names the file; one in memory is used itself, must have been
            opened with ``check_same_thread=False``, and is left open by ``close``.
        lease_seconds: How long an owner that shows no sign of life is left alone.
        busy_seconds: How long to try while other processes keep the file locked.
        clock: Nanoseconds, the same for all processes of the machine, for leases; nothing else is
            measured with it.

    Raises:
        NotALogError: The file is something else; it was not changed.
        LogFormatError: The log is from a later version of this program.
        StorageUnavailableError: The file cannot be opened, read or written.
    """

    def __init__(
        self,
        where: str | os.PathLike[str] | sqlite3.Connection,
        *,
        lease_seconds: float = 10.0,
        busy_seconds: float = 30.0,
        clock: Callable[[], int] = since_boot,
    ) -> None:
        self._database = database = Database(where, busy_seconds)
        try:
            self._owners = owners = Owners(database.path, clock)
        except BaseException:
            database.close()
            raise
        super().__init__(owners.instance, database.where)
        self._reader: Reader = Reader(database)
        self._writer = writer = Writer(database, owners, lease_ns=int(lease_seconds * 1e9), clock=clock)
        self._watcher = watcher = Watcher(database.reader) if database.path else None
        self._bell = bell = watcher.bell if watcher else Bell()
        database.hear(bell)
        leases = database.path is not None

        def committed() -> None:
            database.ring()
            if leases and writer.claims:
                commits.keep_beating()

        def beat() -> bool:
            try:
                writer.renew()
            except LogError:
                return True  # the next beat tries again; until then the lease runs
            return writer.claims > 0

        self._commits = commits = CommitQueue(
            writer.commit, committed=committed, beat=beat, beat_seconds=lease_seconds / 3
        )
        self._opened(_shut, commits, writer, watcher, bell, self._reader, owners, database)

    # -- reading ------------------------------------------------------------------------------

    def read_all(
        self,
        *,
        after: int = 0,
        category: str | None = None,
        types: Sequence[str] = (),
        correlation: str = "",
        limit: int = 1000,
    ) -> list[Record]:
        """See ``EventLog.read_all``."""
        self._check_open()
        return self._page(after, max(limit, 0), category, _listed(types), correlation)[0]

    def streams(self, *, category: str | None = None, prefix: str = "", stream: str = "") -> list[StreamInfo]:
        """See ``EventLog.streams``."""
        self._check_open()
        alive = self._owners.alive
        if stream or prefix:
            heads = self._heads("streams_named", *names_of(prefix, stream), category, category)
        else:
            heads = self._heads("streams", category, category)
        return [
            _info(head, head.owner if head.owner and alive(head.owner, head.lease) else "")
            for head in heads
            if stream in ("", head.name)
        ]

    def abandoned(self, *, category: str | None = None) -> list[StreamInfo]:
        """See ``EventLog.abandoned``."""
        self._check_open()
        alive = self._owners.alive
        return [
            _info(head, head.owner)
            for head in self._heads("owned", category, category)
            if not alive(head.owner, head.lease)
        ]

    def _heads(self, query: str, *parameters: Any) -> list[Head]:
        """Streams' rows, none of them damaged."""
        return [head_of(row, self._where) for row in self._reader.rows(query, *parameters)]

    def subscribe(
        self,
        *,
        after: int = 0,
        stream: str | None = None,
        category: str | None = None,
        types: Sequence[str] = (),
        correlation: str = "",
    ) -> Subscription:
        """See ``EventLog.subscribe``."""
        self._check_open()
        kinds = _listed(types)
        if stream is None:
            return PagedSubscription(
                lambda cursor, limit: self._page(cursor, limit, category, kinds, correlation),
                after,
                self._bell,
            )

        def fetch(cursor: int, limit: int) -> tuple[list[Record], int]:
            if category not in (None, category_of(stream)):
                return [], cursor
            return self._page_of(stream, cursor, limit, kinds, correlation)

        # Within a stream the cursor is the version: its index finds the page at once.
        return PagedSubscription(fetch, self._reader.number("version_at", stream, after), self._bell)

    def _page(
        self, after: int, limit: int, category: str | None, kinds: str | None, correlation: str
    ) -> tuple[list[Record], int]:
        """Records after a position, and how far the log was looked at."""
        self._check_open()
        head = self._reader.number("head")
        if head <= after:
            return [], after
        find = self._reader.records
        if correlation:
            page = find("read_correlated", correlation, after, head, kinds, kinds, category, category, limit)
        elif kinds is not None:
            page = find("read_types", after, head, kinds, category, category, limit)
        elif category is None:
            page = find("read_all", after, head, limit)
        else:
            page = find("read_category", after, head, category, limit)
        return page, page[-1].position if len(page) == limit and page else head

    def _page_of(
        self, stream: str, after: int, limit: int, kinds: str | None, correlation: str
    ) -> tuple[list[Record], int]:
        """Records of a stream after a version, and how far the stream was looked at."""
        if kinds is None and not correlation:
            page = self.read(stream, after=after, limit=limit)
            return page, page[-1].version if page else after
        self._check_open()
        end = self._reader.versions((stream,))[0]
        if end <= after:
            return [], after
        belonging = correlation or None
        page = self._reader.records(
            "read_stream_filtered", stream, after, end, kinds, kinds, belonging, belonging, limit
        )
        return page, page[-1].version if len(page) == limit and page else end

    # -- beside the events ----------------------------------------------------------------------

    def needs(self, stream: str) -> dict[bytes, int]:
        """See ``EventLog.needs``."""
        self._check_open()
        return dict(self._reader.rows("needs", stream))

    def keep_snapshot(self, stream: str, snapshot: Snapshot, *, alone: bool = False) -> None:
        """See ``EventLog.keep_snapshot``."""
        self._beside(lambda cursor: snapshots.keep(cursor, self._where, stream, snapshot, alone))

    def snapshot(self, stream: str, *, upto: int | None = None) -> Snapshot | None:
        """See ``EventLog.snapshot``."""
        self._check_open()
        return snapshots.latest(self._reader, stream, _LAST if upto is None else upto)

    def project(
        self, view: str, position: int, changes: Mapping[str, bytes | None], *, expected: int
    ) -> None:
        """See ``EventLog.project``."""
        self._beside(lambda cursor: views.project(cursor, self._where, view, position, changes, expected))

    def view_position(self, view: str) -> int:
        """See ``EventLog.view_position``."""
        self._check_open()
        return views.place(self._reader, view)[1]

    def view(
        self, view: str, *, prefix: str = "", after: str = "", limit: int | None = None
    ) -> dict[str, bytes]:
        """See ``EventLog.view``."""
        self._check_open()
        return views.entries(
            self._reader, view, prefix, after, _EVERYTHING if limit is None else max(limit, 0)
        )

    def drop_view(self, view: str) -> None:
        """See ``EventLog.drop_view``."""
        self._beside(lambda cursor: views.drop(cursor, view))

    def _beside(self, work: Callable[[sqlite3.Cursor], None]) -> None:
        """Change what stands beside the events, in turn with the appends."""
        self._check_open()
        self._commits.alone(lambda: self._writer.beside(work))

    def _forked(self) -> None:
        self._owners.forget()
        super()._forked()


def _shut(
    process: int,
    commits: CommitQueue,
    writer: Writer,
    watcher: Watcher | None,
    bell: Bell,
    reader: Reader,
    owners: Owners,
    database: Database,
) -> None:
    """Commit what was submitted, give up what is owned, close all; also at the interpreter's end."""
    if process != os.getpid():
        return

    def last() -> None:
        with suppress(LogError):  # otherwise the end of the own lock tells the same
            writer.give_up()
        writer.tidy()
        database.unhear(bell)
        (watcher or bell).close()
        reader.close()
        database.close()
        owners.close()

    commits.close(last)


def _info(head: Head, owner: str) -> StreamInfo:
    return StreamInfo(head.name, head.category, head.version, head.created, head.updated, owner)


def _listed(types: Sequence[str]) -> str | None:
    """Types as the statements take them; None for all."""
    if not types:
        return None
    import json  # only those who look for types need it

    return json.dumps(list(types))
