"""A part of a stream's checkpoints is what the whole says of them, whatever happened in the stream."""

import operator
from typing import Annotated, Any, TypedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dashflow.checkpoint.memory import InMemorySaver
from dashflow.checkpoint.view import places
from dashflow.checkpoint.window import newest, place
from dashflow.graph import START, StateGraph
from dashflow.types import Command, interrupt

pytestmark = pytest.mark.feature("RUN-13")

CONFIG = {"configurable": {"thread_id": "t"}}


class State(TypedDict, total=False):
    items: Annotated[list[Any], operator.add]
    n: int


def graph(saver):
    """Counts to n, then asks."""

    def count(state):
        return {"n": state["n"] - 1, "items": [state["n"]]}

    def fan(state):
        return {"items": ["fan"]}

    def ask(state):
        return {"items": [interrupt("more?")]}

    builder = StateGraph(State)
    for node in (count, fan, ask):
        builder.add_node(node.__name__, node)
    builder.add_edge(START, "count")
    builder.add_conditional_edges(
        "count", lambda s: "count" if s["n"] > 0 else ["fan", "ask"], ["count", "fan", "ask"]
    )
    return builder.compile(checkpointer=saver)


def same(saver):
    reader, stream = saver.reader, "run-t"
    whole = places(reader, stream)
    for name, state in whole.items():
        assert place(reader, stream, name) == state
    for count in (1, 2, 5, 100):
        found = newest(reader, stream, count)
        assert list(found.items())[:count] == list(whole.items())[:count]
        assert list(found) == list(whole)[: len(found)]
    assert place(reader, stream, "1efbba16-0000-6000-8000-000000000000") is None
    assert place(reader, stream, "no id") is None


STEPS = st.one_of(
    st.tuples(st.just("run"), st.integers(1, 12)),
    st.tuples(st.just("answer"), st.integers(0, 3)),
    st.tuples(st.just("edit"), st.integers(0, 3)),
    st.tuples(st.just("back"), st.integers(0, 9)),
    st.tuples(st.just("exit"), st.integers(1, 4)),
    st.tuples(st.just("retain"), st.integers(1, 6)),
    st.tuples(st.just("copy"), st.integers(0, 2)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=8))
def test_a_part_is_what_the_whole_says(program):
    saver = InMemorySaver()
    compiled = graph(saver)
    for what, number in program:
        states = list(compiled.get_state_history(CONFIG))
        if what == "run":
            compiled.invoke({"n": number, "items": []}, CONFIG)
        elif what == "exit":
            compiled.invoke({"n": number, "items": []}, CONFIG, durability="exit")
        elif what == "answer" and states and states[0].interrupts:
            compiled.invoke(Command(resume=number), CONFIG)
        elif what == "edit" and states:
            compiled.update_state(CONFIG, {"items": [number]}, "fan")
        elif what == "back" and number < len(states):
            compiled.invoke(None, states[number].config)
        elif what == "retain" and states:
            saver.retain("t", checkpoints=number)
        elif what == "copy" and states:
            compiled.update_state(CONFIG, None, "__copy__")
    same(saver)


def test_a_part_of_a_long_thread_is_read_without_the_rest(monkeypatch):
    saver = InMemorySaver()
    compiled = graph(saver)
    compiled.invoke({"n": 400, "items": []}, {**CONFIG, "recursion_limit": 1000})
    whole = places(saver.reader, "run-t")
    monkeypatch.setattr("dashflow.checkpoint.window.places", None)
    assert list(newest(saver.reader, "run-t", 3))[:3] == list(whole)[:3]
    for name in list(whole)[::50]:
        assert place(saver.reader, "run-t", name) == whole[name]
    shown = list(compiled.get_state_history(CONFIG, limit=3))
    assert [one.values["n"] for one in shown] == [0, 1, 2]
    assert compiled.get_state(shown[2].config).values == shown[2].values
