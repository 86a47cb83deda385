"""Steps and bound answers in savers that somebody else wrote: as durable as writes of tasks are there."""

from typing import Any, TypedDict

import pytest
from langchain_core.messages import AIMessage
from langchain_core.tools import tool

from dashflow.checkpoint.memory import InMemorySaver
from dashflow.func import step
from dashflow.graph import START, MessagesState, StateGraph
from dashflow.prebuilt import ToolNode
from dashflow.types import Command, interrupt
from dashflow.warnings import ChangedQuestionWarning

pytestmark = pytest.mark.feature("NEW-05")

CONFIG = {"configurable": {"thread_id": "t"}}


class State(TypedDict, total=False):
    n: int
    log: list[Any]


class Receiver:
    """Somebody outside, who counts what is done to them."""

    def __init__(self) -> None:
        self.calls = []

    def effect(self, what, idempotency_key):
        self.calls.append(what)
        return f"did {what}"


@pytest.fixture
def receiver():
    return Receiver()


def one_node(node, saver):
    return StateGraph(State).add_node("node", node).add_edge(START, "node").compile(checkpointer=saver)


class Theirs(InMemorySaver):
    """A saver of somebody else: it is driven by its own methods."""


@pytest.mark.parametrize("durability", ["sync", "async"])
def test_in_a_saver_of_somebody_else_steps_are_recorded_as_writes(receiver, durability) -> None:
    amount = [1]

    def node(state):
        return {"log": [step("charge", receiver.effect, 1), interrupt(amount[0])]}

    saver = Theirs()
    one_node(node, saver).invoke({"n": 1}, CONFIG, durability=durability)
    done = one_node(node, saver).invoke(Command(resume="yes"), CONFIG, durability=durability)
    assert (done["log"], receiver.calls) == (["did 1", "yes"], [1])


@pytest.mark.feature("NEW-09")
def test_in_a_saver_of_somebody_else_an_answer_is_bound_to_the_value_of_its_question() -> None:
    amount, bound = [1], {}

    def node(state):
        return {"log": [interrupt({"pay": amount[0] + state["n"]}, **bound)]}

    graph = one_node(node, Theirs())
    graph.invoke({"n": 0}, CONFIG)
    amount[0] = 2
    with pytest.warns(ChangedQuestionWarning):
        asked = graph.invoke(Command(resume="yes"), CONFIG)["__interrupt__"]
    assert asked[0].value == {"pay": 2}
    assert graph.invoke(Command(resume="yes, that"), CONFIG)["log"] == ["yes, that"]
    for number, (more, update) in enumerate((({"bound_to": "same"}, None), ({}, {"n": 5}))):
        config = {"configurable": {"thread_id": f"more {number}"}}
        bound.update(more)
        graph.invoke({"n": 0}, config)
        amount[0] = 3 if more else amount[0]
        assert graph.invoke(Command(resume="yes", update=update), config)["log"] == ["yes"]
        bound.clear()


def test_in_a_saver_of_somebody_else_tools_are_answered_in_the_order_of_their_questions(receiver) -> None:
    @tool
    def ask(n: int) -> str:
        """Ask."""
        return f"{step('work', receiver.effect, n)}, {interrupt('fine?')}, {interrupt('really?')}"

    builder = StateGraph(MessagesState).add_node("tools", ToolNode([ask])).add_edge(START, "tools")
    graph = builder.compile(checkpointer=Theirs())
    done = graph.invoke(
        {"messages": [AIMessage("", tool_calls=[{"name": "ask", "args": {"n": 1}, "id": "1"}])]}, CONFIG
    )
    for answer in ("yes", "really"):
        assert done["__interrupt__"]
        done = graph.invoke(Command(resume=answer), CONFIG)
    assert done["messages"][-1].content == "did 1, yes, really"
    assert receiver.calls == [1]


def test_in_a_saver_of_somebody_else_a_step_that_failed_has_its_key_again() -> None:
    keys = []

    def charge(idempotency_key):
        keys.append(idempotency_key)
        if len(keys) == 1:
            raise TimeoutError
        return "paid"

    saver = Theirs()
    graph = one_node(lambda state: {"log": [step("charge", charge)]}, saver)
    with pytest.raises(TimeoutError):
        graph.invoke({"n": 1}, CONFIG)
    assert graph.invoke(None, CONFIG)["log"] == ["paid"]
    assert len({*keys}) == 1
