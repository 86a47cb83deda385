"""PostgresStore: items in a PostgreSQL database that many machines may use. Its twin is ``aio``."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Self

from psycopg import Connection, Cursor, Pipeline
from psycopg.rows import dict_row
from psycopg_pool import ConnectionPool

from dashflow._util.drive import drive
from dashflow._util.langchain import Embeddings
from dashflow.store.base import BaseStore, Op, Result, TTLConfig
from dashflow.store.index import NO_VECTORS, TextIndex
from dashflow.store.postgres import tables
from dashflow.store.postgres.batch import Batch, Settings, checked, sweep
from dashflow.store.postgres.config import (
    ANNIndexConfig,
    HNSWConfig,
    IVFFlatConfig,
    PoolConfig,
    PostgresIndexConfig,
    VectorColumn,
)
from dashflow.store.postgres.connections import Connections
from dashflow.store.postgres.faults import told
from dashflow.store.postgres.ports import carry_out
from dashflow.store.sweeper import SweptByThread, ThreadSweeper

__all__ = (
    "MIGRATIONS",
    "VECTOR_MIGRATIONS",
    "ANNIndexConfig",
    "BasePostgresStore",
    "HNSWConfig",
    "IVFFlatConfig",
    "PoolConfig",
    "PostgresIndexConfig",
    "PostgresStore",
)

MIGRATIONS = tables.MIGRATIONS
VECTOR_MIGRATIONS = tables.VECTOR_MIGRATIONS

Deserializer = Callable[[bytes], dict[str, Any]]


class BasePostgresStore:
    """What both stores on PostgreSQL know; statements are run by their connections.

    Attributes:
        index_config: A copy of what the store was told about its index.
        embeddings: What makes the vectors.
        ttl_config: What the store was told about the life of items.
        clock: What time it is; None, the default: the server says so.
    """

    MIGRATIONS: Sequence[str] = MIGRATIONS
    VECTOR_MIGRATIONS: Sequence[str] = VECTOR_MIGRATIONS
    supports_ttl = True
    index_config: PostgresIndexConfig | None = None
    embeddings: Embeddings | None = None
    ttl_config: TTLConfig | None = None
    clock: Callable[[], datetime] | None = None

    def _configure(
        self, deserializer: Deserializer | None, index: PostgresIndexConfig | None, ttl: TTLConfig | None
    ) -> None:
        self._deserializer = deserializer
        self._index = TextIndex(index) if index else None
        self._column = VectorColumn.of(index) if index else None
        if self._index:
            self.index_config, self.embeddings = self._index.config, self._index.embeddings
        self.ttl_config = ttl

    def _now(self) -> datetime | None:
        return None if self.clock is None else self.clock()

    def _layout(self) -> tables.Layout:
        return tables.Layout(self.MIGRATIONS, self.VECTOR_MIGRATIONS, self._column)

    def _settings(self) -> Settings:
        life = self.ttl_config or {}
        return Settings(
            self._column,
            bool(life.get("refresh_on_read")),
            bool(life.get("omit_expired")),
            self._now(),
            self._deserializer,
        )


def check_pipe(conn: Any, pipe: Any) -> None:
    """Refuse a pipeline beside a pool.

    Raises:
        ValueError: That is what there is.
    """
    if pipe is not None and hasattr(conn, "getconn"):
        raise ValueError(
            "Pipeline should be used only with a single connection, not a pool: leave 'pipe' out. The store "
            "pipelines its statements by itself."
        )


class PostgresStore(SweptByThread, BasePostgresStore, BaseStore):
    """Items in a PostgreSQL database, for threads.

    Call ``setup`` once for a database. Statements are pipelined; there is no session state and no prepared
    statement, so a pooler of transactions may be between.

    Args:
        conn: A connection of psycopg, on which threads take turns and which must not be in a transaction;
            or a pool.
        pipe: A pipeline of the connection, which the program has entered.
        deserializer: Makes values of stored JSON (bytes); the default reads it as it is.
        index: What is searched by meaning, and how; without it nothing is. It needs the extension pgvector.
        ttl: How long items live.

    Attributes:
        pipe: The pipeline.

    Raises:
        TypeError: ``conn`` is neither.
        ValueError: The index has settings that are not known, or a pool has a pipeline.
    """

    def __init__(
        self,
        conn: Connection[Any] | ConnectionPool[Any],
        *,
        pipe: Pipeline | None = None,
        deserializer: Deserializer | None = None,
        index: PostgresIndexConfig | None = None,
        ttl: TTLConfig | None = None,
    ) -> None:
        super().__init__()
        check_pipe(conn, pipe)
        self._connections = Connections(conn)
        self.pipe = pipe
        self._sweeper = ThreadSweeper()
        self._configure(deserializer, index, ttl)

    @classmethod
    @contextmanager
    def from_conn_string(
        cls,
        conn_string: str,
        *,
        pipeline: bool = False,
        pool_config: PoolConfig | None = None,
        index: PostgresIndexConfig | None = None,
        ttl: TTLConfig | None = None,
    ) -> Iterator[Self]:
        """A store on a database, closed at the end of the ``with`` block.

        When the server has closed the connection meanwhile, the next batch opens another.

        Args:
            conn_string: A URI or a list of parameters, as libpq reads them.
            pipeline: Without effect: batches are pipelined.
            pool_config: Use a pool instead of one connection.
            index: What is searched by meaning, and how.
            ttl: How long items live.

        Raises:
            StorageUnavailableError: The server is away.
            UsageError: ``conn_string`` is none.
        """
        with Connections.opened(conn_string, pool_config) as connections:
            store = cls(connections.conn, index=index, ttl=ttl)
            store._connections = connections
            try:
                yield store
            finally:
                store.stop_ttl_sweeper()

    @property
    def conn(self) -> Connection[Any] | ConnectionPool[Any]:
        """The connection or pool."""
        return self._connections.conn

    @contextmanager
    def _cursor(self, *, pipeline: bool = False) -> Iterator[Cursor[dict[str, Any]]]:
        """A cursor whose rows are dicts, for subclasses that have statements of their own."""
        with (
            told(self._connections.where),
            self._connections.taken() as connection,
            connection.cursor(row_factory=dict_row) as cursor,
        ):
            yield cursor

    def setup(self) -> None:
        """Make the tables, or bring those of an earlier layout to today's, all steps or none.

        Raises:
            StorageUnavailableError: The server is away.
            UsageError: The server has no pgvector and the store has an index, the vectors that are there are
                others, or a newer DashFlow made the tables.
        """
        drive(tables.set_up(self._connections, self._layout()))

    def pending_migrations(self) -> list[str]:
        """The statements that ``setup`` would run, in their order; changes nothing."""
        return [step.text for step in drive(tables.pending(self._connections, self._layout()))]

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out operations, all or none; see ``BaseStore.batch``.

        Raises:
            InvalidNamespaceError: A label is not valid.
            StorageUnavailableError: The server is away. If that was while something was put, it may be there.
            TypeError: A value has something in it that JSON has not.
            UsageError: A value has something in it that PostgreSQL has not, or the tables are not there.
        """
        ops = list(ops)
        values = checked(ops)
        vectors = self._index.embed(ops) if self._index else NO_VECTORS
        batch = Batch(ops, values, vectors, self._settings())
        drive(carry_out(self._connections, batch))
        return batch.results

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """``batch``, in a thread. ``AsyncPostgresStore`` needs none."""
        return await asyncio.to_thread(self.batch, ops)

    def sweep_ttl(self) -> int:
        """Delete the items whose life is over; how many that were."""
        (rows,) = drive(self._connections.run([sweep(self._now())]))
        return int(rows[0][0])
