"""The tables of LangGraph's ``SqliteSaver`` and ``SqliteStore``, of all its releases that have namespaces."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote

from dashflow._util.database import patiently
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
from dashflow.errors import DamagedFileError, NotLangGraphError, StorageUnavailableError, UsageError

_PATIENCE = 10.0
"""Seconds to wait for somebody who holds the file."""

_NEEDED = frozenset(
    {"thread_id", "checkpoint_ns", "checkpoint_id", "parent_checkpoint_id", "checkpoint", "metadata"}
)

_PLACES = (
    "SELECT DISTINCT thread_id, checkpoint_ns FROM checkpoints {where} ORDER BY thread_id, checkpoint_ns"
)

_CHECKPOINTS = """
    SELECT checkpoint_id, parent_checkpoint_id, type, checkpoint, metadata FROM checkpoints
    WHERE thread_id = ? AND checkpoint_ns = ? ORDER BY checkpoint_id
"""

_WRITES = """
    SELECT task_id, {path}, idx, channel, type, value FROM writes
    WHERE thread_id = ? AND checkpoint_ns = ? AND checkpoint_id = ? ORDER BY {path}, task_id, idx
"""

_ORPHANS = """
    SELECT count(DISTINCT checkpoint_id) FROM writes AS w WHERE thread_id = ? AND checkpoint_ns = ?
    AND NOT EXISTS (
        SELECT 1 FROM checkpoints AS c WHERE c.thread_id = w.thread_id
        AND c.checkpoint_ns = w.checkpoint_ns AND c.checkpoint_id = w.checkpoint_id
    )
"""

_ITEMS = "SELECT prefix, key, value, created_at, updated_at, {expires}, {ttl} FROM store ORDER BY prefix, key"


class SqliteDatabase:
    """A file that LangGraph's saver or store wrote.

    Args:
        path: The file.

    Raises:
        UsageError: There is no such file.
        NotLangGraphError: It is something else.
        DamagedFileError: SQLite says that it is damaged.
        StorageUnavailableError: It cannot be opened, or is locked.
    """

    kind = "sqlite"

    def __init__(self, path: str) -> None:
        self.where = path
        if not os.path.isfile(path):
            raise UsageError(f"There is no file {path!r} to import.", path=path)
        self._connection = sqlite3.connect(
            f"file:{quote(os.path.abspath(path))}?mode=ro", uri=True, timeout=_PATIENCE, isolation_level=None
        )
        try:
            with self._understood():
                patiently(lambda: self._connection.execute("BEGIN").close(), _PATIENCE)
                self._tables = self._found()
                self._check()
        except BaseException:
            self._connection.close()
            raise

    @contextmanager
    def _understood(self) -> Iterator[None]:
        """SQLite's errors as ours."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            if code == sqlite3.SQLITE_NOTADB:
                raise NotLangGraphError(self.where, "it is no SQLite database") from error
            if code in (
                sqlite3.SQLITE_BUSY,
                sqlite3.SQLITE_LOCKED,
                sqlite3.SQLITE_CANTOPEN,
                sqlite3.SQLITE_IOERR,
            ):
                raise StorageUnavailableError(self.where, str(error)) from error
            raise DamagedFileError(self.where, str(error)) from error

    def _found(self) -> dict[str, set[str]]:
        """Tables and their columns."""
        names = self._connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        return {name: self._columns(name) for (name,) in names}

    def _columns(self, table: str) -> set[str]:
        rows = self._connection.execute("SELECT name FROM pragma_table_info(?)", (table,))
        return {name for (name,) in rows}

    def _check(self) -> None:
        columns = self._tables.get("checkpoints", set())
        if "thread_ts" in columns:
            raise NotLangGraphError(
                self.where, "its tables are from before LangGraph 0.2; open it once with a later release"
            )
        if not columns >= _NEEDED and "store" not in self._tables:
            raise NotLangGraphError(self.where, "it has no table of checkpoints of LangGraph's, and no store")
        problems = self._connection.execute("PRAGMA quick_check(1)").fetchone()
        if problems[0] != "ok":
            raise DamagedFileError(self.where, str(problems[0]).partition("\n")[0])
        self._path = "task_path" if "task_path" in self._tables.get("writes", ()) else "''"

    def _rows(self, statement: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        with self._understood():
            cursor = self._connection.execute(statement, tuple(values))
            try:
                yield from cursor
            finally:
                cursor.close()

    def places(self, threads: Sequence[str]) -> Iterator[tuple[str, str]]:
        """See ``Database``."""
        if "checkpoints" not in self._tables:
            return
        if not threads:
            yield from ((str(thread), ns) for thread, ns in self._rows(_PLACES.format(where="")))
        for thread in threads:
            rows = self._rows(_PLACES.format(where="WHERE thread_id = ?"), (thread,))
            yield from ((str(found), ns) for found, ns in rows)

    def checkpoints(
        self, thread: str, ns: str, packing: Packing, known: Marks
    ) -> Iterator[Taken | tuple[str, UnreadableError]]:
        """See ``Database``."""
        for identifier, parent, tag, data, metadata in self._rows(_CHECKPOINTS, (thread, ns)):
            try:
                yield self._taken((thread, ns), identifier, parent, (tag, data), metadata, packing)
            except UnreadableError as problem:
                yield identifier, problem

    def _taken(
        self,
        place: tuple[str, str],
        identifier: str,
        parent: str | None,
        stored: tuple[str | None, Any],
        metadata: Any,
        packing: Packing,
    ) -> Taken:
        told, values = packing.apart(packing.opened(*stored))

        def sends() -> Sequence[Any]:
            return sends_of(self.writes(*place, parent or ""), packing, TASKS)

        own = finished(identifier, parent, told, values, sends)
        labels = told.get("channel_versions", {})
        return Taken(
            identifier,
            parent or "",
            own,
            packing.packed(_metadata(metadata)),
            [Value(name, labels.get(name), mark_of(typed), typed) for name, typed in values.items()],
            list[Lost](),
        )

    def writes(self, thread: str, ns: str, checkpoint: str) -> list[Write]:
        """See ``Database``."""
        if "writes" not in self._tables:
            return []
        return [Write(*row) for row in self._rows(_WRITES.format(path=self._path), (thread, ns, checkpoint))]

    def orphans(self, thread: str, ns: str) -> int:
        """See ``Database``."""
        if "writes" not in self._tables:
            return 0
        return int(next(self._rows(_ORPHANS, (thread, ns)))[0])

    def count_items(self) -> int:
        """See ``Database``."""
        return int(next(self._rows("SELECT count(*) FROM store"))[0]) if "store" in self._tables else 0

    def items(self) -> Iterator[StoredItem]:
        """See ``Database``."""
        if columns := self._tables.get("store"):
            expires = "expires_at" if "expires_at" in columns else "NULL"
            ttl = "ttl_minutes" if "ttl_minutes" in columns else "NULL"
            yield from (StoredItem(*row) for row in self._rows(_ITEMS.format(expires=expires, ttl=ttl)))

    def close(self) -> None:
        """See ``Database``."""
        self._connection.close()


def _metadata(stored: Any) -> dict[str, Any]:
    """A checkpoint's metadata, which is JSON in all releases.

    Raises:
        UnreadableError: It is not.
    """
    try:
        told = json.loads(stored) if stored is not None else {}
    except (ValueError, TypeError) as problem:
        raise UnreadableError("damaged", f"has metadata that is damaged: {problem}") from problem
    if not isinstance(told, dict):
        raise UnreadableError("damaged", "has metadata that is not made of named parts")
    return told
