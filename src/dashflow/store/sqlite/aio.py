"""AsyncSqliteStore: the same items in the same files as ``SqliteStore``, for asyncio programs."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

from dashflow._util.database import connect
from dashflow.store.base import Op, Result, TTLConfig
from dashflow.store.base.batch import AsyncBatchedBaseStore
from dashflow.store.index import NO_VECTORS
from dashflow.store.sqlite.base import BaseSqliteStore, Deserializer, SqliteIndexConfig
from dashflow.store.task_sweeper import SweptByTask

__all__ = ("AsyncSqliteStore",)

T = TypeVar("T")


class AsyncSqliteStore(SweptByTask, AsyncBatchedBaseStore, BaseSqliteStore):
    """Items in a SQLite file, for asyncio; the disk is waited for in a thread.

    Belongs to the event loop in which it was made.

    Args:
        conn: A connection of the package aiosqlite, or one of sqlite3 that was made with
            ``check_same_thread=False``.
        deserializer: Makes values of stored JSON (bytes); the default reads it as it is.
        index: What is searched by meaning, and how; without it nothing is.
        ttl: How long items live.

    Attributes:
        conn: The connection.

    Raises:
        TypeError: ``conn`` is no such connection.
    """

    supports_ttl = True

    def __init__(
        self,
        conn: Any,
        *,
        deserializer: Deserializer | None = None,
        index: SqliteIndexConfig | None = None,
        ttl: TTLConfig | None = None,
    ) -> None:
        if not (isinstance(conn, sqlite3.Connection) or hasattr(conn, "_execute")):
            raise TypeError(
                f"AsyncSqliteStore takes a connection of aiosqlite, not a {type(conn).__name__}. "
                "AsyncSqliteStore.from_conn_string(path) opens a file."
            )
        super().__init__()
        self.conn = conn
        self._configure(deserializer, index, ttl)

    @classmethod
    @asynccontextmanager
    async def from_conn_string(
        cls, conn_string: str, *, index: SqliteIndexConfig | None = None, ttl: TTLConfig | None = None
    ) -> AsyncIterator[Self]:
        """A store on a file, closed at the end of the ``async with`` block.

        Args:
            conn_string: Path of the file, or ``":memory:"``.
            index: What is searched by meaning, and how.
            ttl: How long items live.
        """
        connection = await asyncio.to_thread(connect, conn_string)
        try:
            store = cls(connection, index=index, ttl=ttl)
            try:
                yield store
            finally:
                await store.stop_ttl_sweeper()
                if store._task is not None:
                    store._task.cancel()
                await asyncio.to_thread(store._close)
        finally:
            connection.close()

    def _close(self) -> None:
        """Wait for what a thread may still be doing, and close."""
        with self._turn:
            self.conn.close()

    async def _apart(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do ``work`` with the connection in a thread: aiosqlite's own, if it is one of that."""
        if isinstance(self.conn, sqlite3.Connection):
            return await asyncio.to_thread(self._on, self.conn, work)
        done: T = await self.conn._execute(lambda: self._on(self.conn._conn, work))
        return done

    async def setup(self) -> None:
        """Make the tables. Need not be called: the first operation does it."""
        await self._apart(lambda connection: None)

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out operations, all or none; see ``BaseStore.batch``.

        Raises:
            InvalidNamespaceError: A label is not valid.
            TypeError: A value has something in it that JSON has not.
        """
        checked, values = self._checked(ops)
        vectors = await self._index.aembed(checked) if self._index else NO_VECTORS
        return await self._apart(lambda connection: self._carry_out(connection, checked, values, vectors))

    async def sweep_ttl(self) -> int:
        """Delete the items whose life is over; how many that were."""
        return await self._apart(self._sweep)
