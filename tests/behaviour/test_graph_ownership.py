"""One thread has one run at a time: a second is refused before a node of it runs, whoever starts it."""

import asyncio
import operator
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest

from dashflow.checkpoint.saver import LogSaver
from dashflow.checkpoint.sqlite import SqliteSaver
from dashflow.errors import OwnershipConflictError, StorageUnavailableError
from dashflow.graph import START, StateGraph
from dashflow.log.base import Append, Appended
from dashflow.log.memory import MemoryLog

pytestmark = pytest.mark.feature("PERSIST-000", "NEW-08")


def test_a_second_run_of_a_thread_is_refused(recorded) -> None:
    if recorded.kind == "simulated":
        return  # it has no two runs at a time
    inside, leave = threading.Event(), threading.Event()
    ran = []

    def slow(state: Any) -> Any:
        ran.append(state["n"])
        inside.set()
        assert leave.wait(30)
        return {"log": [state["n"]]}

    builder = recorded.graph([], [(START, "slow")])
    graph = recorded.compile(builder.add_node("slow", slow))
    results: list[Any] = []

    def first() -> None:
        if recorded.kind == "sync":
            results.append(graph.invoke({"n": 1}, recorded.config()))
        else:
            results.append(asyncio.run(graph.ainvoke({"n": 1}, recorded.config())))

    other = threading.Thread(target=first)
    other.start()
    assert inside.wait(30)
    for attempt in (
        lambda: recorded.run(graph, {"n": 2}, multitask_strategy="reject"),
        lambda: recorded.run(graph, None),
        lambda: recorded.parts(graph, {"n": 2}, multitask_strategy="reject"),
        lambda: recorded.update(graph, recorded.config(), {"n": 3}, as_node="slow"),
    ):
        with pytest.raises(OwnershipConflictError, match="is being run by"):
            attempt()
    assert recorded.state(graph).next == ("slow",)
    leave.set()
    assert recorded.run(graph, {"n": 9}, recorded.config("another")) == {"n": 9, "log": [9]}
    other.join()
    assert results == [{"n": 1, "log": [1]}]
    assert recorded.run(graph, {"n": 4}) == {"n": 4, "log": [1, 4]}
    assert ran == [1, 9, 4]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("beside", [False, True])
def test_a_thread_is_free_after_a_run_however_it_ended(recorded, error, beside) -> None:
    if recorded.kind == "asyncio" and error is not ValueError:
        return  # these end the loop itself
    broken = [True]

    def fail(state: Any) -> Any:
        if broken[0]:
            raise error("boom")
        return {"log": ["ok"]}

    nodes = [recorded.says("first"), ("fail", fail)]
    edges = [(START, "first"), (START, "fail")] if beside else None
    graph = recorded.compile(recorded.graph(nodes, edges))
    with pytest.raises(error, match="boom"):
        recorded.run(graph, {"n": 1})
    broken[0] = False
    assert sorted(recorded.run(graph, None)["log"]) == ["first", "ok"]
    assert recorded.run(graph, {"n": 2})["n"] == 2


def test_two_loops_on_one_thread(recorded) -> None:
    if recorded.kind != "asyncio":
        return

    async def slow(state: Any) -> Any:
        began.set()
        await leave.wait()
        return {"log": ["slow"]}

    builder = recorded.graph([], [(START, "slow")])
    graph = recorded.compile(builder.add_node("slow", slow))

    async def both() -> Any:
        first = asyncio.ensure_future(graph.ainvoke({"n": 1}, recorded.config()))
        await began.wait()
        with pytest.raises(OwnershipConflictError):
            await graph.ainvoke({"n": 2}, recorded.config(), multitask_strategy="reject")
        leave.set()
        return await first

    began, leave = asyncio.Event(), asyncio.Event()
    assert recorded._runner.run(both())["log"] == ["slow"]


