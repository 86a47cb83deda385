"""`dashflow branch`: fork, list, diff, merge and delete branches, mostly without the program's code."""

import json
import os
import pty
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.feature("RUN-14"), pytest.mark.feature("DX-002")]

PROGRAM = """
import operator
from dataclasses import dataclass
from typing import Annotated, TypedDict
from dashflow.checkpoint.sqlite import SqliteSaver
from dashflow.graph import START, StateGraph


@dataclass
class Order:
    item: str


class State(TypedDict, total=False):
    log: Annotated[list, operator.add]
    total: Annotated[int, operator.add]
    order: Order
    note: str


builder = StateGraph(State)
builder.add_node("work", lambda state: {"log": ["worked"], "total": 1})
builder.add_edge(START, "work")
graph = builder.compile()


def main():
    with SqliteSaver.from_conn_string("threads.db") as saver:
        mine = builder.compile(checkpointer=saver)
        config = {"configurable": {"thread_id": "chat"}}
        mine.invoke({"log": ["begin"], "order": Order("tea"), "note": "x"}, config)
        draft = mine.create_branch(config, "draft")
        mine.invoke({"log": ["there"], "order": Order("coffee")}, draft.config)
        mine.invoke({"log": ["here"]}, config)
        mine.create_branch(draft.config, "deeper")
"""


