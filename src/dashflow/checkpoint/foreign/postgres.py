"""The tables of LangGraph's ``PostgresSaver`` (the shallow one too) and ``PostgresStore``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from dashflow._util.reserved import TASKS
from dashflow.checkpoint.foreign.database import (
    Lost,
    Marks,
    StoredItem,
    Taken,
    Value,
    Write,
    finished,
    sends_of,
)
from dashflow.checkpoint.foreign.packed import Packing, UnreadableError, mark_of
from dashflow.checkpoint.imported import EMPTY_TAG, Typed
from dashflow.errors import DamagedFileError, NotLangGraphError, StorageUnavailableError, UsageError

_PAGE = 100
"""Rows that the server sends at a time."""

_COLUMNS = """
    SELECT table_name, column_name FROM information_schema.columns
    WHERE table_schema = current_schema()
    AND table_name IN ('checkpoints', 'checkpoint_blobs', 'checkpoint_writes', 'store')
"""

_PLACES = """
    SELECT DISTINCT thread_id, checkpoint_ns FROM checkpoints {where}
    ORDER BY thread_id, checkpoint_ns
"""

_CHECKPOINTS = """
    SELECT {id} AS checkpoint_id, {parent}, checkpoint, metadata FROM checkpoints
    WHERE thread_id = %s AND checkpoint_ns = %s ORDER BY {id} COLLATE "C"
"""

_BLOBS = """
    SELECT channel, type, blob FROM checkpoint_blobs
    WHERE thread_id = %s AND checkpoint_ns = %s AND (channel, {version}) IN (
        SELECT * FROM unnest(%s::text[], %s::text[])
    )
"""

_WRITES = """
    SELECT task_id, {path}, idx, channel, type, blob FROM checkpoint_writes
    WHERE thread_id = %s AND checkpoint_ns = %s AND checkpoint_id = %s ORDER BY 2, task_id, idx
"""

_ORPHANS = """
    SELECT count(DISTINCT checkpoint_id) FROM checkpoint_writes w WHERE thread_id = %s AND checkpoint_ns = %s
    AND NOT EXISTS (
        SELECT 1 FROM checkpoints c WHERE c.thread_id = w.thread_id AND c.checkpoint_ns = w.checkpoint_ns
        AND {id} = w.checkpoint_id
    )
"""

_ITEMS = """
    SELECT prefix, key, value::text, {created}, {updated}, {expires}, {ttl} FROM store
    ORDER BY prefix, key
"""


def _as_text(column: str) -> str:
    """A time as a store's file has it."""
    return f"to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"


