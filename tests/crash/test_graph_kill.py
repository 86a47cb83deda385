"""kill -9 of real processes on a real file: another process goes on, and repeats nothing that was recorded.

What nodes do to the world is a line in a file, so a node that ran twice has two.
"""

import os
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from dashflow.checkpoint.sqlite import SqliteSaver
from dashflow.engine.journal import AHEAD

pytestmark = pytest.mark.feature("PERSIST-000")

PROGRAM = """
    import asyncio, os, sys
    from operator import add
    from typing import Annotated, Any, TypedDict
    from dashflow.checkpoint.sqlite import SqliteSaver
    from dashflow.checkpoint.sqlite.aio import AsyncSqliteSaver
    from dashflow.graph import END, START, StateGraph
    from dashflow.types import Command, Send, interrupt

    folder, kind, host, durability, given = sys.argv[1:]
    effects = os.open(os.path.join(folder, "effects"), os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    config = {"configurable": {"thread_id": "t"}, "recursion_limit": 10_000}

    class State(TypedDict, total=False):
        n: int
        i: int
        log: Annotated[list[Any], add]

    def mark(what):
        os.write(effects, f"{what}\\n".encode())
        os.write(1, f"{what}\\n".encode())

    def chain(builder):
        def node(name):
            def run(state):
                mark(name)
                if name == "c" and given == "start":
                    sys.stdin.readline()
                return {"log": [name]}
            return run
        for before, name in zip([START, "a", "b", "c"], "abcd"):
            builder.add_node(name, node(name)).add_edge(before, name)

    def loop(builder):
        def step(state):
            mark(state["n"])
            return {"n": state["n"] + 1, "log": [state["n"]]}
        builder.add_node("step", step).add_edge(START, "step")
        builder.add_conditional_edges("step", lambda s: END if s["n"] >= 300 else "step")

    def fan_out(builder):
        def work(state):
            mark(f"work {state['i']}")
            if state["i"] == 3 and given == "start":
                sys.stdin.readline()
            return {"log": [state["i"]]}
        builder.add_node("work", work)
        builder.add_conditional_edges(START, lambda s: [Send("work", {"i": i}) for i in range(4)])

    def question(builder):
        def ask(state):
            mark("ask")
            return {"log": [interrupt("which?")]}
        def use(state):
            mark("use")
            if given == "answer":
                sys.stdin.readline()
            return {"log": ["used"]}
        builder.add_node("ask", ask).add_node("use", use).add_edge(START, "ask").add_edge("ask", "use")

    builder = StateGraph(State)
    globals()[kind](builder)
    inputs = {"start": {"n": 0}, "go on": None, "answer": Command(resume="this one")}
    path = os.path.join(folder, "threads.db")

    async def under_asyncio():
        async with AsyncSqliteSaver.from_conn_string(path) as saver:
            graph = builder.compile(checkpointer=saver)
            return await graph.ainvoke(inputs[given], config, durability=durability)

    if host == "asyncio":
        result = asyncio.run(under_asyncio())
    else:
        with SqliteSaver.from_conn_string(path) as saver:
            result = builder.compile(checkpointer=saver).invoke(inputs[given], config, durability=durability)
    print("result", result.get("log"), flush=True)
"""


class Folder:
    """A program's folder: its log, and what its nodes did."""

    def __init__(self, path: Path, kind: str, host: str, durability: str) -> None:
        self.path = path
        self.arguments = (kind, host, durability)
        self.program = path / "program.py"
        self.program.write_text(textwrap.dedent(PROGRAM), encoding="utf-8")

    def start(self, given: str) -> subprocess.Popen[str]:
        """A process that begins or goes on."""
        return subprocess.Popen(
            [sys.executable, str(self.program), str(self.path), *self.arguments, given],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )

    def kill_when(self, process: subprocess.Popen[str], line: str | None = None, lines: int = 0) -> bool:
        """kill -9 once it printed ``line``, or so many ``lines``; False when it came to its end before."""
        assert process.stdout is not None
        with process:
            for seen, said in enumerate(process.stdout, 1):
                if said.startswith("result"):
                    return False
                if said.strip() == line or seen == lines:
                    process.send_signal(signal.SIGKILL)
                    break
            process.stdout.read()
        return process.returncode == -signal.SIGKILL

    def finish(self, given: str = "go on") -> str:
        """A process that runs to the end; the result it printed."""
        process = self.start(given)
        said, _ = process.communicate()
        assert process.returncode == 0
        return said.splitlines()[-1]

    def effects(self) -> Counter[str]:
        """What nodes did, how often."""
        return Counter((self.path / "effects").read_text(encoding="utf-8").splitlines())

    def steps(self) -> int:
        """How many supersteps are recorded."""
        with SqliteSaver.from_conn_string(str(self.path / "threads.db")) as saver:
            return sum(record.type == "StepCompleted" for record in saver.log.read("run-t"))


