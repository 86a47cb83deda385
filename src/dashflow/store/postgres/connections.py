"""Connections and pools behind the port: of the program's own, or opened by the store. Sync and async.

Leaves no session state and no prepared statements, so a pooler may be between it and the server.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

from psycopg import AsyncConnection, AsyncCursor, Capabilities, Connection, Cursor, OperationalError
from psycopg.pq import ConnStatus, TransactionStatus
from psycopg.rows import dict_row, tuple_row
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from dashflow.errors import UsageError
from dashflow.store.postgres.config import PoolConfig
from dashflow.store.postgres.faults import address, told
from dashflow.store.postgres.statements import Rows, Statement

__all__ = ("AsyncConnections", "Connections")

_OPTIONS: Final[dict[str, Any]] = {"autocommit": True, "prepare_threshold": None, "row_factory": dict_row}
"""Of connections that a store opens."""

_PIPELINES: Final = Capabilities().has_pipeline()


class Connections:
    """A ``Port`` over a connection, on which threads take turns, or over a pool.

    Args:
        conn: The connection or pool.
        string: Opens the connection again when the server has closed it; None: it is the program's.

    Attributes:
        conn: The connection or pool.
        where: The database, for messages.

    Raises:
        TypeError: ``conn`` is neither.
    """

    def __init__(self, conn: Connection[Any] | ConnectionPool[Any], string: str | None = None) -> None:
        if not isinstance(conn, Connection | ConnectionPool):
            raise TypeError(
                f"PostgresStore takes a connection or a pool of psycopg, not a {type(conn).__name__}. "
                "PostgresStore.from_conn_string(...) opens one."
            )
        self.conn = conn
        self.where = _where(conn)
        self._string = string
        self._turn = threading.Lock()

    @classmethod
    @contextmanager
    def opened(cls, string: str, pool: PoolConfig | None) -> Iterator[Connections]:
        """A connection, or a pool, that is closed at the end.

        Raises:
            StorageUnavailableError: The server is away.
            UsageError: The string is no connection string.
        """
        where = address(string)
        with told(where):
            first = Connection.connect(string, **_options(pool))
        if pool is None:
            connections = cls(first, string)
            try:
                yield connections
            finally:
                connections.conn.close()
            return
        first.close()
        with ConnectionPool(string, **_settings(pool), check=_check, open=False) as made:
            yield cls(made)

    @contextmanager
    def taken(self) -> Iterator[Connection[Any]]:
        """A connection for this thread alone."""
        if isinstance(self.conn, ConnectionPool):
            with self.conn.connection() as connection:
                yield connection
            return
        with self._turn:
            if self._string is not None and _is_gone(self.conn):
                self.conn.close()
                self.conn = Connection.connect(self._string, **_OPTIONS)
            yield self.conn

    async def run(self, statements: Sequence[Statement], *, pipelined: bool = True) -> list[Rows]:
        """See ``Port.run``. Never suspends."""
        if not statements:
            return []
        with told(self.where), self.taken() as connection:
            if connection.pgconn.pipeline_status:  # what the program has sent is done first
                with connection.pipeline():
                    pass
            _check_idle(connection)
            if len(statements) == 1 and connection.autocommit:
                return [_rows(_sent(connection, statements[0]))]
            if not (pipelined and _PIPELINES):
                with connection.transaction():
                    return [_rows(_sent(connection, statement)) for statement in statements]
            with connection.pipeline(), connection.transaction():
                cursors = [_sent(connection, statement) for statement in statements]
            return [_rows(cursor) for cursor in cursors]


class AsyncConnections:
    """``Connections`` for asyncio.

    Args:
        conn: The connection or pool.
        string: Opens the connection again when the server has closed it; None: it is the program's.

    Attributes:
        conn: The connection or pool.
        where: The database, for messages.

    Raises:
        TypeError: ``conn`` is neither.
    """

    def __init__(
        self, conn: AsyncConnection[Any] | AsyncConnectionPool[Any], string: str | None = None
    ) -> None:
        if not isinstance(conn, AsyncConnection | AsyncConnectionPool):
            raise TypeError(
                f"AsyncPostgresStore takes an async connection or pool of psycopg, not a "
                f"{type(conn).__name__}. AsyncPostgresStore.from_conn_string(...) opens one."
            )
        self.conn = conn
        self.where = _where(conn)
        self._string = string
        self._turn = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def opened(cls, string: str, pool: PoolConfig | None) -> AsyncIterator[AsyncConnections]:
        """A connection, or a pool, that is closed at the end.

        Raises:
            StorageUnavailableError: The server is away.
            UsageError: The string is no connection string.
        """
        where = address(string)
        with told(where):
            first = await AsyncConnection.connect(string, **_options(pool))
        if pool is None:
            connections = cls(first, string)
            try:
                yield connections
            finally:
                await connections.conn.close()
            return
        await first.close()
        async with AsyncConnectionPool(string, **_settings(pool), check=_acheck, open=False) as made:
            yield cls(made)

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[AsyncConnection[Any]]:
        """A connection for this task alone."""
        if isinstance(self.conn, AsyncConnectionPool):
            async with self.conn.connection() as connection:
                yield connection
            return
        async with self._turn:
            if self._string is not None and _is_gone(self.conn):
                await self.conn.close()
                self.conn = await AsyncConnection.connect(self._string, **_OPTIONS)
            yield self.conn

    async def run(self, statements: Sequence[Statement], *, pipelined: bool = True) -> list[Rows]:
        """See ``Port.run``."""
        if not statements:
            return []
        with told(self.where):
            async with self.taken() as connection:
                if connection.pgconn.pipeline_status:
                    async with connection.pipeline():
                        pass
                _check_idle(connection)
                if len(statements) == 1 and connection.autocommit:
                    return [await _arows(await _asent(connection, statements[0]))]
                if not (pipelined and _PIPELINES):
                    async with connection.transaction():
                        return [await _arows(await _asent(connection, statement)) for statement in statements]
                async with connection.pipeline(), connection.transaction():
                    cursors = [await _asent(connection, statement) for statement in statements]
                return [await _arows(cursor) for cursor in cursors]


def _where(conn: Any) -> str:
    if isinstance(conn, Connection | AsyncConnection):
        if conn.closed:
            raise UsageError("The PostgreSQL connection is closed; open another.")
        return address(conn.info.dsn)
    return address(conn.conninfo) if isinstance(conn.conninfo, str) else "the pool's database"


def _options(pool: PoolConfig | None) -> dict[str, Any]:
    return {**_OPTIONS, **((pool or {}).get("kwargs") or {})}


def _settings(pool: PoolConfig) -> dict[str, Any]:
    return {"min_size": 1, "max_size": None, **pool, "kwargs": _options(pool)}


def _check_idle(connection: Any) -> None:
    if connection.info.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
        raise UsageError(
            "The PostgreSQL connection has an open transaction; commit it before the store uses the "
            "connection."
        )


def _is_gone(connection: Any) -> bool:
    """Whether the server has closed a connection that is not in use; asks only the socket."""
    if connection.closed:
        return True
    try:
        for _ in range(2):  # the server's last word first, then the end
            connection.pgconn.consume_input()
    except OperationalError:
        return True
    return bool(connection.pgconn.status != ConnStatus.OK)


def _check(connection: Connection[Any]) -> None:
    if _is_gone(connection):
        raise OperationalError("the server has closed the connection")


async def _acheck(connection: AsyncConnection[Any]) -> None:
    _check(connection)  # type: ignore[arg-type]  # asks only what both have


def _sent(connection: Connection[Any], statement: Statement) -> Cursor[Any]:
    # A cursor of psycopg's own kind, whatever the program made the connection's.
    cursor: Cursor[Any] = Cursor(connection, row_factory=tuple_row)
    return cursor.execute(statement.text, statement.values, prepare=False)


def _rows(cursor: Cursor[Any]) -> Rows:
    return cursor.fetchall() if cursor.description else []


async def _asent(connection: AsyncConnection[Any], statement: Statement) -> AsyncCursor[Any]:
    cursor: AsyncCursor[Any] = AsyncCursor(connection, row_factory=tuple_row)
    return await cursor.execute(statement.text, statement.values, prepare=False)


async def _arows(cursor: AsyncCursor[Any]) -> Rows:
    return await cursor.fetchall() if cursor.description else []