class PostgresDatabase:
    """A PostgreSQL database that LangGraph's saver or store wrote to.

    Args:
        dsn: Where it is; another schema than ``public`` by ``options=-csearch_path=...``.

    Raises:
        UsageError: psycopg is not installed.
        NotLangGraphError: The database has no such tables.
        StorageUnavailableError: The server cannot be reached, or refuses.
    """

    kind = "postgres"

    def __init__(self, dsn: str) -> None:
        self.where = shown_dsn(dsn)
        try:
            import psycopg
        except ImportError:
            raise UsageError(
                "Importing from PostgreSQL needs psycopg: pip install 'psycopg[binary]'"
            ) from None
        self._errors = psycopg
        with self._understood():
            self._connection = psycopg.connect(dsn, prepare_threshold=None)
        try:
            with self._understood():
                self._connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                self._connection.read_only = True
                self._tables = self._found()
            self._check()
        except BaseException:
            self._connection.close()
            raise
        self._cursors = 0

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """psycopg's errors as ours; they may hold the password, so only their first line is told."""
        try:
            yield
        except self._errors.DataError as error:
            raise DamagedFileError(self.where, _first_line(error)) from error
        except self._errors.Error as error:
            raise StorageUnavailableError(self.where, _first_line(error)) from error

    def _found(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for table, column in self._connection.execute(_COLUMNS).fetchall():
            found.setdefault(table, set()).add(column)
        return found

    def _check(self) -> None:
        columns = self._tables.get("checkpoints", set())
        if (
            not {"thread_id", "checkpoint_ns", "checkpoint", "metadata"} <= columns
            and "store" not in self._tables
        ):
            raise NotLangGraphError(self.where, "it has no table of checkpoints of LangGraph's, and no store")
        shallow = bool(columns) and "checkpoint_id" not in columns
        self.kind = "postgres-shallow" if shallow else "postgres"
        self._id = "checkpoint ->> 'id'" if shallow else "checkpoint_id"
        self._parent = "NULL" if shallow else "parent_checkpoint_id"
        self._path = "task_path" if "task_path" in self._tables.get("checkpoint_writes", ()) else "''"
        self._version = "version" if "version" in self._tables.get("checkpoint_blobs", ()) else "''"

    def _rows(self, statement: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Rows as the server has them ready; never all at once."""
        self._cursors += 1
        with self._understood(), self._connection.cursor(f"dashflow_{self._cursors}") as cursor:
            cursor.itersize = _PAGE
            cursor.execute(statement, values)
            yield from cursor

    def _all(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._understood():
            return self._connection.execute(statement, values).fetchall()

    def places(self, threads: Sequence[str]) -> Iterator[tuple[str, str]]:
        """See ``Database``."""
        if "checkpoints" not in self._tables:
            return
        where = "WHERE thread_id = ANY(%s)" if threads else ""
        for row in self._rows(_PLACES.format(where=where), [list(threads)] if threads else ()):
            yield str(row[0]), str(row[1])

    def checkpoints(
        self, thread: str, ns: str, packing: Packing, known: Marks
    ) -> Iterator[Taken | tuple[str, UnreadableError]]:
        """See ``Database``."""
        statement = _CHECKPOINTS.format(id=self._id, parent=self._parent)
        for identifier, parent, told, metadata in self._rows(statement, (thread, ns)):
            if not isinstance(told, dict) or not isinstance(told.get("channel_versions"), dict):
                problem = UnreadableError("damaged", "is no checkpoint: it has no versions of channels")
                yield str(identifier), problem
                continue
            try:
                yield self._taken((thread, ns), identifier, parent, told, metadata, packing, known)
            except UnreadableError as problem:
                yield identifier, problem

    def _taken(
        self,
        place: tuple[str, str],
        identifier: str,
        parent: str | None,
        told: dict[str, Any],
        metadata: Mapping[str, Any],
        packing: Packing,
        known: Marks,
    ) -> Taken:
        inline = told.pop("channel_values", None) or {}
        labels = dict(told["channel_versions"])
        values: dict[str, Value] = {}
        lost: list[Lost] = []
        wanted = {}
        for name, label in labels.items():
            if (name, _mark(label)) in known and self.kind == "postgres":
                values[name] = Value(name, label, _mark(label), None)
            else:
                wanted[name] = label
        for name, tag, data in self._blobs(place, wanted):
            try:
                typed = packing.opened(tag, data)
            except UnreadableError as problem:
                lost.append(Lost(name, problem))
                continue
            if typed[0] != EMPTY_TAG:
                values[name] = Value(name, labels[name], _mark(labels[name]), typed)
        for name, value in inline.items():
            if name not in values and not any(
                name == one.name for one in lost
            ):  # else it is a mark: see blob
                typed = packing.packed(value)
                values[name] = Value(name, labels.get(name), mark_of(typed), typed)

        def sends() -> Sequence[Typed]:
            return sends_of(self.writes(*place, parent or ""), packing, TASKS)

        moved: dict[str, Typed] = {}
        own = finished(identifier, parent, told, moved, sends)
        for name, typed in moved.items():
            values[name] = Value(name, told["channel_versions"].get(name), mark_of(typed), typed)
        meta = packing.packed(dict(metadata))
        return Taken(identifier, parent or "", own, meta, list(values.values()), lost)

    def _blobs(self, place: tuple[str, str], wanted: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        if not wanted or "checkpoint_blobs" not in self._tables:
            return []
        versions = [str(label) if self._version == "version" else "" for label in wanted.values()]
        return self._all(_BLOBS.format(version=self._version), (*place, list(wanted), versions))

    def writes(self, thread: str, ns: str, checkpoint: str) -> list[Write]:
        """See ``Database``."""
        if "checkpoint_writes" not in self._tables:
            return []
        return [Write(*row) for row in self._all(_WRITES.format(path=self._path), (thread, ns, checkpoint))]

    def orphans(self, thread: str, ns: str) -> int:
        """See ``Database``; a shallow saver leaves writes of earlier checkpoints behind, which is no loss."""
        if "checkpoint_writes" not in self._tables or self.kind == "postgres-shallow":
            return 0
        return int(self._all(_ORPHANS.format(id=self._id), (thread, ns))[0][0])

    def count_items(self) -> int:
        """See ``Database``."""
        return int(self._all("SELECT count(*) FROM store")[0][0]) if "store" in self._tables else 0

    def items(self) -> Iterator[StoredItem]:
        """See ``Database``."""
        if columns := self._tables.get("store"):
            created, updated, expires = map(_as_text, ("created_at", "updated_at", "expires_at"))
            ttl = "ttl_minutes"
            if ttl not in columns:  # before items could end
                expires = ttl = "NULL"
            statement = _ITEMS.format(created=created, updated=updated, expires=expires, ttl=ttl)
            yield from (StoredItem(*row) for row in self._rows(statement))

    def close(self) -> None:
        """See ``Database``."""
        self._connection.close()


def shown_dsn(dsn: str) -> str:
    """A DSN without user, password and options."""
    scheme, _, rest = dsn.partition("://")
    host = rest.partition("?")[0].rpartition("@")[2]
    return f"{scheme}://{host}" if rest else "postgresql"


def _mark(label: Any) -> str:
    """What tells a stored value from others of its channel."""
    return f"version {label}"


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).partition("\n")[0]
