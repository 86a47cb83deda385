"""The store in PostgreSQL: shared by threads and machines, all or nothing, in LangGraph's tables."""

import threading
from contextlib import contextmanager
from datetime import timedelta

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from psycopg_pool import ConnectionPool

from dashflow.errors import UsageError
from dashflow.store.base import (
    GetOp,
    InvalidNamespaceError,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchOp,
)
from dashflow.store.postgres import PostgresStore
from dashflow.testing.store_case import letters
from tests.postgres import Place

pytestmark = pytest.mark.feature("PERSIST-000")

INDEX = {"dims": 26, "embed": letters, "fields": ["text"]}


@pytest.fixture
def dsn(postgres: Place) -> str:
    postgres.execute("CREATE SCHEMA {schema}")
    postgres.execute("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public")
    return make_conninfo(postgres.dsn, options=f"-c search_path={postgres.schema},public")


@contextmanager
def opened(dsn, **options):
    with PostgresStore.from_conn_string(dsn, **options) as store:
        store.setup()
        yield store


@pytest.fixture
def store(dsn):
    with opened(dsn) as store:
        yield store


# -- sharing --------------------------------------------------------------------------------------


def test_set_ups_at_once_make_one_layout(dsn):
    failed = []

    def work():
        try:
            with opened(dsn, index=INDEX) as store:
                store.put(("n",), "k", {"text": "abc"})
        except BaseException as error:
            failed.append(error)

    run_together(work, 4)
    assert failed == []
    with PostgresStore.from_conn_string(dsn, index=INDEX) as store:
        assert store.pending_migrations() == []
        assert len(store.search(("n",), query="a")) == 1


@pytest.mark.parametrize("pool", [None, {"min_size": 1, "max_size": 3}])
def test_threads_share_a_store(dsn, pool):
    failed = []
    with opened(dsn, pool_config=pool) as store:

        def work(number):
            try:
                for count in range(10):
                    store.put(("n", str(number)), str(count), {"v": count})
                    assert store.get(("n", str(number)), str(count)).value == {"v": count}
                    store.list_namespaces(suffix=(str(number),))
            except BaseException as error:
                failed.append(error)

        run_together(work, 5, numbered=True)
        assert failed == []
        assert len(store.search(("n",), limit=500)) == 50


def test_batches_with_the_same_items_in_another_order_do_not_wait_for_each_other(dsn):
    failed = []
    with opened(dsn, pool_config={"min_size": 4, "max_size": 4}, ttl={"refresh_on_read": True}) as store:

        def work(number):
            keys = [str(key) for key in range(20)][:: 1 if number % 2 else -1]
            try:
                for count in range(8):
                    ops = [PutOp(("n",), key, {"v": count} if int(key) % 3 else None, ttl=5) for key in keys]
                    store.batch([*ops, SearchOp(("n",), limit=50), GetOp(("n",), "1")])
            except BaseException as error:
                failed.append(error)

        run_together(work, 4, numbered=True)
        assert failed == []
        assert {item.value["v"] for item in store.search(("n",), limit=50)} == {7}