@pytest.fixture(params=["sync", "asyncio"])
def host(request: pytest.FixtureRequest) -> Any:
    """Which host the program runs on."""
    return request.param


@pytest.mark.parametrize("durability", ["sync", "async"])
@pytest.mark.guarantee("sync-repeats-nothing-recorded")
def test_a_killed_chain_repeats_the_step_that_was_in_flight(tmp_path, host, durability) -> None:
    folder = Folder(tmp_path, "chain", host, durability)
    assert folder.kill_when(folder.start("start"), line="c")
    assert folder.finish() == "result ['a', 'b', 'c', 'd']"
    if durability == "sync":
        assert folder.effects() == {"a": 1, "b": 1, "c": 2, "d": 1}
    else:
        assert folder.effects()["c"] == 2
        assert folder.effects()["d"] == 1


@pytest.mark.guarantee("task-by-task")
def test_tasks_that_were_done_beside_the_one_in_flight_do_not_run_again(tmp_path, host) -> None:
    folder = Folder(tmp_path, "fan_out", host, "sync")
    process = folder.start("start")
    assert process.stdout is not None
    assert sorted(process.stdout.readline().strip() for _ in range(4)) == [f"work {i}" for i in range(4)]
    while recorded(tmp_path) < 3:  # the three that do not wait are being recorded
        pass
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert folder.finish() == "result [0, 1, 2, 3]"
    assert folder.effects() == {"work 0": 1, "work 1": 1, "work 2": 1, "work 3": 2}


def recorded(folder: Path) -> int:
    """How many tasks are recorded as done."""
    with SqliteSaver.from_conn_string(str(folder / "threads.db")) as saver:
        return sum(record.type == "TaskCompleted" for record in saver.log.read("run-t"))


def test_an_answer_is_not_asked_for_again(tmp_path, host) -> None:
    folder = Folder(tmp_path, "question", host, "sync")
    assert folder.finish("start") == "result []"
    assert folder.kill_when(folder.start("answer"), line="use")
    assert folder.finish() == "result ['this one', 'used']"
    assert folder.effects() == {"ask": 2, "use": 2}


@pytest.mark.parametrize("durability", ["sync", "async"])
@pytest.mark.guarantee("sync-repeats-nothing-recorded")
def test_a_loop_that_is_killed_again_and_again(tmp_path, host, durability, soak) -> None:
    folder = Folder(tmp_path, "loop", host, durability)
    in_flight = 1 if durability == "sync" else AHEAD + 2
    given = "start"
    marks: Counter[str] = Counter()
    done = 0
    for lines in range(1, 60) if soak else (1, 40, 2, 77, 5):
        if not folder.kill_when(folder.start(given), lines=lines):
            break
        given = "go on"
        effects = folder.effects()
        again = [number for number in range(done) if effects[str(number)] != marks[str(number)]]
        assert not again, "steps that were recorded when the last process died"
        marks, done = effects, max(folder.steps() - 1, 0)  # the first one takes the input
        assert len(marks) <= done + in_flight
    assert given == "go on"
    assert folder.finish() == f"result {list(range(300))}"
    after = folder.effects()
    assert [number for number in range(done) if after[str(number)] != marks[str(number)]] == []
    assert sorted(map(int, after)) == list(range(300))
