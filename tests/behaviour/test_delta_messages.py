"""Messages in delta channels have ids before anything is recorded, in the log and in savers of
other people."""

from typing import Annotated, TypedDict

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from dashflow.channels.delta import DeltaChannel
from dashflow.checkpoint.memory import InMemorySaver
from dashflow.graph import START, StateGraph
from dashflow.graph.message import _messages_delta_reducer
from dashflow.types import Overwrite

pytestmark = pytest.mark.feature("CHAN-004")


class OwnMemory(InMemorySaver):
    """Not the very class that is a window on a log: driven through its methods."""


@pytest.fixture(params=[InMemorySaver, OwnMemory], ids=["log", "saver"])
def saver(request):
    return request.param()


def appended(value, writes):
    return value + [item for write in writes for item in (write if isinstance(write, list) else [write])]


@pytest.mark.parametrize("reducer", [appended, _messages_delta_reducer])
@pytest.mark.parametrize("given", [[HumanMessage("hi")], [{"role": "user", "content": "hi"}]])
def test_messages_get_ids_that_stay(recorded, saver, reducer, given):
    class State(TypedDict):
        messages: Annotated[list, DeltaChannel(reducer)]

    graph = StateGraph(State)
    graph.add_node("agent", lambda state: {"messages": [AIMessage("hello")]})
    graph.add_edge(START, "agent")
    compiled = graph.compile(checkpointer=saver)
    result = recorded.run(compiled, {"messages": given})
    recorded.update(compiled, recorded.config(), {"messages": [HumanMessage("more")]}, "agent")
    ids = [message.id for message in recorded.state(compiled).values["messages"]]
    assert all(ids)
    assert len(set(ids)) == 3
    assert [message.id for message in result["messages"]] == ids[:2]
    assert [message.id for message in recorded.state(compiled).values["messages"]] == ids


@pytest.mark.parametrize("given", ["hi", ("user", "hi"), Overwrite([("user", "hi")])])
def test_whatever_is_a_message_becomes_one_where_only_messages_are_kept(recorded, saver, given):
    class State(TypedDict):
        messages: Annotated[list, DeltaChannel(_messages_delta_reducer)]

    graph = StateGraph(State)
    graph.add_node("agent", lambda state: {"messages": given})
    graph.add_edge(START, "agent")
    compiled = graph.compile(checkpointer=saver)
    (message,) = recorded.run(compiled, {"messages": []})["messages"]
    assert message.content == "hi"
    assert [known.id for known in recorded.state(compiled).values["messages"]] == [message.id]


def test_other_data_stays_as_it_is(recorded, saver):
    given = [{"type": "ticket", "n": 1}, "text", 3]

    class State(TypedDict):
        items: Annotated[list, DeltaChannel(appended)]

    graph = StateGraph(State)
    graph.add_node("node", lambda state: {"items": [{"n": 2}]})
    graph.add_edge(START, "node")
    compiled = graph.compile(checkpointer=saver)
    assert recorded.run(compiled, {"items": given})["items"] == [*given, {"n": 2}]
    assert recorded.state(compiled).values["items"] == [*given, {"n": 2}]