def run_together(work, count, *, numbered=False):
    threads = [threading.Thread(target=work, args=(number,) if numbered else ()) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# -- connections of the program -------------------------------------------------------------------


@pytest.mark.parametrize("autocommit", [True, False])
def test_a_connection_of_the_program_serves_too(dsn, autocommit):
    with psycopg.connect(dsn, autocommit=autocommit, cursor_factory=psycopg.ClientCursor) as connection:
        store = PostgresStore(connection)
        store.setup()
        store.batch([PutOp(("n",), "k", {"v": 1}), PutOp(("m",), "k", None)])
        assert store.get(("n",), "k").value == {"v": 1}
        assert store.conn is connection
        with PostgresStore.from_conn_string(dsn) as other:
            assert other.get(("n",), "k").value == {"v": 1}


def test_a_pipeline_of_the_program_serves_too(dsn):
    with psycopg.connect(dsn, autocommit=True) as connection:
        PostgresStore(connection).setup()
        with connection.pipeline() as pipe:
            store = PostgresStore(connection, pipe=pipe)
            connection.execute("SELECT 1")
            store.put(("n",), "k", {"v": 1})
            got, found = store.batch([GetOp(("n",), "k"), SearchOp(("n",))])
            assert got.value == found[0].value == {"v": 1}


def test_a_pipeline_beside_a_pool_is_refused(dsn):
    with (
        ConnectionPool(dsn, min_size=1, open=True) as pool,
        psycopg.connect(dsn) as connection,
        connection.pipeline() as pipe,
        pytest.raises(ValueError, match="Pipeline should be used only with a single"),
    ):
        PostgresStore(pool, pipe=pipe)


def test_a_transaction_of_the_program_is_left_alone(dsn):
    with psycopg.connect(dsn) as connection:
        store = PostgresStore(connection)
        store.setup()
        connection.execute("CREATE TABLE mine (x int)")
        with pytest.raises(UsageError, match="open transaction"):
            store.put(("n",), "k", {"v": 1})
        connection.rollback()
        store.put(("n",), "k", {"v": 1})
        assert store.get(("n",), "k").value == {"v": 1}


@pytest.mark.parametrize("bad", [None, "postgresql://localhost/x", object()])
def test_what_is_no_connection_is_refused(bad):
    with pytest.raises(TypeError, match="PostgresStore takes a connection or a pool"):
        PostgresStore(bad)


def test_a_connection_that_is_closed_is_refused(dsn):
    with psycopg.connect(dsn) as connection:
        pass
    with pytest.raises(UsageError, match="connection is closed"):
        PostgresStore(connection)


def test_nothing_of_a_session_is_used(dsn):
    """As behind a pooler of transactions: no prepared statement stays, no setting is changed."""
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=0) as connection:
        store = PostgresStore(connection, index=INDEX, ttl={"refresh_on_read": True})
        store.setup()
        for _ in range(8):
            store.batch([PutOp(("n",), "k", {"text": "a"}, ttl=5), SearchOp(("n",), query="a")])
            store.get(("n",), "k")
        left = connection.execute(
            "SELECT (SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_locks "
            "WHERE locktype = 'advisory' AND pid = pg_backend_pid()), "
            "(SELECT count(*) FROM pg_settings WHERE source = 'session')",
            prepare=False,
        ).fetchone()
        assert left[:2] == (0, 0)
        assert (
            left[2]
            == connection.execute(
                "SELECT count(*) FROM pg_settings WHERE source = 'session'", prepare=False
            ).fetchone()[0]
        )


# -- bad input ------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [{"v": {1, 2}}, {"v": object()}, {"v": [{"deep": b"bytes"}]}, {1: "v"}])
def test_a_batch_with_something_that_cannot_be_stored_changes_nothing(store, bad):
    with pytest.raises(TypeError, match=r"Item 'bad' of \('n',\) cannot be stored: value"):
        store.batch([PutOp(("n",), "good", {"v": 1}), PutOp(("n",), "bad", bad)])
    assert store.search(()) == []


@pytest.mark.parametrize(
    ("key", "value"), [("bad", {"v": ["a\0b"]}), ("bad", {"a\0": 1}), ("b\0d", {}), ("b\ud800d", {})]
)
def test_what_postgresql_cannot_keep_is_refused_by_name(store, key, value):
    with pytest.raises(UsageError, match=r"of \('n',\) cannot be stored"):
        store.batch([PutOp(("n",), "good", {"v": 1}), PutOp(("n",), key, value)])
    assert store.search(()) == []


def test_text_that_looks_like_an_escape_is_text(store):
    value = {"v": "\\u0000", "w": "\\\\u0000", "%s": "100%"}
    store.put(("n",), "k%s", value)
    assert store.get(("n",), "k%s").value == value
    assert len(store.search(("n",), filter={"v": "\\u0000", "%s": "100%"})) == 1


