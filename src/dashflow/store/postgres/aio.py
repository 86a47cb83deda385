"""AsyncPostgresStore: the same items in the same databases as ``PostgresStore``, for asyncio programs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, Self

from psycopg import AsyncConnection, AsyncCursor, AsyncPipeline
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool

from dashflow.store.base import Op, Result, TTLConfig
from dashflow.store.base.batch import AsyncBatchedBaseStore
from dashflow.store.index import NO_VECTORS
from dashflow.store.postgres import tables
from dashflow.store.postgres.base import BasePostgresStore, Deserializer, check_pipe
from dashflow.store.postgres.batch import Batch, checked, sweep
from dashflow.store.postgres.config import PoolConfig, PostgresIndexConfig
from dashflow.store.postgres.connections import AsyncConnections
from dashflow.store.postgres.faults import told
from dashflow.store.postgres.ports import carry_out
from dashflow.store.task_sweeper import SweptByTask

__all__ = ("AsyncPostgresStore",)


class AsyncPostgresStore(SweptByTask, AsyncBatchedBaseStore, BasePostgresStore):
    """Items in a PostgreSQL database, for asyncio. What one turn of the event loop asks is one batch.

    Call ``setup`` once for a database. Belongs to the event loop in which it was made.

    Args:
        conn: An async connection of psycopg, on which tasks take turns and which must not be in a
            transaction; or a pool.
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

    supports_ttl = True

    def __init__(
        self,
        conn: AsyncConnection[Any] | AsyncConnectionPool[Any],
        *,
        pipe: AsyncPipeline | None = None,
        deserializer: Deserializer | None = None,
        index: PostgresIndexConfig | None = None,
        ttl: TTLConfig | None = None,
    ) -> None:
        check_pipe(conn, pipe)
        self._connections = AsyncConnections(conn)
        super().__init__()
        self.pipe = pipe
        self._configure(deserializer, index, ttl)

    @classmethod
    @asynccontextmanager
    async def from_conn_string(
        cls,
        conn_string: str,
        *,
        pipeline: bool = False,
        pool_config: PoolConfig | None = None,
        index: PostgresIndexConfig | None = None,
        ttl: TTLConfig | None = None,
    ) -> AsyncIterator[Self]:
        """A store on a database, closed at the end of the ``async with`` block.

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
        async with AsyncConnections.opened(conn_string, pool_config) as connections:
            store = cls(connections.conn, index=index, ttl=ttl)
            store._connections = connections
            try:
                yield store
            finally:
                await store.stop_ttl_sweeper()
                if store._task is not None:
                    store._task.cancel()

    @property
    def conn(self) -> AsyncConnection[Any] | AsyncConnectionPool[Any]:
        """The connection or pool."""
        return self._connections.conn

    @asynccontextmanager
    async def _cursor(self, *, pipeline: bool = False) -> AsyncIterator[AsyncCursor[dict[str, Any]]]:
        """A cursor whose rows are dicts, for subclasses that have statements of their own."""
        with told(self._connections.where):
            async with (
                self._connections.taken() as connection,
                connection.cursor(row_factory=dict_row) as cursor,
            ):
                yield cursor

    async def setup(self) -> None:
        """Make the tables, or bring those of an earlier layout to today's; see ``PostgresStore.setup``."""
        await tables.set_up(self._connections, self._layout())

    async def pending_migrations(self) -> list[str]:
        """The statements that ``setup`` would run, in their order; changes nothing."""
        return [step.text for step in await tables.pending(self._connections, self._layout())]

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out operations, all or none; see ``PostgresStore.batch``."""
        ops = list(ops)
        values = checked(ops)
        vectors = await self._index.aembed(ops) if self._index else NO_VECTORS
        batch = Batch(ops, values, vectors, self._settings())
        await carry_out(self._connections, batch)
        return batch.results

    async def sweep_ttl(self) -> int:
        """Delete the items whose life is over; how many that were."""
        (rows,) = await self._connections.run([sweep(self._now())])
        return int(rows[0][0])
