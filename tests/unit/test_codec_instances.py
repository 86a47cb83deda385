"""Instances are made the quick way as they would be made field by field, whatever is told of them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core import messages
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from dashflow._util.collector import resting
from dashflow.log.codec import classes, decode, encode, foreign

pytestmark = pytest.mark.feature("NEW-02")


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")

    n: int
    tags: list[str] = Field(default_factory=list)
    limits: dict[str, int] = {"a": 1}
    _seen: int = PrivateAttr(default=3)


class Closed(BaseModel):
    text: str = "x"
    part: Open = Open(n=1)


class Derived(BaseModel):
    n: int
    twice: int = Field(default_factory=lambda told: told["n"] * 2)


KINDS = [
    *(getattr(messages, name) for name, module in foreign._LANGCHAIN.items() if module.endswith(".messages")),
    Open,
    Closed,
    Derived,
]
VALUES = st.one_of(st.none(), st.integers(), st.text(max_size=3), st.lists(st.text(max_size=2), max_size=2))


def parts(instance: Any) -> dict[str, Any]:
    """All that an instance is made of, in order."""
    return {
        "class": type(instance),
        "fields": list(instance.__dict__.items()),
        "set": instance.__pydantic_fields_set__,
        "extra": instance.__pydantic_extra__,
        "private": instance.__pydantic_private__,
        "shown": repr(instance),
    }


@given(st.data())
def test_the_quick_way_makes_what_the_slow_way_makes(data):
    kind = data.draw(st.sampled_from(KINDS))
    names = [*kind.__pydantic_fields__, "lost"]
    fields = data.draw(st.dictionaries(st.sampled_from(names), VALUES))
    rest: list[Any] = data.draw(
        st.one_of(
            st.just([]),
            st.lists(st.sampled_from(names), unique=True).map(lambda told: [told]),
            st.just([["n"], {"more": 1}]),
        )
    )
    outcomes = []
    for make in (classes._slowly, classes.pydantic_from):
        try:
            outcomes.append(parts(make(kind, dict(fields), list(rest))))
        except Exception as error:
            outcomes.append((type(error), str(error)))
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.__name__.endswith("Message")])
def test_messages_come_back_in_every_way_as_they_were(kind):
    given = {
        "content": "hello", "role": "r", "name": "n", "id": "1", "tool_call_id": "2",
        "additional_kwargs": {"a": [1]}, "response_metadata": {"b": {}},
    }  # fmt: skip
    known = {name: value for name, value in given.items() if name in kind.model_fields}
    if kind is messages.RemoveMessage:
        known = {"id": "1"}
    message = kind(**known)
    found = decode(encode([message]))[0]
    assert found == message
    assert list(found.__dict__.items()) == list(message.__dict__.items())
    assert found.model_dump() == message.model_dump()
    assert found.model_dump_json() == message.model_dump_json()
    assert found.__pydantic_extra__ == message.__pydantic_extra__
    assert found.__pydantic_private__ == message.__pydantic_private__
    assert found.model_copy(update={"id": "3"}).id == "3"


def test_no_two_instances_share_a_default_or_the_names_of_what_was_set():
    one, other = decode(encode([messages.AIMessage("a"), messages.AIMessage("a")]))
    one.additional_kwargs["x"] = 1
    one.tool_calls.append({})
    one.name = "n"
    assert (other.additional_kwargs, other.tool_calls, other.model_fields_set) == ({}, [], {"content"})


def test_the_collector_rests_only_while_somebody_asks_for_it():
    import gc

    assert gc.isenabled()
    with resting():
        with resting():
            assert not gc.isenabled()
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.disable()
    try:
        with resting():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
