"""Conditions, routes, transforms, trimming, deletion, pages and search: on lists of messages."""

import operator
import re
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)

from dashflow.constants import END
from dashflow.graph.message import add_messages
from dashflow.patterns import (
    History,
    answers_tool,
    as_seen_by,
    calls_tool,
    contains,
    delete,
    drop,
    from_name,
    has_metadata,
    is_type,
    keep,
    last,
    redact,
    rewrite,
    route_messages,
    transform_node,
    trim,
    trim_node,
    when,
    when_state,
)


def call(name, identifier="c1"):
    return {"name": name, "args": {}, "id": identifier, "type": "tool_call"}


def answer(identifier="c1", name="search", **kw):
    return ToolMessage("found", name=name, tool_call_id=identifier, **kw)


HUMAN = HumanMessage("Please refund my order", id="1", additional_kwargs={"lang": "en"})
CALLS = AIMessage("", id="2", tool_calls=[call("search")], name="Bob", response_metadata={"model": "m1"})

routing = pytest.mark.feature("MSG-002")
histories = pytest.mark.feature("MSG-004")


@routing
@pytest.mark.parametrize(
    ("condition", "message", "holds"),
    [
        (is_type("human"), HUMAN, True),
        (is_type("user", "system"), HUMAN, True),
        (is_type("user"), {"role": "user", "content": "hi"}, True),
        (is_type("assistant"), AIMessageChunk("x"), True),
        (is_type("tool"), HUMAN, False),
        (contains("REFUND"), HUMAN, True),
        (contains(re.compile(r"^refund")), HUMAN, False),
        (contains("bill"), HumanMessage([{"type": "text", "text": "the bill"}, {"type": "image"}]), True),
        (calls_tool(), CALLS, True),
        (calls_tool("search", "book"), CALLS, True),
        (calls_tool("book"), CALLS, False),
        (calls_tool(), HUMAN, False),
        (answers_tool("search"), answer(), True),
        (answers_tool("book"), answer(), False),
        (answers_tool(), HUMAN, False),
        (from_name("Bob"), CALLS, True),
        (has_metadata("lang"), HUMAN, True),
        (has_metadata("model", "m1"), CALLS, True),
        (has_metadata("model", "m2"), CALLS, False),
        (when(lambda message: len(message.content) > 3), HUMAN, True),
        (is_type("human") & contains("refund"), HUMAN, True),
        (is_type("ai") | contains("refund"), HUMAN, True),
        (~is_type("human"), HUMAN, False),
    ],
)
def test_conditions(condition, message, holds):
    assert condition(message) is holds


@routing
def test_the_first_rule_that_holds_says_where_to_go():
    route = route_messages(
        (calls_tool(), "tools"),
        (contains("refund"), "billing"),
        (when_state(lambda state: state["vip"]), ["host", "manager"]),
        otherwise="chat",
    )
    assert route({"messages": [HUMAN, CALLS], "vip": False}) == ["tools"]
    assert route({"messages": [HUMAN], "vip": True}) == ["billing"]
    assert route({"messages": [HumanMessage("hi")], "vip": True}) == ["host", "manager"]
    assert route({"messages": [HumanMessage("hi")], "vip": False}) == "chat"
    assert route({"messages": []}) == "chat"


@routing
def test_several_rules_may_hold():
    route = route_messages((is_type("human"), "a"), (contains("refund"), ["b", "a"]), several=True)
    assert route([HUMAN]) == ["a", "b"]
    assert route([CALLS]) == END
    with pytest.raises(ValueError, match="at least one rule"):
        route_messages()


@routing
def test_transforms_filter_and_change_without_touching_the_original():
    messages = [SystemMessage("s", id="0"), HUMAN, CALLS, answer(id="3")]
    assert keep(is_type("human", "system"))(messages) == messages[:2]
    assert drop(calls_tool())(messages) == [messages[0], HUMAN, messages[3]]
    assert last(1)(messages) == messages[3:]
    assert last(0)(messages) == []
    secret = HumanMessage([{"type": "text", "text": "card 1234-5678"}, "1234-5678"], id="9")
    (hidden,) = redact(r"\d{4}-\d{4}")([secret])
    assert hidden.content == [{"type": "text", "text": "card [redacted]"}, "[redacted]"]
    assert (hidden.id, secret.content[1]) == ("9", "1234-5678")
    shorter = rewrite(lambda message: None if message is HUMAN else message, is_type("human"))
    assert shorter(messages) == [messages[0], *messages[2:]]


@routing
def test_a_speaker_sees_the_words_of_others_as_coming_to_it():
    seen = as_seen_by("Bob")([HUMAN, AIMessage("Mine.", name="Bob"), AIMessage("No.", name="Eve", id="5")])
    assert [(m.type, m.content) for m in seen] == [
        ("human", HUMAN.content),
        ("ai", "Mine."),
        ("human", "Eve: No."),
    ]


IDS = st.integers(0, 8).map(str)
MESSAGES = st.lists(IDS.map(lambda i: HumanMessage(f"m{i}", id=i)), max_size=8, unique_by=lambda m: m.id)
CHANGES = st.sampled_from(
    [
        last(2),
        last(0),
        drop(contains("3")),
        redact("m"),
        rewrite(lambda message: message, contains("1")),
        lambda messages: messages[::-1],
        lambda messages: [HumanMessage("new"), *messages],
        lambda messages: [*messages, HumanMessage("new")],
    ]
)


