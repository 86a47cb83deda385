"""A crash before and after every port call of a run: another one finishes it, and repeats nothing recorded.

Everything is deterministic: the seed decides the schedule, and which submitted records reach the store.
"""

import contextlib
import operator
from collections import Counter
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig

from dashflow.checkpoint.saver import LogSaver
from dashflow.graph import END, START, StateGraph
from dashflow.hosts.simulated import SimulatedCrash, SimulatedHost
from dashflow.log.memory import MemoryLog, MemoryStore
from dashflow.types import Command, RetryPolicy, Send, interrupt

CONFIG = {"configurable": {"thread_id": "t"}}


class State(TypedDict, total=False):
    """What the programs work on."""

    n: int
    i: int
    log: Annotated[list[Any], operator.add]


class Effects:
    """What nodes did to the world, by step and place in the step."""

    def __init__(self) -> None:
        self.done: Counter[tuple[int, Any]] = Counter()

    def node(self, name: str, result: Any) -> Any:
        """A node that leaves a mark and gives ``result(state)``."""

        def run(state: Any, config: RunnableConfig) -> Any:
            update = result(state)
            self.done[config["metadata"]["langgraph_step"], config["metadata"]["langgraph_path"]] += 1
            return update

        run.__name__ = name
        return run


def chain(effects: Effects) -> StateGraph:
    """a, b and c one after the other."""
    builder = StateGraph(State)
    for name in "abc":
        builder.add_node(effects.node(name, lambda s, name=name: {"n": s["n"] + 1, "log": [name]}))
    return builder.add_edge(START, "a").add_edge("a", "b").add_edge("b", "c")


def fan_out(effects: Effects) -> StateGraph:
    """Three packets and a branch beside each other, joined, with a retry in one of them."""
    tried: list[int] = []

    def work(state: Any) -> Any:
        if state["i"] == 1 and not tried:
            tried.append(1)
            raise ConnectionError("once more")
        return {"log": [state["i"]]}

    builder = StateGraph(State)
    builder.add_node(effects.node("split", lambda s: {"log": ["split"]}))
    builder.add_node(
        effects.node("work", work),
        retry_policy=RetryPolicy(initial_interval=1.0, jitter=True, max_attempts=9),
    )
    builder.add_node(effects.node("beside", lambda s: {"n": 5, "log": ["beside"]}))
    builder.add_node(effects.node("join", lambda s: {"log": ["join"]}))
    builder.add_edge(START, "split").add_edge("split", "beside").add_edge(["work", "beside"], "join")
    return builder.add_conditional_edges(
        "split", lambda s: [Send("work", {"i": i}) for i in range(3)], ["work"]
    )


def questions(effects: Effects) -> StateGraph:
    """Two questions in a row beside a node that asks nothing, then a loop that asks once more."""
    builder = StateGraph(State)
    builder.add_node(effects.node("ask", lambda s: {"log": [interrupt("first"), interrupt("second")]}))
    builder.add_node(effects.node("beside", lambda s: {"log": ["beside"]}))
    builder.add_node(effects.node("last", lambda s: {"n": s["n"] + 1, "log": [interrupt(f"last {s['n']}")]}))
    builder.add_edge(START, "ask").add_edge(START, "beside").add_edge(["ask", "beside"], "last")
    return builder.add_conditional_edges("last", lambda s: END if s["n"] > 2 else "last")


PROGRAMS = {"chain": chain, "fan-out": fan_out, "questions": questions}


