"""A crash at every port call of a run whose nodes fail: once a handler has begun, its node is done with."""

import contextlib
import operator
from typing import Annotated, Any, TypedDict

import pytest

from dashflow.checkpoint.saver import LogSaver
from dashflow.errors import NodeError
from dashflow.graph import START, StateGraph
from dashflow.hosts.simulated import SimulatedCrash, SimulatedHost
from dashflow.log.memory import MemoryLog, MemoryStore
from dashflow.types import Command, RetryPolicy, Send

CONFIG = {"configurable": {"thread_id": "t"}}


class State(TypedDict, total=False):
    """What the programs work on."""

    n: int
    log: Annotated[list[Any], operator.add]


class Life:
    """A program's way to its end, over any number of processes on one store."""

    def __init__(self, program: str, durability: str) -> None:
        self.store = MemoryStore()
        self.program = program
        self.durability = durability
        self.begun: list[str] = []

    def node(self, name: str, result: Any) -> Any:
        """A node that says when it begins."""

        def run(state: Any, error: NodeError | None = None) -> Any:
            self.begun.append(f"{name} {state['n']}")
            return result(state, error)

        def handles(state: Any, error: NodeError) -> Any:
            return run(state, error)

        return handles if name.startswith("handler") else run

    def build(self) -> StateGraph:
        """The program."""
        builder = StateGraph(State)

        def boom(state: Any, error: Any) -> Any:
            raise ConnectionError(f"boom {state['n']}")

        def handled(state: Any, error: NodeError) -> Any:
            assert "boom" in str(error.error)
            return Command(update={"log": [f"handled {error.node} {state['n']}"]}, goto="after")

        policy = RetryPolicy(initial_interval=1, jitter=False, max_attempts=2)
        builder.set_node_defaults(error_handler=self.node("handler", handled))
        builder.add_node("fails", self.node("fails", boom), retry_policy=policy)
        builder.add_node("after", self.node("after", lambda state, error: {"log": ["after"]}))
        if self.program == "alone":
            return builder.add_edge(START, "fails")
        builder.add_node("beside", self.node("beside", lambda state, error: {"log": ["beside"]}))
        builder.add_edge(START, "beside")
        packets = [Send("fails", {"n": n}) for n in (10, 20)]
        return builder.add_conditional_edges(START, lambda state: packets, ["fails"])

    def process(self, host: SimulatedHost) -> Any:
        """Run to the end; the result. Dies where the host does."""
        log = MemoryLog(self.store)
        try:
            graph = self.build().compile(checkpointer=LogSaver(log))
            state = graph.get_state(CONFIG)
            if state.metadata is not None and not state.next:
                return state.values
            given = {"n": 1} if state.metadata is None else None
            return graph.with_host(host).invoke(given, CONFIG, durability=self.durability)
        finally:
            log.abandon()


def normal(result: Any) -> Any:
    """A result in which the order of what happened beside each other does not matter."""
    return {**result, "log": sorted(result["log"])}


@pytest.mark.feature("PERSIST-000", "RUN-05")
@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
@pytest.mark.parametrize("program", ["alone", "beside each other"])
def test_a_handler_goes_on_after_a_crash_and_its_node_does_not(program, durability) -> None:
    host = SimulatedHost(5)
    first = Life(program, durability)
    expected = normal(first.process(host))
    assert any(entry.startswith("handled") for entry in expected["log"])
    for at in range(1, host.calls + 1):
        for after in (False, True):
            life = Life(program, durability)
            with contextlib.suppress(SimulatedCrash):
                life.process(SimulatedHost(5, crash_at=at, crash_after=after))
            before = len(life.begun)
            handled = {entry.split()[1] for entry in life.begun if entry.startswith("handler")}
            assert normal(life.process(SimulatedHost(6))) == expected, (at, after)
            again = {entry.split()[1] for entry in life.begun[before:] if entry.startswith("fails")}
            if durability != "exit":
                assert not handled & again, (at, after)