def test_places_that_cannot_be_are_empty(store):
    store.put(("n",), "k", {"v": 1})
    for key in ("a\0b", "a\ud800"):
        assert store.get(("n",), key) is None
        store.delete(("n",), key)
    for label in ("a\ud800",):
        assert store.search((label,)) == []
        assert store.list_namespaces(suffix=(label,)) == store.list_namespaces(prefix=(label,)) == []


def test_a_batch_that_fails_in_the_database_changes_nothing(store):
    store.put(("n",), "k", {"v": 1})
    with pytest.raises(psycopg.Error, match="index row"):
        store.batch([PutOp(("n",), "k", {"v": 2}), PutOp(("n",), "x".join(map(str, range(99999))), {})])
    assert store.get(("n",), "k").value == {"v": 1}
    store.put(("n",), "k", {"v": 4})
    assert store.get(("n",), "k").value == {"v": 4}


def test_operations_given_directly_are_checked_too(store):
    store.put(("a", "b"), "k", {"v": 1})
    with pytest.raises(InvalidNamespaceError):
        store.batch([PutOp(("a.b",), "k", None)])
    with pytest.raises(ValueError, match="Unsupported match type"):
        store.batch([ListNamespacesOp((MatchCondition("middle", ("a",)),))])  # type: ignore[arg-type]
    assert store.get(("a", "b"), "k") is not None


@pytest.mark.feature("SEC-11")
@pytest.mark.parametrize("key", ["a') = 1 OR 1=1 --", "a'", 'a"b', "", "a.b", "a%s", "a\0b", "a\ud800", "0"])
def test_a_filter_key_cannot_say_anything_but_a_name(store, key):
    store.put(("n",), "k", {"v": 1, "a": {"b": 1}})
    for wanted in ({key: 1}, {key: {"$gt": 0}}, {key: {"$ne": 2}}, {"a": {key: 1}}, {"v": {key: 1}}):
        assert store.search(("n",), filter=wanted) == []
    if "\0" not in key and "\ud800" not in key:
        store.put(("n",), "odd", {key: 1})
        assert [item.key for item in store.search(("n",), filter={key: 1})] == ["odd"]


@pytest.mark.feature("SEC-11")
@pytest.mark.parametrize("text", ["x' OR '1'='1", "a\0b", "a\ud800", "%s", "1; DROP TABLE store"])
@pytest.mark.guarantee("keys-are-data")
def test_nothing_that_is_compared_is_sql(store, text):
    store.put(("n",), "k", {"v": "a"})
    assert store.search(("n",), filter={"v": text}) == []
    assert store.search(("n",), filter={"v": [text]}) == []
    assert store.search(("n",), filter={"v": {"$lt": text[:0] + "\0" + text}}) == []
    assert [item.key for item in store.search(("n",), filter={"v": {"$ne": text}})] == ["k"]


@pytest.mark.feature("SEC-11")
@pytest.mark.guarantee("keys-are-data")
def test_tenants_whose_names_begin_alike_see_nothing_of_each_other(store):
    places = [("t1",), ("t1", "a"), ("t12",), ("t_1",), ("tX1",), ("t%",), ("t1-a",), ("t1/a",), ("T1",)]
    for place in places:
        store.put(place, "k", {"at": list(place)})
    for place in places:
        below = {place, ("t1", "a")} if place == ("t1",) else {place}
        assert {item.namespace for item in store.search(place)} == below
        assert set(store.list_namespaces(prefix=place)) == below
    assert set(store.list_namespaces(suffix=("a",))) == {("t1", "a")}


def test_numbers_are_compared_as_numbers(store):
    for key, value in {"ten": 10, "nine": 9.5, "text": "12", "word": "x", "none": None, "list": [99]}.items():
        store.put(("n",), key, {"v": value})
    found = store.search(("n",), filter={"v": {"$gte": 9.5, "$lt": float("inf")}})
    assert {item.key for item in found} == {"ten", "nine", "text"}
    assert [item.key for item in store.search(("n",), filter={"v": {"$gt": 10}})] == ["text"]


# -- the layout -----------------------------------------------------------------------------------