@routing
@given(MESSAGES, st.lists(CHANGES, max_size=3))
def test_the_update_of_a_transform_node_makes_exactly_what_the_transforms_make(messages, transforms):
    wanted = reduce(lambda ms, transform: transform(ms), transforms, messages)
    update = transform_node(*transforms)({"messages": messages})
    assert [m.content for m in add_messages(messages, update["messages"])] == [m.content for m in wanted]


@routing
def test_a_transform_node_writes_only_what_differs():
    messages = [HumanMessage("a", id="1"), HumanMessage("b 12", id="2"), HumanMessage("c", id="3")]
    node = transform_node(drop(contains("a")), redact(r"\d+", "#"))
    update = node({"messages": messages})["messages"]
    assert update == [RemoveMessage(id="1"), HumanMessage("b #", id="2")]
    assert transform_node(last(5))({"messages": messages}) == {"messages": []}


# -- long histories ---------------------------------------------------------------------------------


def talk(turns):
    """System message, then turns of question, tool call, answer of the tool, words."""
    out = [SystemMessage("Be kind.", id="s")]
    for turn in range(turns):
        out += [
            HumanMessage(f"question {turn}", id=f"h{turn}"),
            AIMessage("", id=f"a{turn}", tool_calls=[call("search", f"c{turn}")]),
            answer(f"c{turn}", id=f"t{turn}"),
            AIMessage(f"words {turn}", id=f"w{turn}"),
        ]
    return out


def ids(messages):
    return [message.id for message in messages]


def one(message):
    return 1


@histories
def test_trim_keeps_whole_turns_from_the_end():
    messages = talk(3)
    assert ids(trim(messages, max_turns=1)) == ["s", "h2", "a2", "t2", "w2"]
    assert ids(trim(messages, max_turns=1, keep_system=False)) == ["h2", "a2", "t2", "w2"]
    assert ids(trim(messages, max_tokens=9, count=one)) == ["s", *ids(messages)[5:]]
    assert ids(trim(messages, max_tokens=8, count=one)) == ["s", "h2", "a2", "t2", "w2"]
    assert trim(messages, max_tokens=1000, max_turns=9) == messages
    assert trim([], max_turns=1) == []


@histories
def test_trim_never_parts_a_call_from_its_answer():
    messages = talk(1)
    assert ids(trim(messages, max_tokens=4, count=one)) == ["s", "a0", "t0", "w0"]
    assert ids(trim(messages, max_tokens=3, count=one)) == ["s", "w0"]
    assert ids(trim(messages, max_tokens=1, count=one)) == ["s", "w0"]


@histories
@pytest.mark.parametrize("bounds", [{}, {"max_tokens": -1}, {"max_turns": -1}])
def test_trim_needs_a_bound(bounds):
    with pytest.raises(ValueError, match="max_tokens or max_turns"):
        trim(talk(1), **bounds)


@histories
def test_trim_looks_only_at_what_it_keeps():
    looked = []
    trim(talk(1000), max_tokens=5, count=lambda message: looked.append(message) or 1)
    assert len(looked) < 12


@histories
def test_trim_and_delete_as_updates_of_the_state():
    messages = talk(2)
    update = trim_node(max_turns=1)({"messages": messages})
    assert ids(add_messages(messages, update["messages"])) == ["s", "h1", "a1", "t1", "w1"]
    gone = delete(messages, contains("found"))
    assert ids(gone) == ["a0", "t0", "a1", "t1"]
    assert ids(add_messages(messages, gone)) == ["s", "h0", "w0", "h1", "w1"]
    assert ids(delete(messages, calls_tool())) == ids(gone)


@histories
def test_pages_backwards_and_forwards():
    history = History(talk(3))
    newest = history.page(5)
    assert (ids(newest.messages), newest.start, newest.newer) == (["w1", "h2", "a2", "t2", "w2"], 8, None)
    older = history.page(5, before=newest.older)
    assert (ids(older.messages), older.start) == (["t0", "w0", "h1", "a1", "t1"], 3)
    again = history.page(5, after=older.newer)
    assert again == newest
    everything = reduce(operator.iadd, (page.messages for page in history.pages(4)), [])
    assert everything == history[:]
    assert history.page(50).older is None
    with pytest.raises(KeyError, match="No message 'x'"):
        history.page(before="x")
    with pytest.raises(ValueError, match="at least one"):
        history.page(0)
    with pytest.raises(ValueError, match="not both"):
        history.page(before="h1", after="h1")


@histories
def test_search_finds_the_newest_first_and_goes_on():
    history = History(talk(3))
    hits = list(history.search("QUESTION", limit=2))
    assert [(hit.message.id, hit.place) for hit in hits] == [("h2", 9), ("h1", 5)]
    assert [hit.message.id for hit in history.search("question", before=hits[-1].message.id)] == ["h0"]
    assert [hit.message.id for hit in history.search(calls_tool("search"))] == ["a2", "a1", "a0"]
