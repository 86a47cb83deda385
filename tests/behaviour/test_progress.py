"""How far plans and graph threads are, told by the log alone: the overviews, and `dashflow runs`."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated, TypedDict

import pytest

from dashflow.checkpoint.overview import ThreadOverview
from dashflow.checkpoint.sqlite import SqliteSaver
from dashflow.graph import END, START, StateGraph
from dashflow.log.memory import MemoryLog
from dashflow.log.projections import Projector
from dashflow.log.sqlite import SqliteLog
from dashflow.planner.overview import PlanOverview
from dashflow.planner.runs import PlanRequest, PlanRuns
from dashflow.types import Command, interrupt

pytestmark = pytest.mark.feature("LOG-07")


class State(TypedDict):
    words: Annotated[list[str], lambda old, new: old + new]


def graph_on(path: Path, seen: list[object]):
    """Two steps of one and two tasks; the second may ask, and may fail."""

    def begin(state: State):
        return {"words": ["begun"]}

    def left(state: State):
        seen.append(Projector(log, ThreadOverview()).look()["t"])
        return {"words": ["left"]}

    def right(state: State):
        if "fail" in state["words"]:
            raise RuntimeError("no")
        if "ask" in state["words"]:
            interrupt("really?")
        return {"words": ["right"]}

    log = SqliteLog(path)
    builder = StateGraph(State)
    for node in (begin, left, right):
        builder.add_node(node.__name__, node)
    builder.add_edge(START, "begin")
    builder.add_edge("begin", "left")
    builder.add_edge("begin", "right")
    builder.add_edge(["left", "right"], END)
    return builder, log


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


def test_a_thread_s_row_follows_its_run(path: Path) -> None:
    seen: list[object] = []
    builder, log = graph_on(path, seen)
    with SqliteSaver.from_conn_string(str(path)) as saver:
        graph = builder.compile(checkpointer=saver)
        config = {"configurable": {"thread_id": "t"}}
        overview = Projector(log, ThreadOverview())

        graph.invoke({"words": ["x"]}, config, durability="sync")
        row = overview.current()["t"]
        assert (row.status, row.steps, row.tasks_done) == ("completed", 2, 3)
        assert (seen[0].status, seen[0].steps, seen[0].tasks_done) == ("running", 1, 1)

        graph.invoke({"words": ["ask"]}, config)
        row = overview.current()["t"]
        assert (row.status, row.steps, row.tasks_done, row.tasks_waiting) == ("waiting", 1, 2, 1)
        graph.invoke(Command(resume="yes"), config)
        row = overview.current()["t"]
        assert (row.status, row.steps, row.tasks_done, row.tasks_waiting) == ("completed", 2, 3, 0)

        with pytest.raises(RuntimeError):
            graph.invoke({"words": ["fail"]}, config)
        row = overview.current()["t"]
        assert (row.status, row.tasks_failed, row.error) == ("failed", 1, "RuntimeError: no")
        assert row.created_at < row.started_at <= row.updated_at

        assert overview.verify() == []
        saver.delete_thread("t")
        assert overview.current() == {}
    log.close()


def test_a_plan_s_row_is_its_state_without_what_tasks_found(tmp_path: Path) -> None:
    (tmp_path / "stock.py").write_text("STOCK = 3  # TODO: count\n")
    log = MemoryLog()
    runs = PlanRuns(log)
    run = runs.accept(
        PlanRequest("Find TODO comments and write a report.", str(tmp_path), out=str(tmp_path / "out"))
    )
    (row,) = runs.list()
    assert (row.status, row.tasks_total) == ("planning", 0)
    state = runs.run(run)
    overview = Projector(log, PlanOverview())
    kept = overview.current()[run]
    assert (kept.status, kept.cursor, kept.times) == (state.status, state.cursor, state.times)
    assert all(task.result is None for task in kept.tasks.values())
    assert any(task.result for task in state.tasks.values())
    (row,) = runs.list()
    assert (row.status, row.tasks_done, row.tasks_failed) == ("completed", row.tasks_total, 0)
    assert overview.verify() == []


def test_runs_lists_threads_beside_plans(path: Path) -> None:
    builder, log = graph_on(path, [])
    with SqliteSaver.from_conn_string(str(path)) as saver:
        graph = builder.compile(checkpointer=saver)
        for thread, word in (("t", "x"), ("u", "ask")):
            graph.invoke({"words": [word]}, {"configurable": {"thread_id": thread}})
    log.close()
    command = [sys.executable, "-m", "dashflow", "runs", "--db", str(path)]
    shown = subprocess.run([*command, "--json"], capture_output=True, check=True, env=dict(os.environ))
    rows = {row["run"]: row for row in json.loads(shown.stdout)["runs"]}
    assert {name: (row["kind"], row["status"], row["steps"]) for name, row in rows.items()} == {
        "t": ("graph", "completed", 2),
        "u": ("graph", "waiting", 1),
    }
    assert (rows["u"]["tasks_done"], rows["u"]["tasks_waiting"], rows["u"]["tasks_total"]) == (2, 1, 3)
    text = subprocess.run(command, capture_output=True, check=True, text=True, env=dict(os.environ)).stdout
    assert "graph, 2 steps" in text