def test_a_dry_run_says_what_would_be_done_and_does_nothing(dsn, postgres):
    with PostgresStore.from_conn_string(dsn, index=INDEX) as store:
        wanted = store.pending_migrations()
        assert any("CREATE TABLE IF NOT EXISTS store_vectors" in text for text in wanted)
        assert "vector(26)" in "".join(wanted)
        tables = "SELECT count(*) FROM pg_tables WHERE schemaname = '{schema}'"
        assert postgres.execute(tables) == [(0,)]
        store.setup()
        assert store.pending_migrations() == []
        assert postgres.execute(tables) == [(6,)]


def test_without_a_set_up_the_error_says_what_to_do(dsn):
    with PostgresStore.from_conn_string(dsn) as store:
        for ask in (lambda: store.get(("n",), "k"), lambda: store.put(("n",), "k", {}), store.sweep_ttl):
            with pytest.raises(UsageError, match=r"Call setup\(\)"):
                ask()


def test_a_set_up_that_fails_leaves_nothing(dsn, postgres):
    with PostgresStore.from_conn_string(dsn) as store:
        store.MIGRATIONS = [*store.MIGRATIONS, "CREATE TABLE broken (x nothing)"]
        with pytest.raises(psycopg.Error, match="nothing"):
            store.setup()
    assert postgres.execute("SELECT count(*) FROM pg_tables WHERE schemaname = '{schema}'") == [(0,)]


LANGGRAPHS = """
    CREATE TABLE store_migrations (v int PRIMARY KEY);
    INSERT INTO store_migrations VALUES (0), (1), (2), (3);
    CREATE TABLE vector_migrations (v int PRIMARY KEY);
    INSERT INTO vector_migrations VALUES (0), (1), (2);
    CREATE TABLE store (
        prefix text, key text, value jsonb NOT NULL, created_at timestamptz DEFAULT now(),
        updated_at timestamptz DEFAULT now(), expires_at timestamptz, ttl_minutes int,
        PRIMARY KEY (prefix, key)
    );
    CREATE TABLE store_vectors (
        prefix text, key text, field_name text, embedding vector(26), created_at timestamptz,
        updated_at timestamptz, PRIMARY KEY (prefix, key, field_name),
        FOREIGN KEY (prefix, key) REFERENCES store (prefix, key) ON DELETE CASCADE
    );
    INSERT INTO store (prefix, key, value, ttl_minutes) VALUES ('a.b', 'k', '{"v": 1}', 3)
"""


def test_tables_of_langgraph_are_brought_to_ours(dsn):
    """As langgraph-checkpoint-postgres makes them: whole minutes, and no trigger."""
    with psycopg.connect(dsn) as connection:
        for statement in LANGGRAPHS.split(";"):
            connection.execute(statement)
    with opened(dsn, index=INDEX, ttl={"refresh_on_read": True}) as store:
        assert store.get(("a", "b"), "k").value == {"v": 1}
        store.put(("a",), "new", {"text": "abc"}, ttl=0.5)
        with store._cursor() as cursor:
            cursor.execute("SELECT ttl_minutes, expires_at > now() AS alive FROM store ORDER BY prefix")
            assert cursor.fetchall() == [
                {"ttl_minutes": 0.5, "alive": True},
                {"ttl_minutes": 3.0, "alive": True},
            ]
        store.put(("a",), "new", {"text": "xyz"}, index=False)
        assert store.search((), query="a") == []


def test_tables_of_a_newer_dashflow_are_left_alone(dsn):
    with opened(dsn) as store:
        with store._cursor() as cursor:
            cursor.execute("INSERT INTO dashflow_store_migrations VALUES (99)")
        with pytest.raises(UsageError, match="made by a newer DashFlow"):
            store.setup()


# -- vectors --------------------------------------------------------------------------------------


def test_vectors_go_with_their_items_whoever_deletes_these(dsn):
    with opened(dsn, index=INDEX) as indexed:
        for key in ("a", "b", "c"):
            indexed.put(("n",), key, {"text": key})
        with PostgresStore.from_conn_string(dsn) as plain:
            plain.delete(("n",), "a")
            plain.put(("n",), "b", {"text": "other"})
        with indexed._cursor() as cursor:
            assert cursor.execute("SELECT key FROM store_vectors").fetchall() == [{"key": "c"}]


