"""``PostgresLog``: the parts put together behind the port. Decides nothing that a part could decide."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress

import psycopg

from dashflow.errors import LogError, VersionConflictError
from dashflow.log.admission import category_of
from dashflow.log.base import Record, Snapshot, StreamInfo, Subscription
from dashflow.log.commits import CommitQueue
from dashflow.log.packing import stored
from dashflow.log.postgres import faults
from dashflow.log.postgres.address import Address
from dashflow.log.postgres.arrays import byteas, int8s, texts
from dashflow.log.postgres.connections import Connections, Row
from dashflow.log.postgres.notifier import Notifier
from dashflow.log.postgres.places import of_entry, of_snapshot
from dashflow.log.postgres.reader import Reader
from dashflow.log.postgres.schema import prepare
from dashflow.log.postgres.statements import queries
from dashflow.log.postgres.watcher import Watcher
from dashflow.log.postgres.writer import Writer
from dashflow.log.stored import StoredLog, host_name, names_of
from dashflow.log.subscriptions import PagedSubscription


class PostgresLog(StoredLog):
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
        address = Address(where, schema)
        super().__init__(f"{host_name()}-{os.getpid()}-{os.urandom(4).hex()}", address.where)
        sql = queries(address.schema)
        lent = _opened(address, patience_seconds, connections)
        self._reader: Reader = Reader(lent, sql)
        self._writer = writer = Writer(
            lent, sql, instance=self._instance, lease_seconds=lease_seconds, busy_seconds=patience_seconds
        )
        listeners = Connections(Address(direct, address.schema), patience=0, most=1) if direct else lent
        self._watcher = watcher = _watching(listeners, lent, self._reader, address, self._instance)
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
        self._opened(_shut, commits, writer, notifier, watcher, lent)

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
        return self._reader.page(after, category, types, correlation, max(limit, 0))[0]

    def streams(self, *, category: str | None = None, prefix: str = "", stream: str = "") -> list[StreamInfo]:
        """See ``EventLog.streams``."""
        self._check_open()
        if stream or prefix:
            rows = self._reader.rows("streams_named", category, self._instance, *names_of(prefix, stream))
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

    def needs(self, stream: str) -> dict[bytes, int]:
        """See ``EventLog.needs``."""
        self._check_open()
        return {bytes(key): version for key, version in self._reader.rows("needs", stream)}

    def keep_snapshot(self, stream: str, snapshot: Snapshot, *, alone: bool = False) -> None:
        """See ``EventLog.keep_snapshot``."""
        self._check_open()
        mark, data = stored(snapshot.data, of_snapshot(stream, snapshot.version, snapshot.schema))
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
        marks = int8s([-1 if data is None else of_entry(view, key, data) for key, data in changes.items()])
        at = self._reader.rows("project", view, position, expected, keys, values, marks)[0][0]
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
        return self._reader.entries(view, prefix, after, most)

    def drop_view(self, view: str) -> None:
        """See ``EventLog.drop_view``."""
        self._check_open()
        self._reader.rows("drop_view", view)


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
