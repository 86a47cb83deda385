"""The store of the public package ``langgraph-checkpoint-sqlite`` works on DashFlow's base classes, and its
files and those of DashFlow's own store are the same."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import dashflow
from dashflow.store.sqlite import SqliteStore

pytestmark = pytest.mark.feature("PERSIST-006", "MIGRATE-002")

PROGRAM = """
import asyncio, json, sys
from langgraph.store.base import BaseStore
from langgraph.store.sqlite import AsyncSqliteStore, SqliteStore

path, ttl = sys.argv[1], {"default_ttl": 60, "refresh_on_read": True}

with SqliteStore.from_conn_string(path, ttl=ttl) as store:
    store.setup()
    store.put(("a", "b"), "sync", {"n": 1})
    found = sorted(item.key for item in store.search(("a",), filter={"n": {"$lt": 5}}))


async def asynchronous():
    async with AsyncSqliteStore.from_conn_string(path, ttl=ttl) as store:
        await store.setup()
        await asyncio.gather(*(store.aput(("a", "c"), f"async{n}", {"n": n}) for n in range(3)))
        item = await store.aget(("a", "c"), "async2")
        return [item.value, await store.alist_namespaces(suffix=("c",)), await store.sweep_ttl()]


print(json.dumps({
    "store": SqliteStore.__module__.split(".")[0], "base": BaseStore.__module__.split(".")[0],
    "is_one": issubclass(SqliteStore, BaseStore), "found": found, "async": asyncio.run(asynchronous()),
}))
"""

ON_LANGGRAPH: tuple[str, ...] = ()
ON_DASHFLOW = ("-m", "dashflow.compat", "--keep", "langgraph.store.sqlite")


def run(on: tuple[str, ...], tmp_path: Path, path: str) -> dict:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    sources = str(Path(dashflow.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, *on, str(script), path],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": sources},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(("on", "base"), [(ON_LANGGRAPH, "langgraph"), (ON_DASHFLOW, "dashflow")])
def test_the_public_store_works_and_its_file_is_opened_by_ours(tmp_path, on, base):
    path = str(tmp_path / "store.db")
    with SqliteStore.from_conn_string(path, ttl={}) as store:
        store.put(("a",), "ours", {"n": 3}, ttl=60)
        said = run(on, tmp_path, path)
        assert said == {
            "store": "langgraph",
            "base": base,
            "is_one": True,
            "found": ["ours", "sync"],
            "async": [{"n": 2}, [["a", "c"]], 0],
        }
        assert {item.key: item.value["n"] for item in store.search(("a",), filter={"n": {"$gte": 1}})} == {
            "ours": 3,
            "sync": 1,
            "async1": 1,
            "async2": 2,
        }
        assert store.get(("a", "b"), "sync").value == {"n": 1}
