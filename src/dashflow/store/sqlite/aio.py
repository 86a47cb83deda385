"""AsyncSqliteStore: the same items in the same files as ``SqliteStore``, for asyncio programs."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import weakref
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Any, Self, TypeVar

from dashflow._util.database import connect
from dashflow.store.base import Op, Result, TTLConfig
from dashflow.store.base.batch import AsyncBatchedBaseStore
from dashflow.store.index import NO_VECTORS
from dashflow.store.sqlite.base import BaseSqliteStore, Deserializer, SqliteIndexConfig
from dashflow.store.sweeper import interval_seconds

__all__ = ("AsyncSqliteStore",)

_logger = logging.getLogger(__name__)

T = TypeVar("T")


class AsyncSqliteStore(AsyncBatchedBaseStore, BaseSqliteStore):
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
        self._stop = asyncio.Event()
        self._sweeping: asyncio.Task[None] | None = None
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

    async def start_ttl_sweeper(self, sweep_interval_minutes: float | None = None) -> asyncio.Task[None]:
        """Sweep every so many minutes, in a task.

        Args:
            sweep_interval_minutes: Between two sweeps; None: as the store was told, else 5.

        Returns:
            The task; cancelling it stops the sweeper.
        """
        if self.ttl_config is None:
            return asyncio.create_task(asyncio.sleep(0))
        if self._sweeping is None or self._sweeping.done():
            self._stop = asyncio.Event()
            seconds = interval_seconds(self.ttl_config, sweep_interval_minutes)
            self._sweeping = asyncio.create_task(
                _sweep(weakref.ref(self), seconds, self._stop), name="ttl_sweeper"
            )
        return self._sweeping

    async def stop_ttl_sweeper(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - LangGraph's
        """Stop the sweeper; whether it has stopped within ``timeout`` seconds."""
        if self._sweeping is None:
            return True
        self._stop.set()
        await asyncio.wait({self._sweeping}, timeout=timeout)
        if not self._sweeping.done():
            return False
        self._sweeping = None
        return True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self._stop.set()


async def _sweep(where: weakref.ReferenceType[AsyncSqliteStore], seconds: float, stop: asyncio.Event) -> None:
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await stop.wait()
            return
        store = where()
        if store is None:
            return
        try:
            await store.sweep_ttl()
        except Exception:
            _logger.exception("A sweep of expired items failed; the next is in %g s", seconds)
        del store