class Life:
    """A program's way to its end over any number of processes on one store."""

    def __init__(self, program: str, durability: str) -> None:
        self.program = program
        self.durability = durability
        self.store = MemoryStore()
        self.effects = Effects()
        self.recorded: set[tuple[int, Any]] = set()

    def process(self, host: SimulatedHost) -> Any:
        """Run until the program's end; the result. Dies where the host does."""
        log = MemoryLog(self.store)
        saver = LogSaver(log)
        try:
            return self._finish(saver, PROGRAMS[self.program](self.effects), host)
        finally:
            log.abandon()
            self.remember()

    def _finish(self, saver: LogSaver, builder: StateGraph, host: SimulatedHost) -> Any:
        graph = builder.compile(checkpointer=saver).with_host(host)
        while True:
            state = builder.compile(checkpointer=saver).get_state(CONFIG)
            if state.metadata is not None and not state.next:
                return state.values
            if state.metadata is None:
                given: Any = {"n": 1}
            elif state.interrupts:
                given = Command(resume={question.id: f"re {question.value}" for question in state.interrupts})
            else:
                given = None
            graph.invoke(given, CONFIG, durability=self.durability)

    def remember(self) -> None:
        """What is in the store now must never run again."""
        log = MemoryLog(self.store)
        graph = PROGRAMS[self.program](Effects()).compile(checkpointer=LogSaver(log))
        for index, state in enumerate(graph.get_state_history(CONFIG)):
            step = state.metadata["step"] + 1
            for task in state.tasks:
                if index > 0 or task.result is not None:
                    self.recorded.add((step, task.path))
        log.close()


def uncrashed(program: str, durability: str, seed: int) -> tuple[Any, int]:
    """The result, and how many port calls it took."""
    host = SimulatedHost(seed)
    life = Life(program, durability)
    return life.process(host), host.calls


def crash_everywhere(program: str, durability: str, seed: int, again: int | None) -> int:
    """Crash at every port call, before and after it; ``again``: once more that many calls later."""
    expected, calls = uncrashed(program, durability, seed)
    for at in range(1, calls + 1):
        for after in (False, True):
            life = Life(program, durability)
            crashes = [(at, after), *([(again, not after)] if again else [])]
            for number, (where, how) in enumerate(crashes):
                with contextlib.suppress(SimulatedCrash):
                    life.process(SimulatedHost(seed + number, crash_at=where, crash_after=how))
                before, recorded = Counter(life.effects.done), set(life.recorded)
            result = life.process(SimulatedHost(seed + 1000))
            assert result == expected, (at, after)
            repeated = {place for place in recorded if life.effects.done[place] > before[place]}
            assert not repeated, (at, after, repeated)
    return calls


@pytest.mark.feature("PERSIST-000", "LOG-01")
@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.guarantee("async-window", "exit-starts-over")
def test_a_run_that_dies_anywhere_is_finished_by_another_process(program, durability, soak) -> None:
    for seed in range(40 if soak else 2 if durability == "async" else 1):
        assert crash_everywhere(program, durability, seed, None) > 5


@pytest.mark.feature("PERSIST-000")
@pytest.mark.parametrize("program", PROGRAMS)
def test_a_process_that_takes_over_may_die_too(program, soak) -> None:
    for again in (2, 5, 9) if soak else (4,):
        crash_everywhere(program, "async", 11 + again, again)


@pytest.mark.feature("PERSIST-000")
@pytest.mark.parametrize("program", ["chain", "fan-out"])
@pytest.mark.guarantee("sync-repeats-nothing-recorded")
def test_with_durability_sync_only_what_was_in_flight_runs_again(program) -> None:
    expected, calls = uncrashed(program, "sync", 5)
    for at in range(1, calls + 1):
        life = Life(program, "sync")
        with pytest.raises(SimulatedCrash):
            life.process(SimulatedHost(5, crash_at=at, crash_after=True))
        assert life.process(SimulatedHost(6)) == expected
        twice = [place for place, times in life.effects.done.items() if times > 1]
        assert len({step for step, _ in twice}) <= 1
        assert len(twice) <= 1, (
            "of a step that runs beside others, what ended is recorded before the next ends"
        )


def test_the_same_seed_gives_the_same_run_to_the_byte() -> None:
    def life(seed: int) -> list[tuple[str, bytes, int]]:
        store = MemoryStore()
        log = MemoryLog(store)
        graph = fan_out(Effects()).compile(checkpointer=LogSaver(log)).with_host(SimulatedHost(seed))
        graph.invoke({"n": 1}, CONFIG)
        return [(record.type, record.data, record.at) for record in log.read("run-t")]

    assert life(3) == life(3)
    assert life(3) != life(4)
