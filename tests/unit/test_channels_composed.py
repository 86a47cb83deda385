"""Channels made of channels: nested, one per name, seen through functions; and topics without repeats."""

import operator
from typing import Any

import pytest

from dashflow._util.sentinel import MISSING
from dashflow.channels import (
    BinaryOperatorAggregate,
    DeltaChannel,
    EphemeralValue,
    LastValue,
    LastValueAfterFinish,
    Mapped,
    NamedBarrierValue,
    Namespaced,
    Nested,
    Topic,
)
from dashflow.errors import EmptyChannelError, InvalidUpdateError
from dashflow.types import Overwrite

composed = pytest.mark.feature("CHAN-005")


def nested(**options: Any) -> Nested:
    channel = Nested({"one": LastValue(int), "all": Topic(int, accumulate=True)}, **options)
    channel.key = "k"
    return channel


def restored(channel: Any) -> Any:
    return channel.from_checkpoint(channel.checkpoint())


@composed
def test_each_channel_inside_has_its_own_rule():
    channel = nested()
    assert not channel.is_available()
    with pytest.raises(EmptyChannelError):
        channel.get()
    assert channel.checkpoint() == {"all": []}
    assert channel.update([{"one": 1, "all": 1}, {"all": [2, 3]}])
    assert channel.get() == {"one": 1, "all": [1, 2, 3]}
    assert channel.checkpoint() == {"one": 1, "all": [1, 2, 3]}
    assert not channel.update([])


@composed
def test_a_channel_inside_refuses_what_it_would_refuse_outside():
    with pytest.raises(InvalidUpdateError, match=r"At key 'k\.one': Can receive only one value"):
        nested().update([{"one": 1}, {"one": 2}])
    with pytest.raises(InvalidUpdateError, match=r"At key 'k': there is no channel 'two' .* all, one"):
        nested().update([{"two": 1}])
    with pytest.raises(InvalidUpdateError, match="Nested takes a dict of updates by name, not int"):
        nested().update([5])


@composed
def test_values_follow_from_the_channels_inside():
    channel = nested(computed={"count": lambda values: len(values.get("all", ()))})
    channel.update([{"all": [1, 2]}])
    assert channel.get() == {"all": [1, 2], "count": 2}
    assert channel.checkpoint() == {"all": [1, 2]}, "what follows is not stored"
    assert restored(channel).get() == channel.get()
    with pytest.raises(InvalidUpdateError, match="no channel 'count'"):
        channel.update([{"count": 5}])


@composed
def test_a_copy_does_not_follow():
    for channel in (nested(), Namespaced(Topic(int, accumulate=True)), Mapped(nested())):
        channel.update([{"all": 1}])
        twin, again = channel.copy(), restored(channel)
        channel.update([{"all": 2}])
        assert twin.get() == again.get() == {"all": [1]}
        assert channel.get() == {"all": [1, 2]}


@composed
def test_steps_and_ends_reach_the_channels_inside():
    channel = Nested(
        {
            "once": EphemeralValue(int),
            "late": LastValueAfterFinish(int),
            "gate": NamedBarrierValue(str, {"a"}),
        }
    )
    channel.update([{"once": 1, "late": 2, "gate": "a"}])
    assert channel.get() == {"once": 1, "gate": None}
    assert channel.update([]), "the value for one step is gone"
    assert channel.consume()
    assert not channel.is_available()
    assert channel.finish()
    assert channel.get() == {"late": 2}


@composed
def test_a_stored_channel_that_is_gone_is_left_out():
    state = {"one": 1, "gone": 2}
    assert nested().from_checkpoint(state).get() == {"one": 1}


@composed
def test_a_delta_channel_inside_keeps_its_value_in_the_log():
    delta = DeltaChannel(lambda value, updates: [*value, *updates], list)
    channel = Nested({"d": delta}).from_checkpoint(MISSING)
    channel.update([{"d": 1}])
    assert channel.checkpoint() is MISSING
    assert channel.from_checkpoint(channel.snapshot()).get() == {"d": [1]}


@composed
def test_one_channel_for_every_name_that_comes_up():
    channel = Namespaced(BinaryOperatorAggregate(int, operator.add))
    channel.key = "count"
    assert not channel.is_available()
    channel.update([{"a": 1}, {"a": 2, "b": 5}])
    channel.update([{"b": 1}])
    assert channel.get() == {"a": 3, "b": 6}
    assert restored(channel).get() == {"a": 3, "b": 6}
    assert channel == Namespaced(BinaryOperatorAggregate(int, operator.add))
    assert channel != Namespaced(LastValue(int))
    refusing = Namespaced(LastValue(int))
    refusing.key = "last"
    with pytest.raises(InvalidUpdateError, match=r"At key 'last\.x'"):
        refusing.update([{"x": 1}, {"x": 2}])


@composed
def test_a_channel_seen_through_functions():
    channel = Mapped(BinaryOperatorAggregate(int, operator.add), write=int, read=str)
    channel.key = "k"
    channel.update(["1", "2"])
    assert channel.get() == "3"
    assert channel.checkpoint() == 3
    assert restored(channel).get() == "3"
    channel.update([Overwrite(10), "1"])
    assert channel.get() == "10"
    last = Mapped(LastValue(int))
    last.key = "last"
    assert (last.ValueType, last.UpdateType) == (int, int)
    assert not last.is_available()
    assert not last.consume()
    assert not last.finish()
    with pytest.raises(InvalidUpdateError, match="At key 'last'"):
        last.update([1, 2])
    assert Mapped(LastValue(int), read=str) == Mapped(LastValue(int), read=str) != Mapped(LastValue(int))


@pytest.mark.feature("CHAN-002")
@pytest.mark.parametrize("accumulate", [True, False])
def test_a_topic_without_repeats(accumulate):
    topic = Topic(Any, accumulate, unique=True)
    assert topic.update([1, [1, 2], [3, 1], [{"a": 1}], [{"a": 1}]])
    assert topic.get() == [1, 2, 3, {"a": 1}]
    topic = restored(topic)
    assert topic.update([2, 4])
    assert topic.get() == ([1, 2, 3, {"a": 1}, 4] if accumulate else [2, 4])
    assert topic != Topic(Any, accumulate)


@pytest.mark.feature("CHAN-002")
def test_a_topic_that_only_repeats_does_not_change():
    topic = Topic(int, accumulate=True, unique=True)
    topic.update([1])
    assert not topic.update([1, 1])
