"""The store in a SQLite file: shared by threads and processes, all or nothing, in LangGraph's layout."""

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from dashflow.errors import UsageError
from dashflow.store import similarity
from dashflow.store.base import InvalidNamespaceError, PutOp
from dashflow.store.sqlite import SqliteStore, scores
from dashflow.store.sqlite.base import BaseSqliteStore
from dashflow.testing.store_case import letters

pytestmark = pytest.mark.feature("PERSIST-000")

INDEX = {"dims": 26, "embed": letters, "fields": ["text"]}

FILLING = """
import sys
from dashflow.store.sqlite import SqliteStore
from dashflow.testing.store_case import letters
index = {"dims": 26, "embed": letters, "fields": ["text"]}
ttl = {"default_ttl": 60, "refresh_on_read": True}
with SqliteStore.from_conn_string(sys.argv[1], index=index, ttl=ttl) as store:
    for count in range(25):
        store.put(("n", sys.argv[2]), str(count), {"text": "abc", "count": count})
        store.put(("shared",), "k", {"text": sys.argv[2]})
        assert store.get(("n", sys.argv[2]), str(count)).value["count"] == count
        assert store.search(("shared",), query="a")
"""


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "store.db")


@pytest.fixture
def store(path):
    with SqliteStore.from_conn_string(path) as store:
        yield store


def test_what_was_put_is_there_when_the_file_is_opened_again(path):
    with SqliteStore.from_conn_string(path, index=INDEX) as store:
        store.put(("n",), "k", {"text": "abc"})
    with SqliteStore.from_conn_string(path, index=INDEX) as store:
        assert store.get(("n",), "k").value == {"text": "abc"}
        assert store.search(("n",), query="abc")[0].score == pytest.approx(1, abs=1e-5)


def test_processes_share_a_file_from_its_first_moment(path):
    running = [subprocess.Popen([sys.executable, "-c", FILLING, path, name]) for name in "abcd"]
    assert [process.wait() for process in running] == [0, 0, 0, 0]
    with SqliteStore.from_conn_string(path) as store:
        assert len(store.search(("n",), limit=200)) == 100
        assert len(store.search(("shared",))) == 1


def test_threads_share_a_store(store):
    failed = []

    def work(number):
        try:
            for count in range(30):
                store.put(("n", str(number)), str(count), {"v": count})
                assert store.get(("n", str(number)), str(count)).value == {"v": count}
                store.list_namespaces(suffix=(str(number),))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(store.search(("n",), limit=500)) == 180


