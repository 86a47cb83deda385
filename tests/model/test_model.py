"""Random programs come to what a small reference interpreter says, and to what LangGraph says; with crashes,
too."""

import os
import sys
import types
from functools import partial

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dashflow.checkpoint.memory import InMemorySaver
from dashflow.checkpoint.saver import LogSaver
from dashflow.graph import END, START, StateGraph
from dashflow.types import Command, Send, interrupt
from tests.model import programs, reference, strategies
from tests.simulation.checks import check_store
from tests.simulation.scripts import Op, Session, graph_of, perform
from tests.simulation.world import World

SOAK = os.environ.get("DASHFLOW_TEST_PROFILE") == "soak"
CONFIG = {"configurable": {"thread_id": "t"}, "recursion_limit": 60}

# The counts of `make soak` are read above; the fixture lets it choose these tests.
pytestmark = [pytest.mark.feature("PERSIST-000", "NEW-03"), pytest.mark.usefixtures("soak")]

LIB = types.SimpleNamespace(
    StateGraph=StateGraph, START=START, END=END, Send=Send, Command=Command, interrupt=interrupt
)


@given(case=strategies.cases())
@settings(max_examples=50_000 if SOAK else 60)
def test_programs_come_to_what_the_reference_says(case) -> None:
    program, script = case
    assert programs.outcome(LIB, InMemorySaver(), program, script) == reference.outcome(program, script)


CRASHES = st.lists(st.integers(1, 60).flatmap(lambda at: st.sampled_from([at, -at])), min_size=1, max_size=2)


@given(case=strategies.cases(), crashes=CRASHES, seed=st.integers(0, 10_000))
@settings(max_examples=50_000 if SOAK else 60)
def test_programs_come_to_the_same_where_processes_die(case, crashes, seed) -> None:
    program, script = case
    expected = reference.outcome(program, script)
    assume(isinstance(expected[-1], dict))
    world = World(seed, {abs(at): at < 0 for at in crashes})
    graph = programs.build(LIB, program)

    def call(caller) -> None:
        session = Session(world, caller, graph)
        if session.durability == "exit" and any(op.get("back") for op in script):
            session.durability = "sync"  # there would be no history to go back in
        for number, op in enumerate(script):
            one = Op(
                partial(do, op, number),
                before=tuple(op.get("before", ())),
            )
            perform(session, [one], first=number)

    world.run(caller=call)
    check_store(world)
    host = graph_of(graph, LogSaver(world.process().log))
    assert programs.told(host, CONFIG) == expected[-1], world.crashes


def do(op, number, session, token) -> None:
    """One thing of a script, in a simulated process."""
    session.by_worker = session.by_worker or bool(op.get("before"))
    assert token == f"<{number}>"
    programs.perform(LIB, session.graph, op, number, CONFIG, durability=session.durability)


def test_programs_come_to_what_langgraph_says() -> None:
    """In a process of its own: LangGraph is there for the compatibility layer's tests."""
    from tests.model.against_langgraph import differences

    compared, found = differences(sys.executable, 5_000 if SOAK else 60, 1)
    assert (compared >= 60, found[:1]) == (True, [])
