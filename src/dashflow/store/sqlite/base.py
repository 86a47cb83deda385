"""SqliteStore: items in a SQLite file that several threads and processes may use. Its twin is ``aio``."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Literal, Self, TypeVar

from dashflow._util.database import connect, transaction
from dashflow._util.langchain import Embeddings
from dashflow.store.base import BaseStore, IndexConfig, Op, PutOp, Result, TTLConfig, validate_op_namespace
from dashflow.store.encoding import encoded
from dashflow.store.index import NO_VECTORS, TextIndex, Vectors
from dashflow.store.sqlite import tables
from dashflow.store.sqlite.rows import Rows
from dashflow.store.sqlite.scores import score_of
from dashflow.store.sweeper import SweptByThread, ThreadSweeper

__all__ = ("MIGRATIONS", "VECTOR_MIGRATIONS", "BaseSqliteStore", "SqliteIndexConfig", "SqliteStore")

MIGRATIONS = tables.MIGRATIONS
VECTOR_MIGRATIONS = tables.VECTOR_MIGRATIONS

_NOT_ASYNC = (
    "The SqliteStore does not support async methods. Consider using AsyncSqliteStore instead.\n"
    "from dashflow.store.sqlite.aio import AsyncSqliteStore\n"
)

T = TypeVar("T")
Deserializer = Callable[[Any], dict[str, Any]]


class SqliteIndexConfig(IndexConfig, total=False):
    """What makes the store able to search by meaning."""

    text_fields: list[str] | None
    """Another name of ``fields``, and stronger."""

    distance_type: Literal["cosine", "l2", "inner_product"]
    """What makes vectors near: their direction (the default), their distance, or their inner product. The
    score is the cosine, the negative distance, or the product."""


class BaseSqliteStore:
    """What both stores on SQLite do: everything, once somebody has a connection for them.

    Attributes:
        index_config: A copy of what the store was told about its index.
        embeddings: What makes the vectors.
        ttl_config: What the store was told about the life of items.
        is_setup: Whether the tables are known to be there.
        clock: What time it is.
    """

    MIGRATIONS = MIGRATIONS
    VECTOR_MIGRATIONS = VECTOR_MIGRATIONS
    supports_ttl = True
    index_config: SqliteIndexConfig | None = None
    embeddings: Embeddings | None = None
    ttl_config: TTLConfig | None = None
    is_setup = False

    def _configure(
        self, deserializer: Deserializer | None, index: SqliteIndexConfig | None, ttl: TTLConfig | None
    ) -> None:
        self._deserializer = deserializer
        self._index = TextIndex(index) if index else None
        if self._index:
            self.index_config, self.embeddings = self._index.config, self._index.embeddings
        self.ttl_config = ttl
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)
        self._turn = threading.Lock()
        self._score = ""

    def _on(self, connection: sqlite3.Connection, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do ``work`` with the connection, alone, and after the tables have been made."""
        with self._turn:
            if not self.is_setup:
                self._set_up(connection)
            return work(connection)

    def _set_up(self, connection: sqlite3.Connection) -> None:
        tables.set_up(connection, vectors=self._index is not None)
        if self.index_config is not None:
            self._score = score_of(connection, self.index_config.get("distance_type") or "cosine")
        self.is_setup = True

    def _checked(self, ops: Iterable[Op]) -> tuple[list[Op], dict[int, str]]:
        """The operations, all of them valid, and the JSON of the values that are put, by place."""
        ops = list(ops)
        for op in ops:
            validate_op_namespace(op)
        return ops, {
            place: encoded(op.value, op.namespace, op.key)
            for place, op in enumerate(ops)
            if isinstance(op, PutOp) and op.value is not None
        }

    def _carry_out(
        self, connection: sqlite3.Connection, ops: list[Op], values: dict[int, str], vectors: Vectors
    ) -> list[Result]:
        refreshes = bool(self.ttl_config and self.ttl_config.get("refresh_on_read"))
        write = any(isinstance(op, PutOp) or (refreshes and getattr(op, "refresh_ttl", False)) for op in ops)
        with transaction(connection, write=write) as cursor:
            rows = Rows(
                cursor,
                self.clock(),
                vectors=vectors,
                score=self._score,
                refreshes=refreshes,
                omits=bool(self.ttl_config and self.ttl_config.get("omit_expired")),
                deserializer=self._deserializer,
            )
            results = [rows.read(op) for op in ops]
            for place, op in enumerate(ops):
                if isinstance(op, PutOp):
                    rows.put(place, op, values.get(place))
        return results

    def _sweep(self, connection: sqlite3.Connection) -> int:
        with transaction(connection, write=True) as cursor:
            return Rows(cursor, self.clock()).sweep()


class SqliteStore(SweptByThread, BaseSqliteStore, BaseStore):
    """Items in a SQLite file, for synchronous programs.

    Args:
        conn: A connection; for several threads one that was made with ``check_same_thread=False``.
        deserializer: Makes values of stored JSON (bytes); the default reads it as it is.
        index: What is searched by meaning, and how; without it nothing is.
        ttl: How long items live.

    Attributes:
        conn: The connection.
    """

    def __init__(
        self,
        conn: sqlite3.Connection,
        *,
        deserializer: Deserializer | None = None,
        index: SqliteIndexConfig | None = None,
        ttl: TTLConfig | None = None,
    ) -> None:
        super().__init__()
        self.conn = conn
        self._sweeper = ThreadSweeper()
        self._configure(deserializer, index, ttl)

    @classmethod
    @contextmanager
    def from_conn_string(
        cls, conn_string: str, *, index: SqliteIndexConfig | None = None, ttl: TTLConfig | None = None
    ) -> Iterator[Self]:
        """A store on a file, closed at the end of the ``with`` block.

        Args:
            conn_string: Path of the file, or ``":memory:"``.
            index: What is searched by meaning, and how.
            ttl: How long items live.
        """
        store = cls(connect(conn_string), index=index, ttl=ttl)
        try:
            yield store
        finally:
            store.stop_ttl_sweeper()
            with store._turn:
                store.conn.close()

    def setup(self) -> None:
        """Make the tables. Need not be called: the first operation does it."""
        self._on(self.conn, lambda connection: None)

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out operations, all or none; see ``BaseStore.batch``.

        Raises:
            InvalidNamespaceError: A label is not valid.
            TypeError: A value has something in it that JSON has not.
        """
        checked, values = self._checked(ops)
        vectors = self._index.embed(checked) if self._index else NO_VECTORS
        return self._on(self.conn, lambda connection: self._carry_out(connection, checked, values, vectors))

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Not for this store: ``AsyncSqliteStore`` is for asyncio.

        Raises:
            NotImplementedError: Always.
        """
        raise NotImplementedError(_NOT_ASYNC)

    def sweep_ttl(self) -> int:
        """Delete the items whose life is over; how many that were."""
        return self._on(self.conn, self._sweep)
