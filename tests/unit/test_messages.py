"""Messages in a state: merging by id, coercion, removal, formats, and what is recorded."""

import subprocess
import sys
import types
import typing
from functools import partial
from uuid import UUID

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    AnyMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from typing_extensions import TypedDict

from dashflow._util.scope import CURRENT
from dashflow.graph.message import (
    REMOVE_ALL_MESSAGES,
    MessagesState,
    _messages_delta_reducer,
    add_messages,
    push_message,
)

pytestmark = pytest.mark.feature("RUN-04")


def human(text: str, message_id: str | None = None) -> HumanMessage:
    return HumanMessage(text, id=message_id)


# -- add_messages -------------------------------------------------------------------------------


def test_new_messages_go_to_the_end_and_known_ones_take_their_place():
    left = [human("a", "1"), human("b", "2")]
    right = [AIMessage("B", id="2"), AIMessage("c", id="3")]
    merged = add_messages(left, right)
    assert merged == [human("a", "1"), AIMessage("B", id="2"), AIMessage("c", id="3")]
    assert left == [human("a", "1"), human("b", "2")]
    assert merged[0] is left[0]


def test_messages_may_be_given_in_every_form_langchain_takes():
    merged = add_messages(
        ("system", "be brief"),
        [
            "hello",
            ("ai", "hi"),
            {"role": "user", "content": "x"},
            {"type": "human", "content": "y", "id": "7"},
        ],
    )
    assert [(type(m), m.content) for m in merged] == [
        (SystemMessage, "be brief"),
        (HumanMessage, "hello"),
        (AIMessage, "hi"),
        (HumanMessage, "x"),
        (HumanMessage, "y"),
    ]
    assert merged[-1].id == "7"


def test_a_message_without_an_id_gets_one():
    merged = add_messages([human("a")], [human("a"), AIMessage("b")])
    assert len({UUID(message.id, version=4) for message in merged}) == 3


def test_chunks_become_messages():
    (merged,) = add_messages([], [AIMessageChunk(content="part", id="1")])
    assert (type(merged), merged.content) == (AIMessage, "part")


def test_removing_takes_the_message_out():
    left = [human("a", "1"), human("b", "2")]
    assert add_messages(left, RemoveMessage(id="2")) == [human("a", "1")]
    assert add_messages(left, [RemoveMessage(id="1"), RemoveMessage(id="1"), RemoveMessage(id="2")]) == []


def test_a_message_may_come_back_in_the_update_that_removed_it():
    merged = add_messages([human("a", "1"), human("b", "2")], [RemoveMessage(id="1"), human("A", "1")])
    assert merged == [human("A", "1"), human("b", "2")]


def test_removing_what_is_not_there_is_an_error():
    with pytest.raises(
        ValueError, match=r"Attempting to delete a message with an ID that doesn't exist \('9'\)"
    ):
        add_messages([human("a", "1")], RemoveMessage(id="9"))


def test_removing_all_keeps_what_follows():
    left = [human("a", "1")]
    everything = RemoveMessage(id=REMOVE_ALL_MESSAGES)
    assert add_messages(left, [everything]) == []
    assert add_messages(
        left, [human("b", "2"), everything, human("c", "3"), everything, human("d", "4")]
    ) == [human("d", "4")]


def test_the_same_id_twice_in_an_update_is_one_message():
    assert add_messages([], [human("a", "1"), human("b", "1")]) == [human("b", "1")]


def test_both_sides_or_none_must_be_given():
    with pytest.raises(ValueError, match=r"Must specify non-null arguments.*Only received: 'left'"):
        add_messages([human("a", "1")])
    with pytest.raises(ValueError, match="Only received: 'right'"):
        add_messages(None, [])


def test_openai_format():
    reducer = add_messages(format="langchain-openai")
    assert isinstance(reducer, partial)
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "1234"}}
    call = {"type": "tool_use", "name": "foo", "input": {"bar": "baz"}, "id": "1"}
    result = {"type": "tool_result", "tool_use_id": "1", "is_error": False, "content": [image]}
    merged = reducer(
        [HumanMessage([image], id="a")], [AIMessage([call], id="b"), HumanMessage([result], id="c")]
    )
    url = {"type": "image_url", "image_url": {"url": "data:image/jpeg;base64,1234"}}
    assert [type(message) for message in merged] == [HumanMessage, AIMessage, ToolMessage]
    assert merged[0].content == [url]
    assert merged[1].tool_calls == [{"name": "foo", "args": {"bar": "baz"}, "id": "1", "type": "tool_call"}]
    assert merged[2].content == [url]
    with pytest.raises(ValueError, match="Unrecognized format='other'"):
        add_messages([], [], format="other")


