"""``PostgresLog``: the parts put together behind the port. Decides nothing that a part could decide."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import psycopg

from dashflow.errors import LogClosedError, LogError, UsageError, VersionConflictError
from dashflow.log.admission import category_of
from dashflow.log.base import (
    LAST_CHARACTER,
    Append,
    Appended,
    Record,
    Snapshot,
    StreamInfo,
    Subscription,
    Ticket,
)
from dashflow.log.commits import CommitQueue
from dashflow.log.packing import stored
from dashflow.log.postgres import faults
from dashflow.log.postgres.address import Address
from dashflow.log.postgres.arrays import byteas, texts
from dashflow.log.postgres.connections import Connections, Row
from dashflow.log.postgres.notifier import Notifier
from dashflow.log.postgres.reader import Reader
from dashflow.log.postgres.schema import prepare
from dashflow.log.postgres.statements import queries
from dashflow.log.postgres.watcher import Watcher
from dashflow.log.postgres.writer import Writer
from dashflow.log.subscriptions import PagedSubscription

_LAST: Final = 2**63 - 1


class PostgresLog:
    """An ``EventLog`` in a schema of a PostgreSQL database, for any number of machines.

    Args:
        where: ``postgresql://user:password@host:port/database``, in which ``?schema=name`` may name the
            schema; or libpq's ``key=value`` form; or an open connection or pool of psycopg's, of which only
            the address is taken.
        schema: The schema that the log has to itself; made when it is not there.
        direct: The address of the server itself, when ``where`` leads to a transaction pooler: there one
            can listen for what others commit. Without it the log notices by itself when it hears nothing,
            and looks every few milliseconds while somebody waits.
        lease_seconds: How long an owner that shows no sign of life is left alone, by the server's clock.
        patience_seconds: How long to wait for a server that is away, and for others' appends.
        connections: How many connections may read at the same time. A log has up to three more: one
            writes, one listens, and one is in use while the log is opened.

    Raises:
        UsageError: An address that is none.
        NotALogError: The schema holds something else; it was not changed.
        LogFormatError: The log is from a later version of this program.
        StorageUnavailableError: The server cannot be reached or refuses.
    """

    def __init__(
        self,
        where: object,
        *,
        schema: str | None = None,
        direct: str | None = None,
        lease_seconds: float = 10.0,
        patience_seconds: float = 30.0,
        connections: int = 8,
    ) -> None:
        self._refusal: Callable[[], Exception] | None = None
        address = Address(where, schema)
        self._where = address.where
        self._instance = f"{_host()}-{os.getpid()}-{os.urandom(4).hex()}"
        sql = queries(address.schema)
        self._connections = lent = _opened(address, patience_seconds, connections)
        self._reader = reader = Reader(lent, sql)
        self._writer = writer = Writer(
            lent, sql, instance=self._instance, lease_seconds=lease_seconds, busy_seconds=patience_seconds
        )
        listeners = Connections(Address(direct, address.schema), patience=0, most=1) if direct else lent
        self._watcher = watcher = _watching(listeners, lent, reader, address, self._instance)
        self._notifier = notifier = Notifier(watcher.probe)

        def committed() -> None:
            watcher.bell.ring()
            notifier.ring()
            if writer.claims:
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
        self._closing = threading.Lock()
        self._finalizer = weakref.finalize(self, _shut, os.getpid(), commits, writer, notifier, watcher, lent)
        _OPEN.add(self)

    @property
    def instance(self) -> str:
        """Identity of this log object, with the host and the process's number in it."""
        return self._instance

    @property
    def where(self) -> str:
        """The address without its password."""
        return self._where

    # -- writing ------------------------------------------------------------------------------

    def submit(self, append: Append) -> Ticket:
        """See ``EventLog.submit``."""
        self._check_open()
        return self._commits.submit(append, self)

    def append(self, append: Append) -> Appended:
        """See ``EventLog.append``."""
        self._check_open()
        return self._commits.append(append, self)

    # -- reading ------------------------------------------------------------------------------

    def read(
        self, stream: str, *, after: int = 0, upto: int | None = None, limit: int | None = None
    ) -> list[Record]:
        """See ``EventLog.read``."""
        self._check_open()
        return self._reader.records(
            "read_stream",
            stream,
            after,
            _LAST if upto is None else upto,
            None if limit is None else max(limit, 0),
        )

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
        return self._reader.page(after, category, types, correlation, max(limit, 0))[0]

    def version(self, stream: str) -> int:
        """See ``EventLog.version``."""
        self._check_open()
        return self._reader.number("version", stream)

    def streams(self, *, category: str | None = None, prefix: str = "") -> list[StreamInfo]:
        """See ``EventLog.streams``."""
        self._check_open()
        if prefix:
            rows = self._reader.rows(
                "streams_named", category, self._instance, prefix, prefix + LAST_CHARACTER
            )
        else:
            rows = self._reader.rows("streams", category, self._instance)
        return [StreamInfo(*row) for row in rows]

    def abandoned(self, *, category: str | None = None) -> list[StreamInfo]:
        """See ``EventLog.abandoned``."""
        self._check_open()
        return [StreamInfo(*row) for row in self._reader.rows("abandoned", category, self._instance)]

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
        bell = self._watcher.bell
        if stream is None:
            reader, check_open = self._reader, self._check_open

            def page(cursor: int, limit: int) -> tuple[list[Record], int]:
                check_open()
                return reader.page(cursor, category, types, correlation, limit)

            return PagedSubscription(page, after, bell)
        matches = frozenset(types)

        def fetch(cursor: int, limit: int) -> tuple[list[Record], int]:
            if category not in (None, category_of(stream)):
                return [], cursor
            while page := self.read(stream, after=cursor, limit=limit):
                cursor = page[-1].version
                found = [
                    record
                    for record in page
                    if (not matches or record.type in matches)
                    and (not correlation or record.correlation_id == correlation)
                ]
                if found:
                    return found, cursor
            return [], cursor

        # Within a stream the cursor is the version: its index finds the page at once.
        return PagedSubscription(fetch, self._reader.number("version_at", stream, after), bell)

    # -- beside the events --------------------------------------------------------------------

    def blob(self, key: bytes) -> bytes:
        """See ``EventLog.blob``."""
        self._check_open()
        return self._reader.blob(key)

    def needs(self, stream: str) -> dict[bytes, int]:
        """See ``EventLog.needs``."""
        self._check_open()
        return {bytes(key): version for key, version in self._reader.rows("needs", stream)}

    def keep_snapshot(self, stream: str, snapshot: Snapshot, *, alone: bool = False) -> None:
        """See ``EventLog.keep_snapshot``."""
        self._check_open()
        mark, data = stored(snapshot.data)
        self._reader.rows("keep_snapshot", stream, snapshot.version, snapshot.schema, mark, data, alone)

    def snapshot(self, stream: str, *, upto: int | None = None) -> Snapshot | None:
        """See ``EventLog.snapshot``."""
        self._check_open()
        return self._reader.snapshot(stream, upto)

    def project(
        self, view: str, position: int, changes: Mapping[str, bytes | None], *, expected: int
    ) -> None:
        """See ``EventLog.project``."""
        self._check_open()
        keys, values = texts(list(changes)), byteas(list(changes.values()))
        at = self._reader.rows("project", view, position, expected, keys, values)[0][0]
        if at is not None:
            raise VersionConflictError(view, expected, at)

    def view_position(self, view: str) -> int:
        """See ``EventLog.view_position``."""
        self._check_open()
        return self._reader.number("view_position", view)

    def view(
        self, view: str, *, prefix: str = "", after: str = "", limit: int | None = None
    ) -> dict[str, bytes]:
        """See ``EventLog.view``."""
        self._check_open()
        most = None if limit is None else max(limit, 0)
        return dict(self._reader.rows("view", view, prefix, after, most))

    def drop_view(self, view: str) -> None:
        """See ``EventLog.drop_view``."""
        self._check_open()
        self._reader.rows("drop_view", view)

    # -- the end ------------------------------------------------------------------------------

    def close(self) -> None:
        """See ``EventLog.close``."""
        with self._closing:
            self._refusal = self._refusal or (lambda: LogClosedError(self._where))
            self._finalizer()
            _OPEN.discard(self)

    def _check_open(self) -> None:
        if self._refusal is not None:
            raise self._refusal()

    def _forked(self) -> None:
        """In the child of a fork: threads are gone and the connections are the parent's."""
        parent = os.getppid()
        self._closing = threading.Lock()
        self._refusal = lambda: UsageError(
            f"The log at {self._where!r} was opened by process {parent}, of which this process "
            f"({os.getpid()}) is a fork. Open it again here.",
            where=self._where,
        )
        self._finalizer.detach()
        _INHERITED.append((self._connections, self._writer, self._watcher))


