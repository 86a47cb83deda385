"""``dashflow import langgraph``: databases that the real LangGraph wrote, in its own processes, come over.

What DashFlow then shows and does is compared with what LangGraph shows and does on a copy.
"""

import gzip
import operator
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Annotated, TypedDict

import ormsgpack
import pytest

from dashflow.checkpoint.foreign import import_langgraph
from dashflow.checkpoint.saver import LogSaver
from dashflow.checkpoint.sqlite import SqliteSaver
from dashflow.graph import END, START, StateGraph
from dashflow.log.memory import MemoryLog
from dashflow.store.sqlite import SqliteStore
from dashflow.types import Command, Send, interrupt
from tests.behaviour.moving.databases import SOURCES, changed, command, program, rows

pytestmark = pytest.mark.feature("PERSIST-006")


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def written(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, str, dict, dict]:
    """Kind and place of a database that LangGraph filled; what LangGraph shows of it, and how it goes on."""
    if request.param == "sqlite":
        folder = tmp_path_factory.mktemp("langgraph")
        where, copy = str(folder / "threads.sqlite"), str(folder / "copy.sqlite")
        program("langgraph", "sqlite", where, "fill")
        shutil.copy(where, copy)
    else:
        database = request.getfixturevalue("server")
        where = database()
        program("langgraph", "postgres", where, "fill")
        copy = database(where.partition("?")[0].rpartition("/")[2])
    shown = program("langgraph", request.param, copy, "places")
    return request.param, where, shown, program("langgraph", request.param, copy, "go on")


def test_threads_look_as_they_did_and_go_on_as_they_would_have(tmp_path, written):
    kind, source, shown, gone_on = written
    db = str(tmp_path / "log.db")
    code, told = command("import", "langgraph", source, "--db", db)
    report = told["report"]
    assert (code, report["kind"], report["threads"], report["namespaces"]) == (0, kind, 7, 8)
    assert report["skipped"] == []
    inner = report["checkpoints"] - sum(len(steps) for thread, steps in shown.items() if thread != "inside")
    assert inner == 3
    assert program("dashflow", "sqlite", db, "places") == shown
    assert program("dashflow", "sqlite", db, "go on") == gone_on


def test_importing_again_adds_nothing_and_a_dry_run_nothing_at_all(tmp_path, written):
    _, source, _, _ = written
    db = tmp_path / "log.db"
    code, told = command("import", "langgraph", source, "--db", str(db), "--dry-run")
    assert (code, told["report"]["checkpoints"] > 30) == (0, True)
    assert not db.exists()
    _, first = command("import", "langgraph", source, "--db", str(db))
    assert {**first["report"], "dry_run": True} == told["report"]
    with SqliteSaver.from_conn_string(str(db)) as saver:
        before = saver.log.read_all(limit=10_000)
        again = import_langgraph(source, saver)
        assert (again.checkpoints, again.writes, again.size) == (0, 0, 0)
        assert again.present == told["report"]["checkpoints"]
        assert saver.log.read_all(limit=10_000) == before


def test_a_thread_that_went_on_here_is_left_alone(tmp_path, written):
    _, source, _, _ = written
    db = str(tmp_path / "log.db")
    command("import", "langgraph", source, "--db", db)
    program("dashflow", "sqlite", db, "go on")
    code, told = command("import", "langgraph", source, "--db", db)
    assert (code, told["report"]["checkpoints"], told["report"]["skipped"]) == (0, 0, [])


def test_only_the_threads_that_are_named(written):
    _, source, shown, _ = written
    saver = LogSaver(MemoryLog())
    report = import_langgraph(source, saver, threads=["asked", "nobody"])
    assert (report.threads, report.checkpoints) == (1, len(shown["asked"]))
    assert [(one.what, one.code, one.thread) for one in report.skipped] == [("thread", "unknown", "nobody")]
    assert {info.stream for info in saver.log.streams()} == {"run-asked"}


