"""Savers on PostgreSQL: over connection strings, connections and pools, and how long their logs live."""

import gc
import operator
import threading
import warnings
from typing import Annotated, TypedDict

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg_pool import AsyncConnectionPool, ConnectionPool

from dashflow.checkpoint.base import create_checkpoint, empty_checkpoint
from dashflow.checkpoint.memory import InMemorySaver
from dashflow.checkpoint.postgres import PostgresSaver, ShallowPostgresSaver
from dashflow.checkpoint.postgres.aio import AsyncPostgresSaver, AsyncShallowPostgresSaver
from dashflow.checkpoint.serde.encrypted import EncryptedSerializer
from dashflow.checkpoint.serde.types import TASKS
from dashflow.checkpoint.sqlite import SqliteSaver
from dashflow.errors import LogClosedError, NotALogError, StorageUnavailableError, UsageError
from dashflow.graph import START, StateGraph
from dashflow.types import Command, interrupt
from tests.postgres import Place

pytestmark = pytest.mark.feature("PERSIST-001", "PERSIST-006")

CONFIG = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}


class State(TypedDict):
    log: Annotated[list, operator.add]


def asking(saver):
    builder = StateGraph(State)
    builder.add_node("work", lambda state: {"log": [len(state["log"])]})
    builder.add_node("ask", lambda state: {"log": [interrupt("sure?")]})
    builder.add_edge(START, "work")
    builder.add_edge("work", "ask")
    return builder.compile(checkpointer=saver)