@pytest.mark.parametrize(
    "ann", [{"kind": "flat"}, {"kind": "hnsw", "m": 8}, {"kind": "ivfflat", "nlist": 2}, {}]
)
@pytest.mark.parametrize("type_", ["vector", "halfvec"])
def test_an_index_changes_how_items_are_found_and_not_which(dsn, ann, type_):
    index = {**INDEX, "ann_index_config": {**ann, "vector_type": type_}, "fields": ["texts[*]"]}
    with opened(dsn, index=index) as store:
        store.batch(
            [PutOp(("n",), f"{count:02}", {"texts": ["a" * count + "b", "z"] * 8}) for count in range(1, 31)]
        )
        pages = [store.search(("n",), query="a", limit=7, offset=offset) for offset in range(0, 35, 7)]
        assert [item.key for page in pages for item in page] == [f"{count:02}" for count in range(30, 0, -1)]
        with store._cursor() as cursor:
            cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'store_vectors_embedding_idx'")
            made = cursor.fetchall()
    assert bool(made) == (ann.get("kind") != "flat")
    assert not made or f"USING {ann.get('kind', 'hnsw')}" in made[0]["indexdef"]


@pytest.mark.parametrize(
    ("kind", "near"), [("cosine", [1, 0.8]), ("l2", [-2, -(10**0.5)]), ("inner_product", [3, 12])]
)
def test_a_distance_makes_near_what_it_says(dsn, kind, near):
    with opened(dsn, index={**INDEX, "distance_type": kind}) as store:
        store.batch([PutOp(("n",), text, {"text": text}) for text in ("a", "aaaabbb", "")])
        found = {item.key: item.score for item in store.search(("n",), query="aaa")}
    assert [found["a"], found["aaaabbb"]] == pytest.approx(near, abs=1e-5)
    assert found[""] == pytest.approx({"cosine": 0, "l2": -3, "inner_product": 0}[kind])


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"dims": "26); DROP TABLE store"}, "Invalid dims"),
        ({"dims": 0}, "Invalid dims"),
        ({"dims": 3000}, "up to 2000 dims"),
        ({"distance_type": "hamming"}, "Invalid distance_type"),
        ({"ann_index_config": {"kind": "btree"}}, "Invalid kind"),
        ({"ann_index_config": {"vector_type": "text"}}, "Invalid vector_type"),
        ({"ann_index_config": {"m": "1) --"}}, "Invalid m"),
    ],
)
def test_a_setting_that_is_not_known_is_refused(dsn, wrong, says):
    with pytest.raises(ValueError, match=says), PostgresStore.from_conn_string(dsn, index={**INDEX, **wrong}):
        pass


def test_vectors_of_another_length_are_refused(dsn):
    with opened(dsn, index=INDEX) as store:
        store.put(("n",), "k", {"text": "a"})
        store.embeddings.func = lambda texts: [[1.0] * 5 for _ in texts]  # type: ignore[union-attr]
        with pytest.raises(ValueError, match="5 dimensions"):
            store.put(("n",), "k", {"text": "b"})
        assert store.get(("n",), "k").value == {"text": "a"}
    with (
        PostgresStore.from_conn_string(dsn, index={**INDEX, "dims": 5}) as other,
        pytest.raises(UsageError, match=r"vector\(26\).*vector\(5\)"),
    ):
        other.setup()


# -- time -----------------------------------------------------------------------------------------


def test_the_server_says_what_time_it_is(dsn):
    with opened(dsn, ttl={"default_ttl": 10}) as store:
        store.put(("n",), "k", {})
        with store._cursor() as cursor:
            now = cursor.execute("SELECT now()").fetchone()["now"]
        assert now - store.get(("n",), "k").updated_at < timedelta(minutes=1)
        assert store.sweep_ttl() == 0
        store.put(("n",), "k", {}, ttl=-1)
        assert store.sweep_ttl() == 1