messages = st.lists(
    st.one_of(
        st.builds(human, st.text(max_size=3), st.sampled_from("1234")),
        st.builds(lambda i: AIMessage("ai", id=i), st.sampled_from("1234")),
    ),
    max_size=5,
)


@given(messages, messages)
def test_every_id_stands_once_where_it_first_stood_with_its_last_message(left, right):
    start = add_messages([], left)
    merged = add_messages(start, right)
    latest = {message.id: message for message in [*left, *right]}
    order = list(dict.fromkeys(message.id for message in [*left, *right]))
    assert merged == [latest[message_id] for message_id in order]


@given(messages, messages)
def test_merging_copies_no_message_and_changes_neither_list(left, right):
    start = add_messages([], left)
    before = list(start)
    merged = add_messages(start, right)
    given_objects = {id(message) for message in [*start, *right]}
    assert {id(message) for message in merged} <= given_objects
    assert start == before


# -- the batch reducer --------------------------------------------------------------------------

writes = st.lists(
    st.one_of(
        st.builds(human, st.text(max_size=3), st.sampled_from(["1", "2", "3", None])),
        st.builds(lambda i: RemoveMessage(id=i), st.sampled_from("123")),
        st.lists(st.builds(human, st.just("x"), st.sampled_from("123")), max_size=2),
    ),
    max_size=6,
)


@given(writes, writes)
def test_batches_may_be_joined(first, second):
    apart = _messages_delta_reducer(_messages_delta_reducer([], first), second)
    assert apart == _messages_delta_reducer([], first + second)


def test_the_batch_reducer_coerces_state_and_writes():
    state = [{"role": "human", "content": "a", "id": "1"}]
    merged = _messages_delta_reducer(state, [[{"role": "ai", "content": "b", "id": "1"}], ("user", "c")])
    assert [(type(m), m.content) for m in merged] == [(AIMessage, "b"), (HumanMessage, "c")]
    assert _messages_delta_reducer([human("a", "1")], [RemoveMessage(id="9")]) == [human("a", "1")]


# -- MessagesState and push_message -------------------------------------------------------------


class Extended(MessagesState):
    topic: str


def test_a_state_of_messages_can_be_inherited_and_read_by_others():
    hints = typing.get_type_hints(Extended, include_extras=True)
    assert hints["topic"] is str
    assert typing.get_args(hints["messages"])[1] is add_messages

    class Original(TypedDict):
        messages: list[AnyMessage]

    ours, theirs = (
        pydantic.TypeAdapter(kind).json_schema()["properties"]["messages"]
        for kind in (MessagesState, Original)
    )
    assert ours == theirs
    parsed = pydantic.TypeAdapter(MessagesState).validate_python(
        {"messages": [{"type": "human", "content": "x"}]}
    )
    assert parsed == {"messages": [human("x")]}


def test_pushing_outside_of_a_graph_says_so():
    with pytest.raises(RuntimeError, match=r"Called push_message\(\) outside of a runnable context"):
        push_message(human("x", "1"))


def test_pushing_goes_to_the_task_that_runs():
    pushed = []

    class Scope:
        config = types.MappingProxyType({})

        def push_message(self, message, state_key):
            pushed.append((message, state_key))

    token = CURRENT.set(Scope())
    try:
        assert push_message({"role": "user", "content": "x", "id": "1"}) == human("x", "1")
        push_message(human("y", "2"), state_key=None)
        with pytest.raises(ValueError, match="Message ID is required"):
            push_message("no id")
    finally:
        CURRENT.reset(token)
    assert pushed == [(human("x", "1"), "messages"), (human("y", "2"), None)]


@pytest.mark.feature("NEW-07")
def test_naming_the_reducer_loads_nothing_of_langchain():
    program = """
import sys, importlib.machinery
from dashflow.graph.message import add_messages, MessagesState
import typing
class State(MessagesState):
    x: int
typing.get_type_hints(State, include_extras=True)
heavy = [name for name in sys.modules if name.startswith(("langchain", "pydantic", "langsmith"))]
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", program], check=True)
