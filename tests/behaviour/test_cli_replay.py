"""`dashflow replay`: threads of a log and exported histories against a program that changed."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from dashflow.errors import DamagedFileError, UsageError
from dashflow.graph import START, StateGraph
from dashflow.testing.replay import assert_replays, replay_exports

pytestmark = [pytest.mark.feature("DBG-01"), pytest.mark.feature("NEW-04"), pytest.mark.feature("DX-002")]

PROGRAM = """
import operator
from dataclasses import dataclass
from typing import Annotated, TypedDict
from dashflow.checkpoint.sqlite.aio import AsyncSqliteSaver
from dashflow.graph import START, StateGraph
from dashflow.types import interrupt


@dataclass
class Order:
    item: str


class State(TypedDict, total=False):
    log: Annotated[list, operator.add]
    order: Order


async def collect(state: State) -> dict:
    return {"log": ["collected"]}


def pay(state: State) -> dict:
    return {"log": [interrupt("Pay?")]}


builder = StateGraph(State)
builder.add_node("collect", collect)
builder.add_node("pay", pay)
builder.add_edge(START, "collect")
builder.add_edge("collect", "pay")
graph = builder.compile(name="shop")


async def main():
    saver = AsyncSqliteSaver("threads.db")
    mine = builder.compile(checkpointer=saver, name="shop")
    for thread in ("order-1", "order-2"):
        await mine.ainvoke({"order": Order("tea")}, {"configurable": {"thread_id": thread}})
    other = builder.compile(checkpointer=saver, name="archive")
    await other.ainvoke({"log": []}, {"configurable": {"thread_id": "old"}})
    saver.log.close()
"""


def call(folder, *words, db=True):
    return subprocess.run(
        [sys.executable, "-m", "dashflow", *words, *(["--db", "threads.db"] if db else [])],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )


def change(folder, old, new):
    text = (folder / "app.py").read_text()
    assert old in text
    (folder / "app.py").write_text(text.replace(old, new))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A program and its threads, as every test finds them."""
    place = tmp_path_factory.mktemp("made")
    (place / "app.py").write_text(PROGRAM)
    subprocess.run(
        [sys.executable, "-c", "import app, asyncio; asyncio.run(app.main())"], cwd=place, check=True
    )
    shutil.rmtree(place / "__pycache__", ignore_errors=True)
    return place


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "shop")


def test_threads_that_go_the_same_way(folder):
    before = (folder / "threads.db").read_bytes()
    done = call(folder, "replay", "app:graph", "order-1", "order-2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "same: order-1 (paused, 2 supersteps replayed)",
        "same: order-2 (paused, 2 supersteps replayed)",
        "2 the same, 0 diverged, 0 not replayable",
    ]
    done = call(folder, "replay", "app:graph", "--all", "--run", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["same"], told["diverged"], told["not_replayable"]) == (0, 2, 0, 1)
    by_thread = {row["thread"]: row for row in told["threads"]}
    assert by_thread["order-1"]["ran"] == 1
    assert by_thread["old"]["reason"] == "It is a thread of graph 'archive', and this one is 'shop'."
    assert (folder / "threads.db").read_bytes() == before


def test_a_thread_that_diverges(folder):
    change(folder, '"pay"', '"charge"')
    done = call(folder, "replay", "app:graph", "order-1")
    assert done.returncode == 4
    lines = done.stdout.splitlines()
    assert lines[0] == "DIVERGED: order-1 (paused, 1 supersteps replayed)"
    assert lines[1].startswith("  first at step 1, task collect, after checkpoint ")
    assert lines[2] == '  node: recorded ["pay"], now ["charge"]'
    assert lines[3].startswith("  Node 'pay' is gone: threads that wait at it")
    done = call(folder, "replay", "app:graph", "order-1", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["exit_code"], told["diverged"]) == (4, 4, 1)
    found = told["threads"][0]["divergence"]
    assert (found["kind"], found["step"], found["task"]) == ("node", 1, "collect")


