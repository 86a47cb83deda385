"""Chaos: faults at named points, in this process and in one of its own; off, it leaves nothing behind."""

import inspect
import os
import signal
import subprocess
import sys
from importlib import import_module
from typing import TypedDict

import pytest

from dashflow.checkpoint.saver import LogSaver
from dashflow.errors import StorageUnavailableError, UsageError
from dashflow.graph import START, StateGraph
from dashflow.log.memory import MemoryLog
from dashflow.log.open import open_log
from dashflow.testing.chaos import Chaos, Fault, SimulatedCrash, from_environment, parse
from dashflow.testing.chaos_points import POINTS
from dashflow.types import RetryPolicy

pytestmark = pytest.mark.feature("DBG-02")


class State(TypedDict):
    """What the graph works on."""

    n: int


def grow(state: State) -> dict:
    """The node."""
    return {"n": state["n"] + 1}


def builder(**policies) -> StateGraph:
    graph = StateGraph(State).add_node("a", grow, **policies).add_node("b", grow)
    return graph.add_edge(START, "a").add_edge("a", "b")


def config(thread: str = "t") -> dict:
    return {"configurable": {"thread_id": thread}}


def functions() -> dict[str, object]:
    found = {}
    for point in POINTS.values():
        for place in point.places:
            module, _, path = place.partition(":")
            owner = import_module(module)
            for part in path.split("."):
                owner = (
                    inspect.getattr_static(owner, part) if inspect.isclass(owner) else getattr(owner, part)
                )
            found[place] = owner
    return found


def test_every_point_is_a_function_and_is_the_same_one_afterwards():
    before = functions()
    with Chaos([Fault("append.before", "error", at=1)], also=[f"{name}.after" for name in POINTS]):
        changed = functions()
        assert all(changed[place] is not before[place] for place in before)
    assert functions() == before


def test_every_point_of_the_engine_is_passed(tmp_path):
    names = {name for name in POINTS if name not in ("snapshot", "heartbeat", "recover", "read_all", "step")}
    with Chaos(also=[f"{name}.before" for name in POINTS]) as chaos:
        log = open_log(tmp_path / "log.db")
        graph = builder().compile(checkpointer=LogSaver(log))
        for durability in ("sync", "async"):
            graph.invoke({"n": 1}, config(durability), durability=durability)
        list(graph.get_state_history(config("sync")))
        log.close()
    assert names <= {name.partition(".")[0] for name in chaos.passed}
    assert all(chaos.passed[f"{name}.before"] == chaos.passed[f"{name}.after"] for name in names - {"commit"})
    assert chaos.struck == []


def test_a_crash_writes_nothing_any_more():
    log = MemoryLog()
    graph = builder().compile(checkpointer=LogSaver(log))
    with Chaos([Fault("node.after", "crash", only="b")]) as chaos, pytest.raises(SimulatedCrash):
        graph.invoke({"n": 1}, config(), durability="sync")
    assert chaos.dead
    assert [record.type for record in log.read("run-t")] == ["RunStarted", "StepCompleted", "StepCompleted"]
    log.abandon()
    graph = builder().compile(checkpointer=LogSaver(MemoryLog(log.store)))
    assert graph.invoke(None, config()) == {"n": 3}


def test_errors_and_latency_come_as_asked():
    graph = builder(retry_policy=RetryPolicy(initial_interval=0.001, jitter=False)).compile()
    with Chaos([Fault("node.before", "error", only="a", times=2)]) as chaos:
        assert graph.invoke({"n": 1}) == {"n": 3}
    assert [passed.name for passed in chaos.struck] == ["a", "a"]
    log = MemoryLog()
    with Chaos([Fault("submit.before", "error", at=2)]), pytest.raises(StorageUnavailableError):
        builder().compile(checkpointer=LogSaver(log)).invoke({"n": 1}, config())
    with Chaos(
        [Fault("node.before", "latency", seconds=0.001), Fault("node.after", "error", error=KeyError("k"))]
    ) as chaos:
        with pytest.raises(KeyError):
            graph.invoke({"n": 1})
        assert [passed.fault.action for passed in chaos.struck] == ["latency", "error"]


async def test_async_nodes_are_struck_too():
    async def node(state):
        return {"n": state["n"] + 1}

    graph = StateGraph(State).add_node("a", node).add_edge(START, "a").compile()
    with Chaos([Fault("node.before", "latency", seconds=0.001)]) as chaos:
        assert await graph.ainvoke({"n": 1}) == {"n": 2}
    assert len(chaos.struck) == 1