class Sessions:
    """The sessions of the server that have this test's name."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._name = place.schema[:40]
        self.address = make_conninfo(place.dsn, application_name=self._name)

    def count(self) -> int:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s"
        return self._place.execute(asked, self._name)[0][0]

    def are_over(self) -> bool:
        """The server needs a moment to notice that a client has left."""
        return any(self.count() == 0 for _ in range(1000))


@pytest.fixture
def sessions(postgres: Place) -> Sessions:
    return Sessions(postgres)


def test_a_thread_pauses_with_one_saver_and_goes_on_with_another(postgres):
    with PostgresSaver.from_conn_string(postgres.log) as saver:
        saver.setup()
        assert saver.conn.execute("SELECT 1 AS one").fetchone() == {"one": 1}
        assert asking(saver).invoke({"log": ["go"]}, CONFIG)["__interrupt__"][0].value == "sure?"
    with PostgresSaver.from_conn_string(postgres.log, pipeline=True) as saver:
        assert asking(saver).invoke(Command(resume="yes"), CONFIG) == {"log": ["go", 1, "yes"]}
        assert [step.metadata["step"] for step in asking(saver).get_state_history(CONFIG)] == [2, 1, 0, -1]
    with pytest.raises(LogClosedError):
        saver.get_tuple(CONFIG)


async def test_a_thread_of_the_one_saver_goes_on_with_its_twin(postgres):
    async with AsyncPostgresSaver.from_conn_string(postgres.log) as saver:
        await saver.setup()
        assert await (await saver.conn.execute("SELECT 1 AS one")).fetchone() == {"one": 1}
        await asking(saver).ainvoke({"log": ["go"]}, CONFIG)
    with PostgresSaver.from_conn_string(postgres.log) as saver:
        assert (await asking(saver).ainvoke(Command(resume="yes"), CONFIG))["log"] == ["go", 1, "yes"]
        with pytest.raises(NotImplementedError, match="AsyncPostgresSaver"):
            await saver.aget_tuple(CONFIG)


# -- connections of the program -------------------------------------------------------------------


def test_the_log_ends_with_the_connection_of_the_program(postgres, sessions):
    with psycopg.connect(sessions.address, autocommit=True) as connection:
        saver = PostgresSaver(connection, schema=postgres.schema)
        again = PostgresSaver(connection, schema=postgres.schema)
        assert again.log is saver.log
        asking(saver).invoke({"log": ["go"]}, CONFIG)
        saver.close()
        assert asking(again).get_state(CONFIG).next == ("ask",)
        assert sessions.count() > 1
    assert connection.closed
    assert sessions.are_over()
    with pytest.raises(LogClosedError):
        again.get_tuple(CONFIG)
    with psycopg.connect(sessions.address) as connection, connection.pipeline() as pipe:
        saver = PostgresSaver(connection, pipe=pipe, schema=postgres.schema)
        assert asking(saver).invoke(Command(resume="yes"), CONFIG)["log"] == ["go", 1, "yes"]


def test_a_connection_that_the_program_drops_takes_its_log_along(postgres, sessions):
    pool = ConnectionPool(sessions.address, min_size=1, open=True)
    saver = PostgresSaver(pool, schema=postgres.schema)
    assert sessions.count() > 1
    pool.close()
    assert sessions.are_over()
    pool = ConnectionPool(sessions.address, min_size=1, open=False)
    log = PostgresSaver(pool, schema=postgres.schema).log
    del pool, saver
    gc.collect()
    assert sessions.are_over()
    with pytest.raises(LogClosedError):
        log.read("run-t")


def test_savers_for_every_request_share_the_log_of_their_pool(postgres, sessions):
    logs = []

    def request(number):
        with pool.connection() as connection:
            saver = PostgresSaver(connection, schema=postgres.schema)
            config = {"configurable": {"thread_id": str(number)}}
            asking(saver).invoke({"log": ["go"]}, config)
            logs.append(saver.log)

    with ConnectionPool(sessions.address, min_size=2, max_size=4) as pool:
        threads = [threading.Thread(target=request, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(logs) == 6
        assert len(set(map(id, logs))) == 1
        assert len(PostgresSaver(pool, schema=postgres.schema).log.streams()) == 6
    assert sessions.are_over()


async def test_the_log_ends_with_the_pool_of_asyncio(postgres, sessions):
    async with AsyncConnectionPool(sessions.address, min_size=1, open=False) as pool:
        saver = AsyncPostgresSaver(pool, schema=postgres.schema)
        await asking(saver).ainvoke({"log": ["go"]}, CONFIG)
        async with pool.connection() as connection:
            assert AsyncPostgresSaver(connection, schema=postgres.schema).log is saver.log
    assert sessions.are_over()
    async with await psycopg.AsyncConnection.connect(sessions.address) as connection:
        saver = AsyncPostgresSaver(connection, schema=postgres.schema)
        assert (await saver.aget_tuple(CONFIG)).metadata["step"] == 1
    assert sessions.are_over()


@pytest.mark.parametrize("bad", [None, 7, object()])
def test_what_is_no_connection_is_refused(bad):
    with pytest.raises(TypeError, match="PostgresSaver takes a psycopg Connection or ConnectionPool"):
        PostgresSaver(bad)
    with pytest.raises(TypeError, match="AsyncPostgresSaver takes a psycopg AsyncConnection or Async"):
        AsyncPostgresSaver(bad)


def test_a_connection_of_the_other_kind_is_refused(postgres):
    with (
        psycopg.connect(postgres.dsn) as connection,
        pytest.raises(TypeError, match="takes a psycopg AsyncConnection"),
    ):
        AsyncPostgresSaver(connection)


def test_what_leads_nowhere_is_refused(postgres):
    with psycopg.connect(postgres.dsn) as connection:
        pass
    with pytest.raises(UsageError, match="connection that is closed"):
        PostgresSaver(connection)
    with (
        ConnectionPool(lambda: postgres.dsn, min_size=1, open=False) as pool,
        pytest.raises(UsageError, match="address is a function"),
    ):
        PostgresSaver(pool)


def test_a_pipeline_beside_a_pool_is_refused(postgres):
    with (
        ConnectionPool(postgres.dsn, min_size=1, open=False) as pool,
        psycopg.connect(postgres.dsn) as connection,
        connection.pipeline() as pipe,
        pytest.raises(ValueError, match="Pipeline should be used only with a single"),
    ):
        PostgresSaver(pool, pipe=pipe)


async def test_a_server_that_is_away():
    nobody = "postgresql://ada:secret@127.0.0.1:1/threads"
    with pytest.raises(StorageUnavailableError) as caught, PostgresSaver.from_conn_string(nobody):
        pass
    assert "secret" not in str(caught.value)
    with pytest.raises(StorageUnavailableError):
        async with AsyncPostgresSaver.from_conn_string(nobody):
            pass
    with pytest.raises(UsageError), PostgresSaver.from_conn_string("no such thing"):
        pass


def test_a_schema_of_somebody_else_is_left_alone(postgres):
    postgres.execute("CREATE SCHEMA {schema}")
    postgres.execute("CREATE TABLE {schema}.events (x int)")
    with pytest.raises(NotALogError):
        PostgresSaver(postgres.log)
    assert postgres.execute("SELECT count(*) FROM pg_tables WHERE schemaname = '{schema}'") == [(1,)]


# -- LangGraph's ----------------------------------------------------------------------------------


def test_threads_that_langgraph_left_are_told_of(postgres):
    postgres.execute("CREATE SCHEMA {schema}")
    postgres.execute("CREATE TABLE {schema}.checkpoint_migrations (v int)")
    postgres.execute("CREATE TABLE {schema}.checkpoints (thread_id text)")
    beside = make_conninfo(postgres.dsn, options=f"-c search_path={postgres.schema}")
    log = Place(postgres.dsn)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            PostgresSaver(beside, schema=log.schema).close()
            postgres.execute("INSERT INTO {schema}.checkpoints VALUES ('t')")
        with pytest.warns(UserWarning, match="threads that LangGraph's savers wrote"):
            saver = PostgresSaver(beside, schema=log.schema)
        asking(saver).invoke({"log": ["go"]}, CONFIG)
        saver.close()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            PostgresSaver(beside, schema=log.schema).close()
        assert postgres.execute("SELECT count(*) FROM {schema}.checkpoints") == [(1,)]
    finally:
        log.drop()


def test_texts_in_metadata_lose_what_langgraphs_lose_and_values_nothing(postgres):
    with PostgresSaver.from_conn_string(postgres.log) as saver:
        checkpoint = empty_checkpoint()
        checkpoint["channel_values"] = {"a": "x\0y"}
        checkpoint["channel_versions"] = {"a": 1}
        metadata = {"k\0": "\0abc", "deep": [{"v": "a\0"}], "step": 1}
        where = saver.put(CONFIG, checkpoint, metadata, {"a": 1})
        found = saver.get_tuple(where)
        assert found.metadata == {"k": "abc", "deep": [{"v": "a"}], "step": 1}
        assert found.checkpoint["channel_values"] == {"a": "x\0y"}
        assert len(list(saver.list(None, filter={"k": "abc"}))) == 1


def test_what_is_encrypted_is_encrypted_in_the_database(postgres):
    secret = EncryptedSerializer.from_pycryptodome_aes(key=b"0" * 16)
    saver = PostgresSaver(postgres.log, serde=secret)
    asking(saver).invoke({"log": ["a word that nobody may see"]}, CONFIG)
    stored = b"".join(bytes(data) for (data,) in postgres.execute("SELECT data FROM {schema}.events"))
    assert b"nobody may see" not in stored
    assert asking(saver).get_state(CONFIG).values["log"][0] == "a word that nobody may see"
    saver.close()


@pytest.mark.parametrize("kind", ["memory", "sqlite", "postgres"])
def test_packets_of_an_old_layout_are_found_among_the_writes_before(request, tmp_path, kind):
    saver = {
        "memory": InMemorySaver,
        "sqlite": lambda: SqliteSaver(tmp_path / "threads.db"),
        "postgres": lambda: PostgresSaver(request.getfixturevalue("postgres").log),
    }[kind]()
    first = {**empty_checkpoint(), "v": 1}
    where = saver.put(CONFIG, first, {}, {})
    saver.put_writes(where, [(TASKS, "one"), ("other", 1), (TASKS, "two")], "task-1")
    saver.put_writes(where, [(TASKS, "three")], "task-2")
    second = {**create_checkpoint(first, {}, 1), "v": 1}
    saver.put(where, second, {}, {})
    newest, oldest = saver.list(CONFIG)
    assert oldest.checkpoint["channel_values"] == {}
    assert newest.checkpoint["channel_values"] == {TASKS: ["one", "two", "three"]}
    assert TASKS in newest.checkpoint["channel_versions"]
    assert saver.get_tuple(CONFIG) == newest
    saver.log.close()


async def test_the_shallow_savers_keep_the_latest(postgres):
    with pytest.warns(DeprecationWarning, match="ShallowPostgresSaver is deprecated"):
        saver = ShallowPostgresSaver(postgres.log)
    asking(saver).invoke({"log": ["go"]}, CONFIG)
    assert asking(saver).invoke(Command(resume="yes"), CONFIG) == {"log": ["go", 1, "yes"]}
    assert [one.metadata["step"] for one in saver.list(CONFIG)] == [2]
    saver.close()
    with pytest.warns(DeprecationWarning, match="AsyncShallowPostgresSaver is deprecated"):
        saver = AsyncShallowPostgresSaver(postgres.log)
    await asking(saver).ainvoke({"log": ["more"]}, CONFIG)
    done = await asking(saver).ainvoke(Command(resume="no"), CONFIG)
    assert done == {"log": ["go", 1, "yes", "more", 4, "no"]}
    assert len([one async for one in saver.alist(CONFIG)]) == 1
    await saver.aclose()