def test_what_langgraph_did_since_comes_with_the_next_import(source):
    saver = LogSaver(MemoryLog())
    first = import_langgraph(source, saver)
    program("langgraph", "sqlite", str(source), "go on")
    second = import_langgraph(source, saver)
    assert second.present == first.checkpoints
    fresh = LogSaver(MemoryLog())
    whole = import_langgraph(source, fresh)
    assert whole.checkpoints == first.checkpoints + second.checkpoints
    listed = [(one.config, one.checkpoint, one.pending_writes) for one in saver.list(None)]
    assert listed == [(one.config, one.checkpoint, one.pending_writes) for one in fresh.list(None)]
    thread = {"configurable": {"thread_id": "half answered"}}
    assert saver.get_tuple(thread).config == fresh.get_tuple(thread).config


def test_a_thread_that_went_on_in_both_places_is_reported(source, tmp_path):
    db = str(tmp_path / "log.db")
    command("import", "langgraph", str(source), "--db", db)
    program("dashflow", "sqlite", db, "go on")
    program("langgraph", "sqlite", str(source), "go on")
    code, told = command("import", "langgraph", str(source), "--db", db)
    assert code == 4
    assert {one["code"] for one in told["report"]["skipped"]} == {"continued"}
    assert told["report"]["checkpoints"] == 0


def test_an_import_that_was_killed_goes_on(source, tmp_path):
    """Killed after every so many events; each time it is simply started again."""
    db = tmp_path / "log.db"
    script = f"""
import os, signal, sys
from dashflow.checkpoint.foreign import import_langgraph
from dashflow.checkpoint.sqlite import SqliteSaver

saver = SqliteSaver({str(db)!r})
submit, left = saver.log.submit, 7

def counting(append):
    global left
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    left -= 1
    return submit(append)

saver.log.submit = counting
import_langgraph({str(source)!r}, saver)
saver.close()
"""
    codes = []
    while not codes or codes[-1]:
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONPATH": SOURCES}, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
        codes.append(done.returncode)
        assert codes[-1] in (0, -signal.SIGKILL), done.stderr
        assert len(codes) < 40
    assert len(codes) > 1
    whole = LogSaver(MemoryLog())
    import_langgraph(source, whole)
    with SqliteSaver.from_conn_string(str(db)) as saver:
        found = [(one.config, one.checkpoint, one.pending_writes) for one in saver.list(None)]
        assert found == [(one.config, one.checkpoint, one.pending_writes) for one in whole.list(None)]
        for thread in ("loop", "asked", "nested", "forked"):
            place = {"configurable": {"thread_id": thread}}
            assert saver.get_tuple(place).config == whole.get_tuple(place).config


def test_a_shallow_saver(server, tmp_path):
    where = server()
    program("langgraph", "shallow", where, "ask")
    saver = LogSaver(MemoryLog())
    report = import_langgraph(where, saver)
    assert (report.kind, report.threads, report.checkpoints) == ("postgres-shallow", 1, 1)
    db = str(tmp_path / "log.db")
    command("import", "langgraph", where, "--db", db)
    assert program("dashflow", "sqlite", db, "answer") == program("langgraph", "shallow", where, "answer")


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_items_of_a_store(kind, tmp_path, request):
    where = str(tmp_path / "items.sqlite") if kind == "sqlite" else request.getfixturevalue("server")()
    program("langgraph", kind, where, "keep")
    code, told = command("import", "langgraph", where, "--db", str(tmp_path / "log.db"))
    assert (code, told["report"]["skipped"][0]["code"]) == (0, "not_asked")
    store = str(tmp_path / "store.db")
    for items, present in ((5, 0), (0, 5)):
        _, told = command("import", "langgraph", where, "--db", str(tmp_path / "log.db"), "--store", store)
        assert (told["report"]["items"], told["report"]["items_present"]) == (items, present)
    with SqliteStore.from_conn_string(store) as ours:
        found = {item.namespace: item.value for item in ours.search(("people",))}
        assert found == {("people", str(number)): {"number": number} for number in range(5)}
    ends = rows(
        Path(store), "SELECT key, created_at, expires_at IS NULL, ttl_minutes FROM store ORDER BY prefix"
    )
    assert [(one[2], one[3]) for one in ends] == [(1, None), *[(0, 60)] * 4]


