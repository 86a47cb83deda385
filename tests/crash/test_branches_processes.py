"""Branches of one thread run in several processes at once, and are begun by several at once."""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

pytestmark = pytest.mark.feature("RUN-14")

PROGRAM = """
import json, operator, sys
from typing import Annotated, TypedDict
from dashflow.checkpoint.sqlite import SqliteSaver
from dashflow.errors import BranchExistsError
from dashflow.graph import START, StateGraph

path, action, name = sys.argv[1:]


class State(TypedDict):
    log: Annotated[list, operator.add]


def meet(state):
    print("inside", flush=True)
    return {"log": [sys.stdin.readline().strip()]}


builder = StateGraph(State)
builder.add_node("a", lambda state: {"log": ["a"]})
builder.add_node("meet", meet if action == "run" else lambda state: {"log": ["alone"]})
builder.add_node("z", lambda state: {"log": ["z"]})
builder.add_edge(START, "a")
builder.add_edge("a", "meet")
builder.add_edge("meet", "z")
thread = {"configurable": {"thread_id": "t"}}
with SqliteSaver.from_conn_string(path) as saver:
    graph = builder.compile(checkpointer=saver)
    config = {"configurable": {"thread_id": name}}
    if action == "run":
        print(json.dumps(graph.invoke({"log": ["in"]}, config)["log"]))
    elif action == "go on":
        print(json.dumps(graph.invoke(None, config)["log"]))
    elif action == "start":
        graph.invoke({"log": ["first"]}, thread)
        for one in name.split():
            graph.create_branch(thread, one)
    elif action == "fork":
        print("ready", flush=True)
        sys.stdin.readline()
        try:
            print(graph.create_branch(thread, name).thread_id)
        except BranchExistsError:
            print("exists")
"""


def program(tmp_path, action, name):
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "threads.db"), action, name],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )


def finish(process, line=""):
    out, _ = process.communicate(line)
    return process.returncode, out.strip()


def test_a_thread_and_its_branches_run_at_the_same_time(tmp_path):
    assert finish(program(tmp_path, "start", "one two"))[0] == 0
    running = [program(tmp_path, "run", name) for name in ("t", "t~one", "t~two")]
    assert [process.stdout.readline() for process in running] == [
        "inside\n"
    ] * 3  # all are in their nodes now
    ended = [finish(process, f"{number}\n") for number, process in enumerate(running)]
    for number, (code, out) in enumerate(ended):
        assert code == 0
        assert json.loads(out) == ["first", "a", "alone", "z", "in", "a", str(number), "z"]


def test_a_branch_whose_process_was_killed_goes_on_elsewhere(tmp_path):
    assert finish(program(tmp_path, "start", "one"))[0] == 0
    killed = program(tmp_path, "run", "t~one")
    assert killed.stdout.readline() == "inside\n"
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert json.loads(finish(program(tmp_path, "go on", "t~one"))[1])[-3:] == ["a", "alone", "z"]
    assert json.loads(finish(program(tmp_path, "go on", "t"))[1]) == ["first", "a", "alone", "z"]


def test_of_several_that_begin_a_branch_of_one_name_one_wins(tmp_path):
    assert finish(program(tmp_path, "start", ""))[0] == 0
    racing = [program(tmp_path, "fork", "same") for _ in range(4)]
    for process in racing:
        assert process.stdout.readline() == "ready\n"
    with ThreadPoolExecutor(len(racing)) as pool:
        ended = list(pool.map(lambda process: finish(process, "\n"), racing))
    assert sorted(out for _, out in ended) == ["exists"] * 3 + ["t~same"]
