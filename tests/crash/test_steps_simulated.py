"""A crash before and after every port call of a run with steps: to a receiver that looks at keys nothing
happens twice, and to another one at most what was in flight.

Everything is deterministic: the seed decides the schedule, and which submitted records reach the store.
"""

import contextlib
import operator
from collections import Counter
from typing import Annotated, Any, TypedDict

import pytest

from dashflow.checkpoint.saver import LogSaver
from dashflow.func import step
from dashflow.graph import END, START, StateGraph
from dashflow.hosts.simulated import SimulatedCrash, SimulatedHost
from dashflow.log.memory import MemoryLog, MemoryStore
from dashflow.types import Command, Send, interrupt

pytestmark = pytest.mark.feature("NEW-05")

CONFIG = {"configurable": {"thread_id": "t"}}


class State(TypedDict, total=False):
    n: int
    log: Annotated[list[Any], operator.add]


class Receiver:
    """Somebody outside: what was done to them, and under which keys."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.keys: dict[str, set[str]] = {}

    def effect(self, what: str, idempotency_key: str) -> str:
        self.calls[what] += 1
        self.keys.setdefault(what, set()).add(idempotency_key)
        return f"did {what}"

    def node(self, name: str, steps: int, *, asks: bool = False) -> Any:
        """A node with so many steps, and perhaps a question after each."""

        def run(state: Any) -> Any:
            place = state.get("n", "")
            found = []
            for number in range(steps):
                found.append(step("effect", self.effect, f"{name} {place} {number}"))
                if asks:
                    found.append(interrupt(f"{name} {number}?"))
            return {"log": found}

        return name, run


def chain(receiver: Receiver) -> StateGraph:
    """Three nodes one after the other."""
    builder = StateGraph(State)
    for name in "abc":
        builder.add_node(*receiver.node(name, 2))
    return builder.add_edge(START, "a").add_edge("a", "b").add_edge("b", "c")


def fan_out(receiver: Receiver) -> StateGraph:
    """Three packets beside each other, then one more node."""
    builder = StateGraph(State)
    builder.add_node(*receiver.node("work", 2)).add_node(*receiver.node("end", 1))
    builder.add_conditional_edges(START, lambda s: [Send("work", {"n": n}) for n in range(3)], ["work"])
    return builder.add_edge("work", "end")


def questions(receiver: Receiver) -> StateGraph:
    """A node that asks after each of its steps, beside another."""
    builder = StateGraph(State)
    builder.add_node(*receiver.node("ask", 2, asks=True)).add_node(*receiver.node("beside", 1))
    return builder.add_edge(START, "ask").add_edge(START, "beside")


def inside(receiver: Receiver) -> StateGraph:
    """A graph inside a node that asks, too."""
    inner = StateGraph(State).add_node(*receiver.node("inner", 2, asks=True)).add_edge(START, "inner")
    builder = StateGraph(State).add_node(*receiver.node("before", 1)).add_node("graph", inner.compile())
    builder.add_node(*receiver.node("after", 1))
    return builder.add_edge(START, "before").add_edge("before", "graph").add_edge("graph", "after")


def loop(receiver: Receiver) -> StateGraph:
    """A node that goes round."""
    _, run = receiver.node("round", 1)
    builder = (
        StateGraph(State).add_node("round", lambda s: {**run(s), "n": s["n"] + 1}).add_edge(START, "round")
    )
    return builder.add_conditional_edges("round", lambda s: END if s["n"] > 3 else "round")


PROGRAMS = {"chain": chain, "fan-out": fan_out, "questions": questions, "inside": inside, "loop": loop}


class Life:
    """A program's way to its end over any number of processes on one store."""

    def __init__(self, program: str, durability: str) -> None:
        self.receiver = Receiver()
        self.store = MemoryStore()
        self._builder = PROGRAMS[program](self.receiver)
        self._durability = durability

    def process(self, host: SimulatedHost) -> Any:
        """Run until the program's end; the result. Dies where the host does."""
        log = MemoryLog(self.store)
        saver = LogSaver(log)
        graph = self._builder.compile(checkpointer=saver).with_host(host)
        plain = self._builder.compile(checkpointer=saver)
        try:
            while True:
                state = plain.get_state(CONFIG)
                if state.metadata is not None and not state.next:
                    return state.values
                given: Any = {"n": 1} if state.metadata is None else None
                if state.interrupts:
                    given = Command(resume={one.id: f"re {one.value}" for one in state.interrupts})
                graph.invoke(given, CONFIG, durability=self._durability)
        finally:
            log.abandon()


def crash_everywhere(program: str, durability: str, seed: int, branches: int) -> int:
    """Crash at every port call, before and after it; ``branches``: how many steps may be in flight."""
    host, whole = SimulatedHost(seed), Life(program, durability)
    expected = whole.process(host)
    effects = set(whole.receiver.calls)
    assert set(whole.receiver.calls.values()) == {1}
    for at in range(1, host.calls + 1):
        for after in (False, True):
            life = Life(program, durability)
            with contextlib.suppress(SimulatedCrash):
                life.process(SimulatedHost(seed, crash_at=at, crash_after=after))
            assert life.process(SimulatedHost(seed + 1000)) == expected, (at, after)
            receiver = life.receiver
            assert set(receiver.calls) == effects
            assert all(len(keys) == 1 for keys in receiver.keys.values()), (at, after, receiver.keys)
            assert len(set.union(*receiver.keys.values())) == len(effects)
            if durability != "exit":
                again = [what for what, times in receiver.calls.items() if times > 1]
                assert len(again) <= branches, (at, after, again)
    return host.calls


IN_FLIGHT = {"chain": 1, "fan-out": 3, "questions": 2, "inside": 1, "loop": 1}
"""How many steps of a program are done beside each other at most."""

OFTEN = {("chain", "sync"), ("chain", "exit"), *((program, "async") for program in PROGRAMS)}
"""What is tried in every test run; the rest with the full counts."""


@pytest.mark.parametrize(
    ("program", "durability"),
    [
        pytest.param(program, durability, marks=() if (program, durability) in OFTEN else pytest.mark.soak)
        for program in PROGRAMS
        for durability in ("sync", "async", "exit")
    ],
)
@pytest.mark.guarantee("step-in-flight")
def test_an_effect_has_one_key_wherever_its_process_dies(program, durability, soak) -> None:
    for seed in range(200 if soak else 1):
        assert crash_everywhere(program, durability, seed, IN_FLIGHT[program]) > 5