@pytest.mark.parametrize("layout", [1, 2, 3])
def test_packets_of_old_layouts_are_found_among_the_writes_before(source, layout):
    """Until layout 3 a saver took them from there; the packets keep their bytes."""
    [(identifier, parent, blob)] = rows(
        source,
        "SELECT checkpoint_id, parent_checkpoint_id, checkpoint FROM checkpoints WHERE thread_id = 'failed' "
        "ORDER BY checkpoint_id DESC LIMIT 1",
    )
    stored = ormsgpack.unpackb(blob, ext_hook=ormsgpack.Ext)
    stored["v"] = layout
    stored["pending_sends"] = []
    packets = stored["channel_values"].pop("__pregel_tasks")
    del stored["channel_versions"]["__pregel_tasks"]
    changed(
        source,
        "UPDATE checkpoints SET checkpoint = ? WHERE checkpoint_id = ?",
        ormsgpack.packb(stored),
        identifier,
    )
    saver = LogSaver(MemoryLog())
    assert import_langgraph(source, saver, threads=["failed"]).skipped == []
    found = saver.get_tuple({"configurable": {"thread_id": "failed", "checkpoint_id": identifier}})
    assert parent is not None
    assert [sent.arg for sent in found.checkpoint["channel_values"]["__pregel_tasks"]] == [
        {"number": number} for number in range(len(packets))
    ]


class State(TypedDict):
    log: Annotated[list, operator.add]
    count: int


def looping(saver, **how):
    builder = StateGraph(State)
    builder.add_node("step", lambda state: {"log": [state["count"]], "count": state["count"] + 1})
    builder.add_edge(START, "step")
    builder.add_conditional_edges("step", lambda state: "step" if state["count"] < 5 else END)
    return builder.compile(checkpointer=saver, **how)


def spreading(saver):
    builder = StateGraph(State)
    builder.add_node("spread", lambda state: {"count": 1})
    builder.add_node("part", lambda given: {"log": [f"part {given['number']}"]})
    builder.add_node("end", lambda state: {"log": ["end"]})
    builder.add_edge(START, "spread")
    builder.add_conditional_edges(
        "spread", lambda state: [Send("part", {"number": number}) for number in range(3)], ["part"]
    )
    builder.add_edge("part", "end")
    return builder.compile(checkpointer=saver)


def asking(saver):
    builder = StateGraph(State)
    builder.add_node("work", lambda state: {"log": ["worked"], "count": 1})
    builder.add_node("ask", lambda state: {"log": [interrupt("sure?")]})
    builder.add_edge(START, "work")
    builder.add_edge("work", "ask")
    return builder.compile(checkpointer=saver)


@pytest.mark.parametrize("release", ["0.2.20", "0.3.34"])
def test_databases_of_old_releases(tmp_path, release):
    """Written by those releases with the same graphs: layouts 1 and 3 of checkpoints."""
    packed = Path(__file__).parent / "data" / f"langgraph-{release}.sqlite.gz"
    source = tmp_path / "old.sqlite"
    source.write_bytes(gzip.decompress(packed.read_bytes()))
    saver = LogSaver(MemoryLog())
    assert import_langgraph(source, saver).skipped == []

    def config(thread):
        return {"configurable": {"thread_id": thread}}

    graph = looping(saver)
    history = list(graph.get_state_history(config("loop")))
    assert [one.values.get("count") for one in history] == [5, 4, 3, 2, 1, 0, None]
    assert graph.invoke(None, history[3].config)["log"] == [0, 1, 2, 3, 4]
    assert graph.get_state(config("paused loop")).next == ("step",)
    assert graph.invoke(None, config("paused loop")) == {"log": [3, 4], "count": 5}
    assert spreading(saver).get_state(config("packets")).next == ("part",) * 3
    done = spreading(saver).invoke(None, config("packets"))
    assert done == {"log": ["part 0", "part 1", "part 2", "end"], "count": 1}
    if release != "0.2.20":  # it had no questions yet
        [question] = asking(saver).get_state(config("asked")).tasks[0].interrupts
        assert question.value == "sure?"
        done = asking(saver).invoke(Command(resume="yes"), config("asked"))
        assert done == {"log": ["worked", "yes"], "count": 1}