def call(folder, *words):
    return subprocess.run(
        [sys.executable, "-m", "dashflow", *words, "--db", "threads.db"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "app.py").write_text(PROGRAM)
    subprocess.run([sys.executable, "-c", "import app; app.main()"], cwd=tmp_path, check=True)
    return tmp_path


def test_branches_are_a_tree(folder):
    done = call(folder, "branch", "list", "chat")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert [line.split("[")[0].rstrip() for line in lines] == [
        "✓ chat",
        "└── ✓ draft  chat~draft",
        "    └── ✓ deeper  chat~draft~deeper",
    ]
    assert "from step 1, at step 4" in lines[1]
    assert "nothing done yet" in lines[2]
    told = json.loads(call(folder, "branch", "list", "chat", "--json").stdout)
    assert [(row["name"], row["parent"], row["step"]) for row in told["branches"]] == [
        ("draft", "chat", 1),
        ("deeper", "chat~draft", 4),
    ]


def test_fork_at_a_checkpoint_and_delete(folder):
    rows = json.loads(call(folder, "branch", "list", "chat", "--json").stdout)["branches"]
    done = call(folder, "branch", "fork", "chat", "early", "--at", rows[0]["checkpoint"])
    assert "Branch early of chat is thread chat~early, from step 1" in done.stdout
    assert "dashflow branch list chat --db threads.db" in done.stdout
    state = json.loads(call(folder, "state", "chat~early", "--json").stdout)
    assert state["state"]["values"]["log"] == ["begin", "worked"]
    events = [json.loads(line) for line in call(folder, "events", "chat~early", "--json").stdout.splitlines()]
    assert [event["version"] for event in events] == list(range(1, state["version"] + 1))
    assert (events[-1]["type"], events[-1]["stream"], events[0]["stream"]) == (
        "BranchStarted",
        "run-chat~early",
        "run-chat",
    )
    again = call(folder, "branch", "fork", "chat", "early")
    assert again.returncode == 2
    assert "has a branch 'early' already" in again.stderr
    assert call(folder, "branch", "fork", "chat", "x y").returncode == 2
    unknown = call(folder, "branch", "fork", "chat", "x", "--at", "beef")
    assert unknown.returncode == 2
    assert "has no checkpoint 'beef'" in unknown.stderr
    ambiguous = call(folder, "branch", "fork", "chat", "x", "--at", "1")
    assert "Write more of the id" in ambiguous.stderr
    gone = call(folder, "branch", "delete", "chat", "draft")
    assert gone.returncode == 0
    assert "Branch 'draft' of chat is deleted" in gone.stderr
    shown = call(folder, "branch", "list", "chat").stdout
    assert "began in chat~draft, which is deleted" in shown
    missing = call(folder, "branch", "delete", "chat", "draft")
    assert missing.returncode == 2
    assert "its branches are the threads" in missing.stderr


def test_a_difference_is_told_for_people_and_programs(folder):
    done = call(folder, "branch", "diff", "chat", "draft")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("--- chat at ")
    assert lines[1].startswith("+++ chat~draft at ")
    assert lines[2:] == [
        "~ log  4 items",
        '  - [2] "here"',
        '  + [2] "there"',
        '~ order  Order {"item": "tea"} → Order {"item": "coffee"}',
    ]
    told = json.loads(call(folder, "branch", "diff", "chat", "draft", "--json").stdout)
    assert [change["key"] for change in told["changes"]] == ["log", "order"]
    assert told["base"]["thread"] in ("chat", "chat~draft")
    assert "The states are the same." in call(folder, "branch", "diff", "chat~draft", "deeper").stdout


def test_a_difference_has_colours_on_a_terminal(folder):
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "dashflow", "branch", "diff", "chat", "draft", "--db", "threads.db"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=slave,
        env={**os.environ, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", "COLUMNS": "100"},
    )
    os.close(slave)
    shown = b""
    while True:
        try:
            piece = os.read(master, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(master)
    assert process.wait() == 0
    assert b"\x1b[32m" in shown
    assert b"\x1b[31m" in shown


def test_merging_needs_the_graph_only_for_its_reducers(folder):
    alone = call(folder, "branch", "merge", "chat", "draft")
    assert alone.returncode == 2
    assert "both changed log, total" in alone.stderr
    assert "Name the graph" in alone.stderr
    wrong = call(folder, "branch", "merge", "chat", "draft", "--graph", "app")
    assert "Write MODULE:NAME" in wrong.stderr
    assert (
        "There is no module 'nope'"
        in call(folder, "branch", "merge", "chat", "draft", "--graph", "nope:x").stderr
    )
    assert "is a module" in call(folder, "branch", "merge", "chat", "draft", "--graph", "app:operator").stderr
    done = call(folder, "branch", "merge", "chat", "draft", "--graph", "app:graph", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["merged"], told["taken"], told["reduced"]) == (True, ["order"], ["log", "total"])
    values = json.loads(call(folder, "state", "chat", "--json").stdout)["state"]["values"]
    assert values["log"] == ["begin", "worked", "here", "worked", "there", "worked"]
    assert values["total"] == 3
    assert values["order"]["fields"] == {"item": "coffee"}
    assert "Nothing to merge" in call(folder, "branch", "merge", "chat", "draft").stdout


def test_merging_without_the_programs_code(folder):
    done = call(folder, "branch", "merge", "chat", "draft", "--take", "ours")
    assert done.returncode == 0
    assert "taken: order" in done.stdout
    values = json.loads(call(folder, "state", "chat", "--json").stdout)["state"]["values"]
    assert values["log"] == ["begin", "worked", "here", "worked"]
    assert values["order"] == {"class": "app:Order", "fields": {"item": "coffee"}}
    script = "import app\nfrom dashflow.checkpoint.sqlite import SqliteSaver\n"
    script += "with SqliteSaver.from_conn_string('threads.db') as saver:\n"
    script += "    graph = app.builder.compile(checkpointer=saver)\n"
    script += "    print(graph.get_state({'configurable': {'thread_id': 'chat'}}).values['order'])\n"
    shown = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=True
    )
    assert shown.stdout == "Order(item='coffee')\n"


def test_bad_input_leaves_nothing_behind(tmp_path):
    done = call(tmp_path, "branch", "fork", "chat", "draft")
    assert done.returncode == 2
    assert list(tmp_path.iterdir()) == []
    assert call(tmp_path, "branch", "nothing").returncode == 2
    assert "fork" in call(tmp_path, "branch", "--help").stdout