def test_a_reader_goes_on_seeing_what_it_began_with(store, path):
    store.put(("n",), "k", {"v": 1})
    with closing(sqlite3.connect(path)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM store").fetchone() == (1,)
        store.put(("n",), "k2", {"v": 2})
        assert reader.execute("SELECT count(*) FROM store").fetchone() == (1,)


@pytest.mark.parametrize("bad", [{"v": {1, 2}}, {"v": object()}, {"v": [{"deep": b"bytes"}]}, {1: "v"}])
def test_a_batch_with_something_that_cannot_be_stored_changes_nothing(store, bad):
    with pytest.raises(TypeError, match=r"Item 'bad' of \('n',\) cannot be stored: value"):
        store.batch([PutOp(("n",), "good", {"v": 1}), PutOp(("n",), "bad", bad)])
    assert store.search(()) == []


def test_the_part_that_cannot_be_stored_is_named(store):
    with pytest.raises(TypeError, match=r"value\['a'\]\[1\]\['b'\] is of type set"):
        store.put(("n",), "k", {"ok": 1, "a": [1, {"b": {1}}]})


def test_a_batch_that_fails_in_the_file_changes_nothing(store):
    store.put(("n",), "k", {"v": 1})
    # 2**63 is no integer to SQLite.
    with pytest.raises(OverflowError):
        store.batch([PutOp(("n",), "k", {"v": 2}), PutOp(("n",), 2**63, {"v": 3})])
    assert store.get(("n",), "k").value == {"v": 1}
    store.put(("n",), "k", {"v": 4})
    assert store.get(("n",), "k").value == {"v": 4}


def test_operations_given_directly_are_checked_too(store):
    store.put(("a", "b"), "k", {"v": 1})
    with pytest.raises(InvalidNamespaceError):
        store.batch([PutOp(("a.b",), "k", None)])
    assert store.get(("a", "b"), "k") is not None


@pytest.mark.feature("SEC-11")
@pytest.mark.parametrize("key", ["a') = 1 OR 1=1 --", "a b", 'a"b', "", "a'"])
def test_a_filter_key_cannot_say_anything_but_a_name(store, key):
    store.put(("n",), "k", {"v": 1})
    with pytest.raises(ValueError, match="Invalid filter key"):
        store.search(("n",), filter={key: 1})


@pytest.mark.feature("SEC-11")
def test_nothing_of_a_nested_filter_is_sql(store):
    store.put(("n",), "k", {"a": {"b') OR 1=1 --": 1}})
    assert store.search(("n",), filter={"a": {"x') OR 1=1 --": 1}}) == []
    assert len(store.search(("n",), filter={"a": {"b') OR 1=1 --": 1}})) == 1
    with pytest.raises(ValueError, match="Invalid filter key"):
        store.search(("n",), filter={"a": {'b"': 1}})


def test_a_filter_key_with_periods_is_a_path(store):
    store.put(("n",), "k", {"user": {"access-level": 7, "1st": "x"}})
    assert len(store.search(("n",), filter={"user.access-level": 7, "user.1st": "x"})) == 1


def test_the_newest_is_first(store):
    began = datetime(2026, 1, 1, tzinfo=UTC)
    for number, key in enumerate(("one", "two", "three", "one")):
        store.clock = lambda number=number: began + timedelta(microseconds=number)
        store.put(("n",), key, {"v": number})
    assert [item.key for item in store.search(("n",))] == ["one", "three", "two"]


def test_a_connection_of_the_program_serves_too():
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.row_factory = sqlite3.Row
        store = SqliteStore(connection)
        store.setup()
        store.put(("n",), "k", {"v": 1})
        assert store.get(("n",), "k").value == {"v": 1}
        assert store.conn is connection


def test_a_transaction_of_the_program_is_left_alone():
    with closing(sqlite3.connect(":memory:")) as connection:
        store = SqliteStore(connection)
        store.setup()
        connection.execute("CREATE TABLE mine (x)")
        connection.execute("INSERT INTO mine VALUES (1)")
        with pytest.raises(UsageError, match="open transaction"):
            store.put(("n",), "k", {"v": 1})
        connection.rollback()
        store.put(("n",), "k", {"v": 1})


def test_a_deserializer_gets_the_stored_bytes(path):
    with closing(sqlite3.connect(path)) as connection:
        store = SqliteStore(connection, deserializer=lambda data: {"raw": data})
        store.put(("n",), "k", {"v": 1})
        assert store.get(("n",), "k").value == {"raw": b'{"v":1}'}
        assert store.search(("n",))[0].value == {"raw": b'{"v":1}'}


def test_a_file_of_langgraphs_first_layout_is_brought_to_todays(path):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(f"""
            CREATE TABLE store_migrations (v INTEGER PRIMARY KEY);
            {BaseSqliteStore.MIGRATIONS[0]};
            {BaseSqliteStore.MIGRATIONS[1]};
            INSERT INTO store_migrations VALUES (0), (1);
            INSERT INTO store (prefix, key, value, updated_at)
            VALUES ('a.b', 'k', CAST('{{"v": 1}}' AS BLOB), '2025-01-01 00:00:00');
        """)
    with SqliteStore.from_conn_string(path, index=INDEX, ttl={"omit_expired": True}) as store:
        assert store.get(("a", "b"), "k").value == {"v": 1}
        assert len(store.search(("a",), filter={"v": 1})) == 1
        store.put(("a",), "new", {"text": "abc"}, ttl=-1)
        assert store.get(("a",), "new") is None
        assert store.sweep_ttl() == 1


def test_an_end_that_langgraph_wrote_is_an_end(path):
    with SqliteStore.from_conn_string(path, ttl={}) as store:
        store.clock = lambda: datetime(2026, 1, 1, 12, tzinfo=UTC)
        store.put(("n",), "k", {})
        for end, over in (
            ("2026-01-01 11:59:59", 1),
            ("2026-01-01 11:59:59.999999+00:00", 1),
            ("2026-01-01 12:00:01", 0),
            ("2026-01-01 12:00:00.500000+00:00", 0),
        ):
            with closing(sqlite3.connect(path)) as other, other:
                other.execute("UPDATE store SET expires_at = ?", (end,))
            assert store.sweep_ttl() == over, end
            store.put(("n",), "k", {})


def test_vectors_go_with_their_items_whoever_deletes_these(path):
    with SqliteStore.from_conn_string(path, index=INDEX) as indexed:
        for key in ("a", "b", "c"):
            indexed.put(("n",), key, {"text": key})
        with SqliteStore.from_conn_string(path) as plain:
            plain.delete(("n",), "a")
            plain.put(("n",), "b", {"text": "other"})
        with closing(sqlite3.connect(path)) as other:
            assert other.execute("SELECT key FROM store_vectors").fetchall() == [("c",)]


@pytest.mark.parametrize(
    ("kind", "near"),
    [("cosine", [1, 0.8]), ("l2", [-2, -(5**0.5)]), ("inner_product", [6, 12])],
)
def test_a_distance_makes_near_what_it_says(kind, near):
    index = {**INDEX, "distance_type": kind}
    with SqliteStore.from_conn_string(":memory:", index=index) as store:
        store.put(("n",), "same", {"text": "a"})
        store.put(("n",), "more", {"text": "aa" if kind != "inner_product" else "aabb"})
        store.put(("n",), "side", {"text": "aaaabbb"})
        found = {item.key: item.score for item in store.search(("n",), query="aaa")}
    if kind == "cosine":
        assert [found["same"], found["side"]] == pytest.approx(near, abs=1e-5)
    elif kind == "l2":
        assert next(iter(found)) == "more"
        assert found["same"] == pytest.approx(-2)
    else:
        assert list(found.items()) == [("side", pytest.approx(12)), ("more", pytest.approx(6)), ("same", 3)]


@pytest.mark.parametrize("with_numpy", [True, False])
@pytest.mark.parametrize("kind", ["cosine", "l2", "inner_product"])
def test_vectors_are_compared_without_sqlite_vec(monkeypatch, kind, with_numpy):
    monkeypatch.setattr(scores, "_load_sqlite_vec", lambda connection: False)
    monkeypatch.setattr(similarity, "_HAS_NUMPY", with_numpy)
    texts, query = ["aab", "abb", "zz", ""], "aaab"
    with SqliteStore.from_conn_string(":memory:", index={**INDEX, "distance_type": kind}) as store:
        for text in texts:
            store.put(("n",), text or "none", {"text": text})
        found = {item.key: item.score for item in store.search(("n",), query=query)}
    (asked,), vectors = letters([query]), letters(texts)
    expected = {
        "cosine": similarity.cosine(asked, vectors),
        "l2": [-distance for distance in similarity.euclidean(asked, vectors)],
        "inner_product": similarity.dot(asked, vectors),
    }[kind]
    assert found == {text or "none": pytest.approx(near) for text, near in zip(texts, expected, strict=True)}


def test_reads_that_refresh_nothing_do_not_wait_for_a_writer(path):
    ttl = {"default_ttl": 60, "refresh_on_read": True}
    with (
        closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as connection,
        closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other,
    ):
        connection.execute("PRAGMA journal_mode=WAL")
        store = SqliteStore(connection, ttl=ttl)
        store.put(("n",), "k", {"v": 1})
        other.execute("BEGIN IMMEDIATE")
        assert store.list_namespaces() == [("n",)]
        assert store.get(("n",), "k", refresh_ttl=False).value == {"v": 1}
        assert len(store.search(("n",), refresh_ttl=False)) == 1
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            store.get(("n",), "k")


async def test_async_calls_are_refused_with_a_word_about_the_other_store(store):
    with pytest.raises(NotImplementedError, match="AsyncSqliteStore"):
        await store.aget(("n",), "k")


def test_a_file_that_is_no_database_is_refused(tmp_path):
    path = tmp_path / "text"
    path.write_text("no database, but long enough to look at; " * 50)
    with pytest.raises(sqlite3.DatabaseError), SqliteStore.from_conn_string(str(path)):
        pass
    assert path.read_text().startswith("no database")