def test_nodes_that_are_run_again(folder):
    change(folder, '["collected"]', '["gathered"]')
    assert call(folder, "replay", "app:graph", "order-1").returncode == 0
    assert call(folder, "replay", "app:graph", "order-1", "--node", "pay").returncode == 0
    for words in (("--run",), ("--node", "collect")):
        done = call(folder, "replay", "app:graph", "order-1", *words)
        assert done.returncode == 4
        assert 'result: recorded {"log": ["collected"]}, now {"log": ["gathered"]}' in done.stdout


def test_a_class_that_is_not_there_any_more(folder):
    change(folder, "Order", "Purchase")
    done = call(folder, "replay", "app:graph", "order-1")
    assert done.returncode == 4
    assert "class: recorded a value of that class" in done.stdout
    assert "app:Order" in done.stdout


def test_exported_histories_are_fixtures(folder):
    (folder / "histories").mkdir()
    for thread in ("order-1", "order-2"):
        out = call(folder, "log", "export", "--thread", thread, "-o", f"histories/{thread}.jsonl.gz")
        assert out.returncode == 0
    (folder / "histories" / "README.txt").write_text("no export")
    done = call(folder, "replay", "app:graph", "--check", "histories", db=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "histories/order-1.jsonl.gz:"
    change(folder, '"pay"', '"charge"')
    done = call(folder, "replay", "app:graph", "--check", "histories/order-2.jsonl.gz", db=False)
    assert done.returncode == 4
    assert "DIVERGED: order-2" in done.stdout
    assert not (folder / ".dashflow").exists()


def test_only_threads_of_other_graphs_is_no_success(folder):
    call(folder, "log", "export", "--thread", "old", "-o", "old.jsonl")
    done = call(folder, "replay", "app:graph", "--check", "old.jsonl", db=False)
    assert done.returncode == 2
    assert "0 the same, 0 diverged, 1 not replayable" in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["app:graph"], 2, "Say what to replay"),
        (["app:graph", "order-1", "--all"], 2, "Say what to replay"),
        (["app:nothing", "order-1"], 2, "no 'nothing'"),
        (["app:graph", "nowhere"], 2, "nowhere"),
        (["app:graph", "order-1", "--node", "x"], 2, "no node 'x' to run"),
        (["app:graph", "--check", "nowhere"], 2, "no file or folder 'nowhere'"),
        (["app:graph", "--check", "empty"], 2, "no export in 'empty'"),
        (["app:graph", "--check", "app.py"], 6, "app.py"),
    ],
)
def test_bad_input(folder, words, code, message):
    (folder / "empty").mkdir()
    done = call(folder, "replay", *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr


# -- in a test of one's own ---------------------------------------------------------------------------


def shop(schema):
    builder = StateGraph(schema)
    builder.add_node("collect", lambda state: {"log": ["collected"]})
    builder.add_node("charge", lambda state: {})
    builder.add_edge(START, "collect")
    builder.add_edge("collect", "charge")
    return builder.compile()


def test_a_check_in_a_test_of_ones_own(folder):
    path = folder / "one.jsonl"
    assert call(folder, "log", "export", "--thread", "order-1", "-o", path).returncode == 0
    sys.path.insert(0, str(folder))
    try:
        import app

        assert_replays(app.graph, path, folder)
        (file,) = replay_exports(app.graph, path)
        assert (file.path, [one.verdict for one in file.threads]) == (str(path), ["same"])
        (folder / "cut.jsonl").write_bytes(path.read_bytes()[:-40])
        with pytest.raises(DamagedFileError):
            assert_replays(app.graph, folder / "cut.jsonl")
        with pytest.raises(UsageError, match="no file or folder"):
            assert_replays(app.graph, folder / "nothing")
        with pytest.raises(
            AssertionError, match=r"'order-1' diverges at step 1, task 'collect' \(node\): recorded"
        ):
            assert_replays(shop(app.State), path)
        renamed = app.builder.compile(name="other")
        with pytest.raises(AssertionError, match="can be replayed"):
            assert_replays(renamed, path)
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("app", None)
