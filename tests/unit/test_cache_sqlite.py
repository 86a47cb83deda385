"""The cache in a SQLite file: shared by processes, safe against what others put there, LangGraph's layout."""

import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from dashflow._util import database
from dashflow.cache.base import BaseCache
from dashflow.cache.sqlite import SqliteCache
from dashflow.checkpoint.serde.jsonplus import JsonPlusSerializer

pytestmark = pytest.mark.feature("PERSIST-000")

FILLING = """
import sys
from dashflow.cache.sqlite import SqliteCache
cache = SqliteCache(path=sys.argv[1])
for count in range(25):
    key = (("n", sys.argv[2]), str(count))
    cache.set({key: (count, None), (("shared",), "k"): (sys.argv[2], None)})
    assert cache.get([key]) == {key: count}
cache.close()
"""


def test_processes_share_a_file_from_its_first_moment(tmp_path):
    path = str(tmp_path / "cache.db")
    running = [subprocess.Popen([sys.executable, "-c", FILLING, path, name]) for name in "abcd"]
    assert [process.wait() for process in running] == [0, 0, 0, 0]
    with closing(SqliteCache(path=path)) as cache:
        keys = [(("n", name), str(count)) for name in "abcd" for count in range(25)]
        assert len(cache.get(keys)) == 100
        assert cache.get([(("shared",), "k")])[("shared",), "k"] in "abcd"


def test_a_file_that_has_its_table_is_opened_while_another_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "_PATIENCE", 0.0)
    path = tmp_path / "cache.db"
    with (
        closing(SqliteCache(path=str(path))),
        closing(sqlite3.connect(path, isolation_level=None)) as writer,
    ):
        writer.execute("BEGIN IMMEDIATE")
        with closing(SqliteCache(path=str(path))) as cache:
            assert cache.get([(("n",), "k")]) == {}


def test_readers_and_a_writer_do_not_wait_for_each_other(tmp_path):
    path = tmp_path / "cache.db"
    with closing(SqliteCache(path=str(path))) as cache, closing(sqlite3.connect(path)) as reader:
        cache.set({(("n",), "k"): (1, None)})
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM cache").fetchone() == (1,)
        cache.set({(("n",), "k2"): (2, None)})
        assert reader.execute("SELECT count(*) FROM cache").fetchone() == (1,)


@pytest.mark.feature("NEW-11")
def test_a_pickle_in_the_file_is_not_read(tmp_path):
    path = tmp_path / "cache.db"
    with closing(SqliteCache(path=str(path))) as cache, closing(sqlite3.connect(path)) as other, other:
        other.execute(
            "INSERT INTO cache VALUES ('n', 'k', NULL, 'pickle', ?)", (b"cos\nsystem\n(S'exit 1'\ntR.",)
        )
        other.commit()
        with pytest.raises(NotImplementedError, match="pickle"):
            cache.get([(("n",), "k")])


def test_entries_of_langgraph_are_found(tmp_path):
    path = tmp_path / "cache.db"
    with closing(SqliteCache(path=str(path))) as cache, closing(sqlite3.connect(path)) as other, other:
        tag, content = JsonPlusSerializer().dumps_typed({"v": 1})
        other.execute("INSERT INTO cache VALUES ('graph,node', 'k', NULL, ?, ?)", (tag, content))
        other.commit()
        assert cache.get([(("graph", "node"), "k")]) == {(("graph", "node"), "k"): {"v": 1}}


def test_a_value_that_cannot_be_stored_leaves_the_others_out_too(tmp_path):
    with closing(SqliteCache(path=str(tmp_path / "cache.db"))) as cache:
        with pytest.raises(TypeError):
            cache.set({(("n",), "good"): (1, None), (("n",), "bad"): (object(), None)})
        assert cache.get([(("n",), "good")]) == {}


def test_the_interface_is_all_that_a_cache_of_other_people_needs():
    class Foreign(BaseCache):
        def __init__(self):
            super().__init__()
            self.kept = {}

        def get(self, keys):
            return {key: self.serde.loads_typed(self.kept[key]) for key in keys if key in self.kept}

        def set(self, pairs):
            self.kept |= {key: self.serde.dumps_typed(value) for key, (value, _) in pairs.items()}

        def clear(self, namespaces=None):
            self.kept.clear()

        async def aget(self, keys):
            return self.get(keys)

        async def aset(self, pairs):
            self.set(pairs)

        async def aclear(self, namespaces=None):
            self.clear(namespaces)

    cache = Foreign()
    cache.set({(("n",), "k"): ({"v": 1}, None)})
    assert cache.get([(("n",), "k"), (("n",), "other")]) == {(("n",), "k"): {"v": 1}}
    with pytest.raises(TypeError, match="abstract"):
        BaseCache()