def test_chances_are_decided_by_the_seed():
    def struck(seed: int) -> list[int]:
        log = MemoryLog()
        graph = builder().compile(checkpointer=LogSaver(log))
        with Chaos([Fault("node.before", "latency", seconds=1e-9, chance=0.5)], seed=seed) as chaos:
            for number in range(8):
                graph.invoke({"n": 1}, config(str(number)))
        return [passed.number for passed in chaos.struck]

    assert struck(1) == struck(1) != struck(2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("append", "POINT ACTION"),
        ("appends.before error", "no chaos point 'appends.before'"),
        ("append.before explode", "no action 'explode'"),
        ("append.before latency", "needs seconds"),
        ("append.before error at=x", "no number"),
        ("append.before error when=1", "no 'when'"),
        ("append.before error chance=2", "from 0 to 1"),
        ("commit.before crash", "thread of the log"),
        ("append.before drop", "at 'commit' and 'heartbeat'"),
    ],
)
def test_what_cannot_be_is_refused(text, message):
    with pytest.raises(UsageError, match=message):
        parse(text)


def test_one_at_a_time():
    with Chaos(), pytest.raises(UsageError, match="only one"), Chaos():
        pass
    with Chaos():
        pass


def test_the_environment_has_to_say_it_twice():
    plan = {"DASHFLOW_CHAOS": "append.after kill at=3; node.before error chance=0.1 only=charge*"}
    assert from_environment(plan) is None
    chaos = from_environment({**plan, "DASHFLOW_CHAOS_ENABLED": "1", "DASHFLOW_CHAOS_SEED": "7"})
    assert chaos is not None
    assert parse(plan["DASHFLOW_CHAOS"]) == [
        Fault("append.after", "kill", at=3),
        Fault("node.before", "error", chance=0.1, only="charge*"),
    ]
    with pytest.raises(UsageError, match="is a number"):
        from_environment({"DASHFLOW_CHAOS_ENABLED": "1", "DASHFLOW_CHAOS_SEED": "x"})


PROGRAM = """
import sys
from contextlib import nullcontext
from typing import TypedDict
from dashflow.checkpoint.sqlite import SqliteSaver
from dashflow.graph import START, StateGraph
from dashflow.testing.chaos import from_environment

class State(TypedDict):
    n: int

def grow(state: State) -> dict:
    return {"n": state["n"] + 1}

builder = StateGraph(State).add_node("a", grow).add_node("b", grow).add_edge(START, "a").add_edge("a", "b")
with from_environment() or nullcontext(), SqliteSaver.from_conn_string(sys.argv[1]) as saver:
    graph = builder.compile(checkpointer=saver)
    config = {"configurable": {"thread_id": "t"}}
    state = graph.get_state(config)
    given = {"n": 1} if state.metadata is None else None
    if given or state.next:
        graph.invoke(given, config, durability="sync")
    print(graph.get_state(config).values)
"""


@pytest.mark.feature("PERSIST-000")
@pytest.mark.parametrize("side", ["before", "after"])
def test_sigkill_at_every_commit_of_a_real_file(tmp_path, side, soak):
    """The points where a process dies for good; then another one goes on."""

    def process(where, plan=""):
        environment = {**os.environ, "DASHFLOW_CHAOS_ENABLED": "1" if plan else "0", "DASHFLOW_CHAOS": plan}
        return subprocess.run(
            [sys.executable, "-c", PROGRAM, str(where)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    deaths = 0
    for at in range(1, 9, 1 if soak else 2):
        where = tmp_path / f"{at}.db"
        killed = process(where, f"commit.{side} kill at={at}")
        deaths += killed.returncode == -signal.SIGKILL
        done = process(where)
        assert done.stdout == "{'n': 3}\n", done.stderr
    assert deaths >= (4 if soak else 2)


@pytest.mark.parametrize("side", ["before", "after"])
def test_a_connection_that_is_cut_costs_nothing(postgres, side):
    with Chaos([Fault(f"commit.{side}", "drop", at=3)]) as chaos:
        log = open_log(postgres.log)
        graph = builder().compile(checkpointer=LogSaver(log))
        assert graph.invoke({"n": 1}, config(), durability="sync") == {"n": 3}
        assert [passed.fault.action for passed in chaos.struck] == ["drop"]
        versions = [record.version for record in log.read("run-t")]
        log.close()
    assert versions == [1, 2, 3, 4, 5]
