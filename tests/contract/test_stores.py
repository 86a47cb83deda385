"""Every store keeps the contract, by its synchronous and its async methods: ours, and one of other people."""

import asyncio
from collections.abc import Iterable
from contextlib import asynccontextmanager, contextmanager

import aiosqlite
import pytest
from psycopg.conninfo import make_conninfo

from dashflow.store.base import BaseStore, Op, Result
from dashflow.store.base.batch import AsyncBatchedBaseStore
from dashflow.store.memory import InMemoryStore
from dashflow.store.postgres import AsyncPostgresStore, PostgresStore
from dashflow.store.sqlite import AsyncSqliteStore, SqliteStore
from dashflow.testing.store_contract import StoreContract
from tests.postgres import Place

pytestmark = pytest.mark.feature("PERSIST-000", "PERSIST-006")


class TestMemory(StoreContract):
    @contextmanager
    def open_store(self, place, **options):
        yield InMemoryStore(**options)


class TestMemoryAsync(StoreContract):
    is_async = True

    @asynccontextmanager
    async def open_store(self, place, **options):
        yield InMemoryStore(**options)


class TestSqlite(StoreContract):
    def open_store(self, place, **options):
        return SqliteStore.from_conn_string(str(place / "store.db"), **options)


class TestSqliteWithoutFile(StoreContract):
    def open_store(self, place, **options):
        return SqliteStore.from_conn_string(":memory:", **options)


class TestSqliteAsync(StoreContract):
    is_async = True

    def open_store(self, place, **options):
        return AsyncSqliteStore.from_conn_string(str(place / "store.db"), **options)


class TestSqliteOverAiosqlite(StoreContract):
    """Over a connection that the program opened with the package aiosqlite, as LangGraph's programs do."""

    is_async = True

    @asynccontextmanager
    async def open_store(self, place, **options):
        async with aiosqlite.connect(place / "store.db") as connection:
            yield AsyncSqliteStore(connection, **options)


class InPostgres(StoreContract):
    """In a schema of a PostgreSQL database that is the test's own."""

    @pytest.fixture(autouse=True)
    def _place(self, postgres: Place) -> None:
        postgres.execute("CREATE SCHEMA {schema}")
        # Making it takes longer than a test.
        postgres.execute("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public")
        self.dsn = make_conninfo(postgres.dsn, options=f"-c search_path={postgres.schema},public")


class TestPostgres(InPostgres):
    @contextmanager
    def open_store(self, place, **options):
        with PostgresStore.from_conn_string(self.dsn, **options) as store:
            store.setup()
            yield store


class TestPostgresAsyncPool(InPostgres):
    is_async = True

    @asynccontextmanager
    async def open_store(self, place, **options):
        pool = {"min_size": 1, "max_size": 2}
        async with AsyncPostgresStore.from_conn_string(self.dsn, pool_config=pool, **options) as store:
            await store.setup()
            yield store


class FromAThread:
    """A store's synchronous methods, called from another thread than its event loop's."""

    def __init__(self, store):
        self._store = store

    @property
    def supports_ttl(self):
        return self._store.supports_ttl

    def __setattr__(self, name, value):
        object.__setattr__(self if name == "_store" else self._store, name, value)

    def __getattr__(self, name):
        if name.startswith("a"):
            raise AttributeError(name)

        async def call(*args, **kwargs):
            method = getattr(self._store, name)
            if asyncio.iscoroutinefunction(method):
                return await method(*args, **kwargs)
            return await asyncio.to_thread(method, *args, **kwargs)

        return call


class TestSqliteAsyncFromAThread(StoreContract):
    is_async = True

    @asynccontextmanager
    async def open_store(self, place, **options):
        async with AsyncSqliteStore.from_conn_string(str(place / "store.db"), **options) as store:
            yield FromAThread(store)


class Delegating(BaseStore):
    """A store as other packages write them: ``batch`` and ``abatch`` on the public base class."""

    def __init__(self, **options):
        self.inner = InMemoryStore(**options)
        self.supports_ttl = self.inner.supports_ttl
        self.ttl_config = self.inner.ttl_config
        self.sweep_ttl = self.inner.sweep_ttl

    def __setattr__(self, name, value):
        object.__setattr__(self.inner if name == "clock" else self, name, value)

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        return self.inner.batch(ops)

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        return await self.inner.abatch(ops)


class TestForeign(StoreContract):
    @contextmanager
    def open_store(self, place, **options):
        yield Delegating(**options)


class DelegatingInBatches(Delegating, AsyncBatchedBaseStore):
    """The same on the base class that collects operations."""

    def __init__(self, **options):
        AsyncBatchedBaseStore.__init__(self)
        Delegating.__init__(self, **options)

    for _name in ("get", "search", "put", "delete", "list_namespaces"):
        locals()[f"a{_name}"] = getattr(AsyncBatchedBaseStore, f"a{_name}")


class TestForeignInBatches(StoreContract):
    is_async = True

    @asynccontextmanager
    async def open_store(self, place, **options):
        yield DelegatingInBatches(**options)
