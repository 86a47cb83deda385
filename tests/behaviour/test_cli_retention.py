"""`dashflow prune` and `dashflow delete`: threads of any program, shortened and deleted from outside."""

import dataclasses
import json
import operator
import subprocess
import sys
from typing import Annotated, Any, TypedDict

import pytest

from dashflow.checkpoint.sqlite import SqliteSaver
from dashflow.graph import START, StateGraph

pytestmark = pytest.mark.feature("LOG-05")


@dataclasses.dataclass
class Line:
    """A class that the command does not know."""

    text: str


class State(TypedDict):
    lines: Annotated[list[Any], operator.add]


def dashflow(*words):
    done = subprocess.run(
        [sys.executable, "-m", "dashflow", *words],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def lines_graph(saver):
    builder = StateGraph(State)
    builder.add_node("a", lambda state: {"lines": [Line(f"line {len(state['lines'])}")]})
    builder.add_edge(START, "a")
    return builder.compile(checkpointer=saver)


@pytest.fixture
def path(tmp_path):
    """A file with two threads of four runs each."""
    file = str(tmp_path / "threads.db")
    with SqliteSaver.from_conn_string(file) as saver:
        graph = lines_graph(saver)
        for _ in range(4):
            for thread in ("one", "two"):
                graph.invoke({"lines": []}, {"configurable": {"thread_id": thread}})
    return file


def test_old_checkpoints_are_dropped_and_the_program_goes_on(path):
    code, shown, _ = dashflow("prune", "one", "--keep", "2", "--dry-run", "--db", path)
    assert (code, shown) == (0, "one: 10 checkpoints would be dropped\n")
    assert dashflow("prune", "--keep", "2", "--db", path)[1].splitlines() == [
        "two: 10 checkpoints dropped",
        "one: 10 checkpoints dropped",
    ]
    code, shown, _ = dashflow("prune", "--older-than", "1d", "--json", "--db", path)
    assert {row["checkpoints"] for row in json.loads(shown)["threads"]} == {0}
    with SqliteSaver.from_conn_string(path) as saver:
        graph = lines_graph(saver)
        config = {"configurable": {"thread_id": "one"}}
        assert len(list(graph.get_state_history(config))) == 2
        texts = [line.text for line in graph.invoke({"lines": []}, config)["lines"]]
        assert texts == [f"line {number}" for number in range(5)]


def test_a_thread_that_runs_is_left_alone_and_said_so(path):
    from dashflow.log.base import Append
    from dashflow.log.sqlite import SqliteLog

    log = SqliteLog(path)
    log.append(Append("run-one", owner=f"{log.instance}/me", claim=True))
    code, shown, _ = dashflow("prune", "--keep", "1", "--db", path)
    assert code == 5
    assert "one: runs at this moment, left alone" in shown
    assert "two: 11 checkpoints dropped" in shown
    log.close()


def test_deleting_asks_first_and_leaves_nothing(path):
    code, _, problem = dashflow("delete", "one", "--db", path)
    assert (code, "give --yes" in problem) == (2, True)
    assert dashflow("delete", "one", "--yes", "--db", path)[:2] == (0, "one: deleted\n")
    code, _, problem = dashflow("delete", "on", "two", "--yes", "--db", path)
    assert (code, "'on'" in problem) == (2, True)
    with SqliteSaver.from_conn_string(path) as saver:
        graph = lines_graph(saver)
        assert graph.get_state({"configurable": {"thread_id": "one"}}).values == {}
        assert len(graph.get_state({"configurable": {"thread_id": "two"}}).values["lines"]) == 4


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["prune"], "Say what to keep"),
        (["prune", "--keep", "0"], "--keep"),
        (["prune", "--older-than", "soon"], "'soon' is no age"),
        (["prune", "nobody", "--keep", "1"], "nobody"),
        (["delete"], "THREAD"),
    ],
)
def test_what_cannot_be_done_is_said(path, words, problem):
    code, _, told = dashflow(*words, "--db", path)
    assert code == 2
    assert problem in told
