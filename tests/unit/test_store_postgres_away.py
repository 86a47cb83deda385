"""The store in PostgreSQL when its server is away, or when a pooler of transactions is in between."""

import asyncio
from contextlib import closing, contextmanager

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from dashflow.errors import StorageUnavailableError, UsageError
from dashflow.store.base import GetOp, PutOp, SearchOp
from dashflow.store.postgres import AsyncPostgresStore, PostgresStore
from dashflow.testing.store_case import letters
from tests.pooler import pooled
from tests.postgres import GIVEN, Place, start_server

pytestmark = pytest.mark.feature("PERSIST-000")


@pytest.fixture
def dsn(postgres: Place) -> str:
    postgres.execute("CREATE SCHEMA {schema}")
    return make_conninfo(postgres.dsn, options=f"-c search_path={postgres.schema}")


@contextmanager
def opened(dsn, **options):
    with PostgresStore.from_conn_string(dsn, **options) as store:
        store.setup()
        yield store


NOBODY = "postgresql://ada:secret@127.0.0.1:1/memory"


@pytest.mark.parametrize("pool", [None, {"min_size": 1}])
async def test_a_server_that_is_away_at_the_start(pool):
    with (
        pytest.raises(StorageUnavailableError) as caught,
        PostgresStore.from_conn_string(NOBODY, pool_config=pool),
    ):
        pass
    assert "secret" not in str(caught.value)
    assert caught.value.data["where"] == "postgresql://127.0.0.1:1/memory"
    with pytest.raises(StorageUnavailableError):
        async with AsyncPostgresStore.from_conn_string(NOBODY, pool_config=pool):
            pass


@pytest.mark.parametrize("text", ["postgresql://ada:sec ret@h:x/y?z", "ada=secret nonsense", "secret"])
def test_a_connection_string_that_is_none(text):
    with pytest.raises(UsageError, match="cannot be read") as caught, PostgresStore.from_conn_string(text):
        pass
    assert "secret" not in str(caught.value)


def test_a_connection_that_the_server_ends_is_opened_again(dsn, postgres):
    ends = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'ends'"
    for pool in (None, {"min_size": 2, "max_size": 2}):
        with opened(make_conninfo(dsn, application_name="ends"), pool_config=pool) as store:
            store.put(("n",), "k", {"v": 1})
            assert postgres.execute(ends)
            store.batch([PutOp(("n",), "k", {"v": 2}), GetOp(("n",), "k")])
            assert store.get(("n",), "k").value == {"v": 2}


async def test_a_connection_of_asyncio_that_the_server_ends_is_opened_again(dsn, postgres):
    ends = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'ends'"
    for pool in (None, {"min_size": 2, "max_size": 2}):
        string = make_conninfo(dsn, application_name="ends")
        async with AsyncPostgresStore.from_conn_string(string, pool_config=pool) as store:
            await store.setup()
            await store.aput(("n",), "k", {"v": 1})
            assert postgres.execute(ends)
            await store.abatch([PutOp(("n",), "k", {"v": 2}), GetOp(("n",), "k")])
            assert (await store.aget(("n",), "k")).value == {"v": 2}


def test_a_server_that_goes_away_in_the_middle_and_comes_back():
    server = start_server()
    with (
        closing(server),
        opened(server.dsn) as store,
        psycopg.connect(server.dsn, autocommit=True) as connection,
    ):
        store.put(("n",), "k", {"v": 1})
        of_program = PostgresStore(connection)
        assert of_program.get(("n",), "k").value == {"v": 1}
        server.stop("immediate")
        for one in (store, of_program):
            for ask in (
                lambda one=one: one.get(("n",), "k"),
                lambda one=one: one.put(("n",), "k", {"v": 2}),
            ):
                with pytest.raises(StorageUnavailableError, match="store at"):
                    ask()
        server.start()
        assert store.get(("n",), "k").value == {"v": 1}
        store.put(("n",), "k", {"v": 3})
        assert store.get(("n",), "k").value == {"v": 3}
        with pytest.raises(StorageUnavailableError):  # the program's own: only it can open another
            of_program.get(("n",), "k")


@pytest.fixture
def pooler(postgres: Place):
    """A pooler of transactions before a database of the test's own."""
    if GIVEN:
        pytest.skip("the pooler of these tests knows sockets in a folder only")
    name = f"d_{postgres.schema}"
    postgres.execute(f"CREATE DATABASE {name}")
    with pooled(postgres.dsn.replace("/postgres?", f"/{name}?")) as pooler:
        yield pooler
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("pool", [None, {"min_size": 2, "max_size": 2}])
async def test_a_pooler_of_transactions_may_be_in_between(pooler, pool):
    index = {"dims": 26, "embed": letters, "fields": ["text"]}
    options = {"pool_config": pool, "index": index, "ttl": {"refresh_on_read": True}}
    with opened(pooler.dsn, **options) as store:
        for count in range(12):
            store.batch(
                [
                    PutOp(("n",), str(count), {"text": "a" * count}, ttl=5),
                    GetOp(("n",), "0"),
                    SearchOp(("n",)),
                ]
            )
            assert store.get(("n",), str(count)).value["text"] == "a" * count
        assert len(store.search(("n",), query="a", limit=12)) == 12
    async with AsyncPostgresStore.from_conn_string(pooler.dsn, **options) as store:
        await store.setup()
        await asyncio.gather(*(store.aput(("m", str(count)), "k", {"text": "b"}) for count in range(12)))
        assert len(await store.alist_namespaces(prefix=("m",))) == 12
        assert (await store.asearch((), query="b", limit=1))[0].score == pytest.approx(1, abs=1e-5)
    assert pooler.served > 24