def _opened(address: Address, patience: float, most: int) -> Connections:
    """Connections to a schema whose tables are those that this program knows."""
    connections = Connections(address, patience=patience, most=most)
    try:
        # Who starts waits for a server that is just starting, not for one that is not there.
        prepare(connections, address.schema, patience=0.0 if _is_away(connections) else patience)
        connections.rows(queries(address.schema)["sweep"])
    except BaseException:
        connections.close()
        raise
    return connections


def _watching(
    listeners: Connections, lent: Connections, reader: Reader, address: Address, instance: str
) -> Watcher:
    """What notices the commits of others, on a connection of ``listeners``."""
    sql, channel = queries(address.schema), address.channel

    def listen() -> psycopg.Connection[Row]:
        connection = listeners.connect()
        connection.execute(f'LISTEN "{channel}"'.encode())
        return connection

    return Watcher(
        listen=listen,
        probe=lambda: lent.rows(sql["notify"], (channel, instance), patience=0),
        head=lambda: reader.number("head"),
        instance=instance,
    )


def _shut(
    process: int,
    commits: CommitQueue,
    writer: Writer,
    notifier: Notifier,
    watcher: Watcher,
    connections: Connections,
) -> None:
    """Commit what was submitted, give up what is owned, close all; also at the interpreter's end."""
    if process != os.getpid():
        return

    def last() -> None:
        with suppress(LogError):  # otherwise the end of the lease tells the same
            writer.give_up()
        notifier.close()
        watcher.close()
        writer.close()
        connections.close()

    commits.close(last)


def _is_away(connections: Connections) -> bool:
    """Whether there is nobody at the address, as opposed to a server that is starting."""
    try:
        with connections.borrowed():
            return False
    except psycopg.Error as error:
        return not faults.is_starting(error)


def _host() -> str:
    """The machine's name, as far as it can be part of an owner's name."""
    name = os.uname().nodename if hasattr(os, "uname") else "host"
    return "".join(c if c.isalnum() else "_" for c in name)[:32]


def _after_fork() -> None:
    for log in tuple(_OPEN):
        log._forked()


_OPEN: weakref.WeakSet[PostgresLog] = weakref.WeakSet()
_INHERITED: list[Any] = []
"""Connections of a parent process: closing one here would end the parent's session."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
