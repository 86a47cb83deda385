"""A log's tables on a server as a doctor sees them: every row looked at, and put right where it can be.

Has a connection of its own. What it takes away it keeps in the table ``aside``. Knows rows and checksums,
but no events. That the server's own files are sound is the server's to say (``data_checksums``, amcheck).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final
from zlib import crc32

import ormsgpack
import psycopg

from dashflow.errors import CorruptLogError
from dashflow.log.mending import Fault, Placed
from dashflow.log.packing import BOUND, restored
from dashflow.log.postgres import faults
from dashflow.log.postgres.address import Address
from dashflow.log.postgres.connections import Connections, fetch
from dashflow.log.postgres.places import numbered, of_blob, of_entry, of_event, of_snapshot
from dashflow.log.postgres.statements import script_for

_PATIENCE: Final = 30.0


class PostgresMender:
    """A ``Mender`` of a log on a server.

    Args:
        where: As for ``PostgresLog``.
    """

    def __init__(self, where: object) -> None:
        self._address = Address(where, None)
        self._connections = Connections(self._address, patience=_PATIENCE, most=1)
        self._db = self._connections.patiently(self._connections.connect)

    @property
    def where(self) -> str:
        """The server, without a password."""
        return self._connections.where

    def _rows(self, sql: str, *parameters: Any) -> list[Any]:
        for number in range(1, len(parameters) + 1):
            sql = sql.replace("%s", f"${number}", 1)
        try:
            return fetch(self._db, script_for(self._address.schema, sql), parameters)
        except psycopg.Error as error:
            raise faults.fault(self.where, error) from error

    # -- looking ----------------------------------------------------------------------------------

    def faults(self) -> list[Fault]:
        """See ``Mender.faults``."""
        return [*self._of_streams(), *self._of_snapshots(), *self._of_views(), *self._of_blobs()]

    def _of_streams(self) -> Iterator[Fault]:
        for number, name, version, last in self._rows(
            "SELECT s.stream_id, s.name, s.version, coalesce(max(e.version), s.forgotten) "
            "FROM {schema}.streams s LEFT JOIN {schema}.events e USING (stream_id) GROUP BY s.stream_id "
            "HAVING s.version <> coalesce(max(e.version), s.forgotten)"
        ):
            problem = f"its row says that event {version} is the last, and event {last} is"
            yield Fault("stream", problem, name, 0, number)

    def _of_snapshots(self) -> Iterator[Fault]:
        for number, version, schema, mark, data, name in self._rows(
            "SELECT n.stream_id, n.version, n.schema, n.mark, n.data, s.name "
            "FROM {schema}.snapshots n JOIN {schema}.streams s USING (stream_id)"
        ):
            try:
                restored(mark, data, of_snapshot(name, version, schema))
            except ValueError as problem:
                yield Fault("snapshot", str(problem), name, version, number)

    def _of_views(self) -> Iterator[Fault]:
        rows = self._rows(
            "SELECT v.view_id, v.name, e.key, e.value, e.mark "
            "FROM {schema}.views v JOIN {schema}.view_entries e USING (view_id)"
        )
        bad = {
            number: name
            for number, name, key, value, mark in rows
            if mark is not None and of_entry(name, key, value) != mark
        }
        for number, name in bad.items():
            yield Fault("view", f"the view {name!r} does not match its checksums", number=number)

    def _of_blobs(self) -> Iterator[Fault]:
        for key, mark, data in self._rows("SELECT key, mark, data FROM {schema}.blobs"):
            try:
                restored(mark, data, of_blob(key))
            except ValueError as problem:
                yield Fault("blob", f"the value {bytes(key).hex()}: {problem}", key=bytes(key))
        for (key,) in self._rows(
            "SELECT key FROM {schema}.blobs b "
            "WHERE NOT EXISTS (SELECT FROM {schema}.blob_uses u WHERE u.key = b.key)"
        ):
            yield Fault("orphan", f"no event needs the value {bytes(key).hex()}", mends=False)

    def streams(self) -> dict[str, tuple[int, int]]:
        """See ``Mender.streams``."""
        rows = self._rows("SELECT name, forgotten, version FROM {schema}.streams")
        return {name: (forgotten, version) for name, forgotten, version in rows}

    # -- mending ----------------------------------------------------------------------------------

    def begin(self) -> None:
        """See ``Mender.begin``."""
        self._rows("BEGIN")
        self._rows("SELECT {schema}.take_turn(%s)", int(_PATIENCE * 1000))

    def mend(self, fault: Fault, now: int) -> str:
        """See ``Mender.mend``."""
        return {
            "stream": self._mend_stream,
            "snapshot": self._drop_snapshot,
            "view": self._drop_view,
            "blob": self._drop_blob,
        }[fault.code](fault, now)

    def _mend_stream(self, fault: Fault, now: int) -> str:
        row = self._rows("SELECT * FROM {schema}.streams WHERE stream_id = %s", fault.number)[0]
        self._keep_aside(fault.stream, 0, fault.problem, row, now)
        first, last, position = self._rows(
            "SELECT min(version), max(version), max(position) FROM {schema}.events WHERE stream_id = %s",
            fault.number,
        )[0]
        if last is None:
            self._rows("UPDATE {schema}.streams SET forgotten = version WHERE stream_id = %s", fault.number)
            return "there is no event of it"
        self._rows(
            "UPDATE {schema}.streams SET version = %s, position = %s, forgotten = %s WHERE stream_id = %s",
            last,
            position,
            first - 1,
            fault.number,
        )
        return f"made its row again from its events {first} to {last}"

    def _drop_snapshot(self, fault: Fault, now: int) -> str:
        place = (fault.number, fault.version)
        for row in self._rows(
            "SELECT * FROM {schema}.snapshots WHERE stream_id = %s AND version = %s", *place
        ):
            self._keep_aside(fault.stream, fault.version, f"snapshot: {fault.problem}", row, now)
        self._rows("DELETE FROM {schema}.snapshots WHERE stream_id = %s AND version = %s", *place)
        return "set it aside; it is made again from the events when it is worth it"

    def _drop_blob(self, fault: Fault, now: int) -> str:
        row = self._rows("SELECT * FROM {schema}.blobs WHERE key = %s", fault.key)[0]
        self._keep_aside("", 0, fault.problem, row, now)
        self._rows("DELETE FROM {schema}.blob_uses WHERE key = %s", fault.key)
        self._rows("DELETE FROM {schema}.blobs WHERE key = %s", fault.key)
        return "set it aside, so that it can be written again"

    def _drop_view(self, fault: Fault, now: int) -> str:
        for row in self._rows(
            "SELECT v.name, e.key, e.value, e.mark FROM {schema}.views v "
            "JOIN {schema}.view_entries e USING (view_id) WHERE v.view_id = %s",
            fault.number,
        ):
            name, key, value, mark = row
            if mark is not None and of_entry(name, key, value) != mark:
                self._keep_aside("", 0, f"entry of a view: {fault.problem}", row, now)
        self._rows("DELETE FROM {schema}.view_entries WHERE view_id = %s", fault.number)
        self._rows("DELETE FROM {schema}.views WHERE view_id = %s", fault.number)
        return "dropped the view; whoever keeps it makes it again from the events"

    # -- events -----------------------------------------------------------------------------------

    def set_aside(self, stream: str, version: int, why: str, now: int) -> tuple[int, str]:
        """See ``Mender.set_aside``."""
        rows = self._rows(
            "SELECT e.* FROM {schema}.events e JOIN {schema}.streams s USING (stream_id) "
            "WHERE s.name = %s AND e.version = %s",
            stream,
            version,
        )
        if not rows:
            return 0, ""
        (was,) = self._rows("SELECT type FROM {schema}.events WHERE position = %s", rows[0][0])[0]
        return self._keep_aside(stream, version, why, rows[0], now), was

    def put(self, stream: str, version: int, event: Placed) -> None:
        """See ``Mender.put``."""
        ((number,),) = self._rows("SELECT stream_id FROM {schema}.streams WHERE name = %s", stream)
        there = self._rows(
            "SELECT position FROM {schema}.events WHERE stream_id = %s AND version = %s", number, version
        )
        position = there[0][0] if there else self._free_position(number, version)
        place = of_event(stream, event.type, 1, event.event_id, "", b"", event.at, "")
        mark = crc32(event.data) ^ numbered(place, position, version, 0) | BOUND
        self._rows("DELETE FROM {schema}.events WHERE position = %s", position)
        self._rows(
            "INSERT INTO {schema}.events (position, stream_id, version, at, epoch, mark, schema, event_id, "
            "causation_id, type, correlation_id, fingerprint, data) "
            "VALUES (%s, %s, %s, %s, 0, %s, 1, encode(%s, 'hex')::uuid, NULL, %s, '', '', %s)",
            position,
            number,
            version,
            event.at,
            mark,
            event.event_id,
            event.type,
            event.data,
        )
        self._rows("DELETE FROM {schema}.snapshots WHERE stream_id = %s AND version >= %s", number, version)

    def _free_position(self, stream: int, version: int) -> int:
        """A position between those of the events around a missing one.

        Raises:
            CorruptLogError: There is none.
        """
        free = self._rows(
            "SELECT p FROM (SELECT coalesce((SELECT max(position) FROM {schema}.events "
            "WHERE stream_id = %s AND version < %s), 0) a, coalesce((SELECT min(position) "
            "FROM {schema}.events WHERE stream_id = %s AND version > %s), "
            "(SELECT coalesce(max(position), 0) + 2 FROM {schema}.events)) b) r, "
            "generate_series(r.a + 1, r.b - 1) p "
            "WHERE NOT EXISTS (SELECT FROM {schema}.events e WHERE e.position = p) LIMIT 1",
            stream,
            version,
            stream,
            version,
        )
        if not free:
            raise CorruptLogError(self.where, f"there is no room for event {version} that is missing")
        position = int(free[0][0])
        self._rows(
            "SELECT setval('{schema}.positions', greatest(%s, (SELECT last_value FROM {schema}.positions)))",
            position,
        )
        return position

    def _keep_aside(self, stream: str, version: int, why: str, row: Any, now: int) -> int:
        kept = ormsgpack.packb([_plain(column) for column in row])
        return int(
            self._rows(
                "INSERT INTO {schema}.aside (at, stream, version, why, kept) VALUES (%s, %s, %s, %s, %s) "
                "RETURNING aside_id",
                now,
                stream,
                version,
                why,
                kept,
            )[0][0]
        )

    def commit(self) -> None:
        """See ``Mender.commit``."""
        self._rows("COMMIT")

    def close(self) -> None:
        """See ``Mender.close``."""
        self._db.close()  # which undoes what was not committed
        self._connections.close()


def _plain(column: Any) -> Any:
    """A column as MessagePack can hold it."""
    if isinstance(column, memoryview):
        return bytes(column)
    return column if isinstance(column, bytes | int | str | None) else str(column)