def test_a_second_run_of_the_same_id_is_a_second_run(recorded) -> None:
    if recorded.kind != "sync":
        return
    inside, leave = threading.Event(), threading.Event()

    def slow(state: Any) -> Any:
        inside.set()
        assert leave.wait(30)
        return {"log": ["slow"]}

    builder = recorded.graph([], [(START, "slow")])
    graph = recorded.compile(builder.add_node("slow", slow))
    config = recorded.config(run_id="the same")
    first = threading.Thread(target=lambda: graph.invoke({"n": 1}, config))
    first.start()
    assert inside.wait(30)
    with pytest.raises(OwnershipConflictError):
        graph.invoke(None, config)
    leave.set()
    first.join()


class State(TypedDict, total=False):
    n: int
    log: Annotated[list[str], operator.add]


class FullFor(MemoryLog):
    """A log whose disk is full for some of its appends."""

    full: range = range(0)
    appends = 0

    def append(self, append: Append) -> Appended:
        self.appends += 1
        if self.appends in self.full:
            raise StorageUnavailableError(self.where, "the disk is full")
        return super().append(append)


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
@pytest.mark.parametrize("first", range(1, 7))
@pytest.mark.parametrize("times", [1, 4])
def test_a_log_that_could_not_be_written_for_a_while(durability, first, times) -> None:
    log = FullFor()
    log.full = range(first, first + times)
    ran: list[str] = []
    builder = StateGraph(State)
    for before, name in zip([START, "a", "b"], ["a", "b", "c"], strict=True):
        builder.add_node(name, lambda s, name=name: ran.append(name) or {"log": [name]})
        builder.add_edge(before, name)
    graph = builder.compile(checkpointer=LogSaver(log))
    config = {"configurable": {"thread_id": "t"}}
    for _ in range(20):
        state = graph.get_state(config)
        if state.metadata is not None and not state.next:
            break
        recorded = set(state.values.get("log", ()))
        before = list(ran)
        try:
            graph.invoke({"n": 1} if state.metadata is None else None, config, durability=durability)
        except StorageUnavailableError as error:
            assert "What was recorded before is safe" in str(error)  # noqa: PT017  # it may also not be raised
        assert not recorded & set(ran[len(before) :])
    assert graph.get_state(config).values == {"n": 1, "log": ["a", "b", "c"]}
    for attempt in range(6):
        try:
            graph.update_state(config, {"n": 2})
        except StorageUnavailableError:
            assert attempt < 4
            continue
        break
    assert graph.get_state(config).values["n"] == 2


PROGRAM = """
    import sys
    from typing import TypedDict
    from dashflow.checkpoint.sqlite import SqliteSaver
    from dashflow.errors import OwnershipConflictError
    from dashflow.graph import START, StateGraph

    class State(TypedDict, total=False):
        n: int

    def node(state):
        print("inside", flush=True)
        sys.stdin.readline()
        return {"n": state["n"] + 1}

    with SqliteSaver.from_conn_string(sys.argv[1]) as saver:
        graph = StateGraph(State).add_node("node", node).add_edge(START, "node").compile(checkpointer=saver)
        try:
            config = {"configurable": {"thread_id": "t", "multitask_strategy": "reject"}}
            print(graph.invoke({"n": int(sys.argv[2])}, config), flush=True)
        except OwnershipConflictError as error:
            print("refused", error.code, flush=True)
"""


def start(folder: Path, number: int) -> subprocess.Popen[str]:
    program = folder / "program.py"
    program.write_text(textwrap.dedent(PROGRAM), encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, str(program), str(folder / "threads.db"), str(number)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )


@pytest.mark.guarantee("one-owner")
def test_a_second_process_is_refused(tmp_path) -> None:
    with start(tmp_path, 1) as first:
        assert first.stdout is not None
        assert first.stdin is not None
        assert first.stdout.readline() == "inside\n"
        with start(tmp_path, 2) as second:
            out, _ = second.communicate()
        assert out == "refused OWNED\n"
        first.stdin.write("\n")
        first.stdin.flush()
        assert first.stdout.readline() == "{'n': 2}\n"
    with SqliteSaver.from_conn_string(str(tmp_path / "threads.db")) as saver:
        builder = StateGraph(dict).add_node("node", lambda s: s).add_edge(START, "node")
        graph = builder.compile(checkpointer=saver)
        assert len(list(graph.get_state_history({"configurable": {"thread_id": "t"}}))) == 3
