"""Channels: what each keeps, refuses, stores and forgets."""

import copy
import operator
from collections.abc import Sequence
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashflow._util.sentinel import MISSING
from dashflow.channels import (
    AnyValue,
    BaseChannel,
    BinaryOperatorAggregate,
    DeltaChannel,
    EphemeralValue,
    LastValue,
    LastValueAfterFinish,
    NamedBarrierValue,
    NamedBarrierValueAfterFinish,
    Topic,
    UntrackedValue,
)
from dashflow.errors import EmptyChannelError, InvalidUpdateError
from dashflow.types import Overwrite
from dashflow.types.snapshots import DeltaSnapshot

HELP = "\nFor troubleshooting, visit: https://docs.langchain.com/oss/python/langgraph/errors/"


def extend(value: list[Any], updates: Sequence[Any]) -> list[Any]:
    return [*value, *updates]


def append(value: list[Any], update: Any) -> list[Any]:
    return [*value, update]


MAKERS: dict[str, Any] = {
    "LastValue": lambda: LastValue(int),
    "LastValueAfterFinish": lambda: LastValueAfterFinish(int),
    "AnyValue": lambda: AnyValue(int),
    "EphemeralValue": lambda: EphemeralValue(int),
    "EphemeralValue unguarded": lambda: EphemeralValue(int, guard=False),
    "UntrackedValue": lambda: UntrackedValue(int),
    "BinaryOperatorAggregate": lambda: BinaryOperatorAggregate(list, append),
    "DeltaChannel": lambda: DeltaChannel(extend, list),
    "Topic": lambda: Topic(int),
    "Topic accumulating": lambda: Topic(int, accumulate=True),
    "NamedBarrierValue": lambda: NamedBarrierValue(int, {1, 2}),
    "NamedBarrierValueAfterFinish": lambda: NamedBarrierValueAfterFinish(int, {1, 2}),
}
every_channel = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())


def named(channel: BaseChannel[Any, Any, Any], key: str = "k") -> Any:
    channel.key = key
    return channel


# -- what all have in common --------------------------------------------------------------------


@every_channel
def test_a_new_channel_of_the_same_kind_is_equal_and_another_is_not(make):
    assert make() == make()
    others = [other() for other in MAKERS.values()]
    assert sum(other == make() for other in others) == 1


@every_channel
def test_channels_cannot_be_hashed_and_have_no_room_for_other_attributes(make):
    with pytest.raises(TypeError):
        hash(make())
    with pytest.raises(AttributeError):
        make().other = 1


@every_channel
def test_nothing_stored_gives_an_empty_channel_with_the_same_key(make):
    fresh = named(make()).from_checkpoint(MISSING)
    assert fresh == make()
    assert fresh.key == "k"
    assert make().update(()) is False


@every_channel
def test_copies_are_independent(make):
    channel = named(make())
    channel.update([1])
    twin = channel.copy()
    assert (twin.key, twin.checkpoint()) == ("k", channel.checkpoint())
    before = copy.deepcopy(channel.checkpoint())
    twin.update([2])
    twin.finish()
    twin.consume()
    assert channel.checkpoint() == before


@every_channel
def test_what_was_stored_does_not_change_afterwards(make):
    channel = make()
    channel.update([1])
    stored = channel.checkpoint()
    known = copy.deepcopy(stored)
    channel.update([2])
    channel.finish()
    channel.consume()
    assert stored == known
    twin = make().from_checkpoint(stored)
    twin.update([2])
    assert stored == known


@pytest.mark.feature("CHAN-001", "CHAN-004")
@every_channel
@given(steps=st.lists(st.lists(st.sampled_from([1, 2]), max_size=2), max_size=5), at=st.integers(0, 5))
def test_a_stored_channel_goes_on_as_the_one_it_was_stored_from(make, steps, at):
    channel = make()
    for number, step in enumerate(steps):
        if number == at and not isinstance(channel, (UntrackedValue, DeltaChannel)):
            channel = make().from_checkpoint(copy.deepcopy(channel.checkpoint()))
        one_writer = step[:1]
        channel.update(one_writer)
    straight = make()
    for step in steps:
        straight.update(step[:1])
    assert (channel.checkpoint(), channel.is_available()) == (straight.checkpoint(), straight.is_available())


@every_channel
def test_the_log_is_told_the_whole_state(make):
    channel = named(make())
    assert make().from_checkpoint(channel.snapshot()).checkpoint() == channel.checkpoint()
    channel.update([1])
    if not isinstance(channel, UntrackedValue):
        twin = make().from_checkpoint(copy.deepcopy(channel.snapshot()))
        assert (twin.is_available(), twin.snapshot()) == (channel.is_available(), channel.snapshot())
        assert channel.snapshot() is not MISSING
    else:
        assert channel.snapshot() is MISSING


# -- one value ----------------------------------------------------------------------------------


@pytest.mark.feature("CHAN-001")
def test_last_value_keeps_the_last_one():
    channel = LastValue(int)
    with pytest.raises(EmptyChannelError):
        channel.get()
    assert channel.checkpoint() is MISSING
    assert channel.update([3])
    assert channel.update([4])
    assert (channel.get(), channel.value, channel.is_available()) == (4, 4, True)
    assert (channel.ValueType, channel.UpdateType) == (int, int)


@pytest.mark.feature("CHAN-001")
def test_two_writers_of_a_last_value_are_told_what_to_do():
    channel = named(LastValue(int), "total")
    channel.update([1])
    with pytest.raises(InvalidUpdateError) as caught:
        channel.update([5, 6])
    assert str(caught.value) == (
        "At key 'total': Can receive only one value per step. Use an Annotated key to handle multiple "
        f"values.{HELP}INVALID_CONCURRENT_GRAPH_UPDATE"
    )
    assert channel.get() == 1


@pytest.mark.feature("CHAN-001")
def test_none_is_a_value():
    channel = LastValue(int)
    channel.update([None])
    assert channel.is_available()
    assert channel.get() is None
    assert channel.from_checkpoint(None).is_available()


@pytest.mark.feature("CHAN-001")
def test_last_value_after_finish_shows_its_value_at_the_end_and_once():
    channel = LastValueAfterFinish(int)
    assert not channel.finish()
    channel.update([1, 2])
    assert not channel.is_available()
    with pytest.raises(EmptyChannelError):
        channel.get()
    assert channel.checkpoint() == (2, False)
    assert channel.finish()
    assert not channel.finish()
    assert channel.get() == 2
    assert channel.from_checkpoint(channel.checkpoint()).get() == 2
    assert channel.consume()
    assert not channel.consume()
    assert channel.checkpoint() is MISSING


@pytest.mark.feature("CHAN-001")
def test_any_value_and_ephemeral_value_last_one_step():
    for channel in (AnyValue(int), EphemeralValue(int, guard=False)):
        assert channel.update([1, 1])
        assert channel.get() == 1
        assert channel.update([])
        assert not channel.is_available()
        assert not channel.update([])


@pytest.mark.feature("CHAN-001")
@pytest.mark.parametrize("kind", [EphemeralValue, UntrackedValue])
def test_guarded_channels_take_one_value(kind):
    channel = named(kind(int))
    with pytest.raises(InvalidUpdateError) as caught:
        channel.update([1, 2])
    assert str(caught.value) == (
        f"At key 'k': {kind.__name__}(guard=True) can receive only one value per step. "
        "Use guard=False if you want to store any one of multiple values."
    )
    unguarded = kind(int, guard=False)
    unguarded.update([1, 2])
    assert unguarded.get() == 2
    assert kind(int) != kind(int, guard=False)


@pytest.mark.feature("CHAN-001")
def test_an_untracked_value_is_never_stored():
    channel = UntrackedValue(dict)
    channel.update([{"secret": 1}])
    channel.update([])
    assert channel.get() == {"secret": 1}
    assert channel.checkpoint() is MISSING
    assert not channel.from_checkpoint({"secret": 1}).is_available()


# -- reducers -----------------------------------------------------------------------------------


@pytest.mark.feature("CHAN-004")
@pytest.mark.parametrize(
    ("typ", "empty"),
    [
        (int, 0),
        (list[int], []),
        (Sequence[int], []),
        (Annotated[list[int], "x"], []),
        (set[int], set()),
        (dict[str, int], {}),
        (str, ""),
        (int | None, MISSING),
    ],
)
def test_an_aggregate_starts_empty_where_its_type_has_an_empty_value(typ, empty):
    channel = BinaryOperatorAggregate(typ, operator.add)
    assert channel.value == empty
    assert channel.is_available() is (empty is not MISSING)
    assert channel.ValueType == typ


@pytest.mark.feature("CHAN-004")
def test_an_aggregate_without_an_empty_value_starts_with_its_first_update():
    def latest(old, new):
        return new

    class Fussy:
        def __init__(self):
            raise RuntimeError("not from nothing")

    channel = BinaryOperatorAggregate(Fussy, latest)
    assert channel.checkpoint() is MISSING
    channel.update([1, 2])
    assert channel.get() == 2


@pytest.mark.feature("CHAN-004")
@given(st.lists(st.integers()), st.lists(st.integers()))
def test_an_aggregate_reduces_in_order(first, second):
    channel = BinaryOperatorAggregate(list, append)
    channel.update(first)
    channel.update(second)
    assert channel.get() == first + second


@pytest.mark.feature("CHAN-004")
@pytest.mark.parametrize(
    "overwrite",
    [Overwrite([9]), {"__overwrite__": [9]}, {"type": "__overwrite__", "value": [9]}],
    ids=["object", "dict", "json"],
)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_an_overwrite_replaces_the_value_wherever_it_stands(overwrite, place):
    updates: list[Any] = [1, 2]
    updates.insert(place, overwrite)
    for channel in (BinaryOperatorAggregate(list, append), DeltaChannel(extend, list)):
        channel.update([0])
        assert channel.update(updates)
        assert channel.get() == [9]
        assert channel.update([10])
        assert channel.get() == [9, 10]


@pytest.mark.feature("CHAN-004")
def test_an_overwrite_may_be_the_first_value():
    channel = BinaryOperatorAggregate(int | None, operator.add)
    channel.update([Overwrite(5)])
    assert channel.get() == 5


@pytest.mark.feature("CHAN-004")
@pytest.mark.parametrize(
    "make", [lambda: BinaryOperatorAggregate(list, append), lambda: DeltaChannel(extend, list)]
)
def test_two_overwrites_are_refused_and_change_nothing(make):
    channel = make()
    channel.update([1])
    with pytest.raises(InvalidUpdateError) as caught:
        channel.update([Overwrite([2]), 3, Overwrite([4])])
    assert str(caught.value) == (
        f"Can receive only one Overwrite value per super-step.{HELP}INVALID_CONCURRENT_GRAPH_UPDATE"
    )
    assert channel.get() == [1]


@pytest.mark.feature("CHAN-004")
def test_a_dict_that_only_looks_like_an_overwrite_is_an_update():
    channel = BinaryOperatorAggregate(list, append)
    updates = [{"value": 1}, {"type": "human", "value": 1}, {"__overwrite__": 1, "more": 2}]
    channel.update(updates)
    assert channel.get() == updates


@pytest.mark.feature("CHAN-004")
def test_a_failing_reducer_leaves_the_value():
    channel = BinaryOperatorAggregate(int, operator.add)
    channel.update([1])
    with pytest.raises(TypeError):
        channel.update([1, "x"])
    assert channel.get() == 1


@pytest.mark.feature("CHAN-004")
def test_lambdas_never_make_two_aggregates_differ_and_functions_do():
    assert BinaryOperatorAggregate(int, lambda a, b: a) == BinaryOperatorAggregate(int, operator.add)
    assert BinaryOperatorAggregate(int, operator.add) != BinaryOperatorAggregate(int, operator.sub)
    assert DeltaChannel(extend) != DeltaChannel(extend, snapshot_frequency=7)


@pytest.mark.feature("CHAN-004")
@given(
    st.lists(
        st.lists(st.one_of(st.integers(), st.builds(Overwrite, st.lists(st.integers()))), max_size=3),
        max_size=6,
    )
)
def test_replaying_a_deltas_writes_gives_what_updating_gave(steps):
    channel = DeltaChannel(extend, list).from_checkpoint(MISSING)
    writes = []
    for step in steps:
        if sum(isinstance(update, Overwrite) for update in step) > 1:
            continue
        channel.update(step)
        # A step's other updates are lost to an overwrite, so they are not among its writes.
        kept = [update for update in step if isinstance(update, Overwrite)] or step
        writes += [("task", "key", update) for update in kept]
    replayed = DeltaChannel(extend, list).from_checkpoint(MISSING)
    replayed.replay_writes(writes)
    assert replayed.get() == channel.get()


@pytest.mark.feature("CHAN-004")
def test_a_delta_stores_nothing_itself_and_takes_what_was_stored_before():
    channel = DeltaChannel(extend, list)
    assert not channel.is_available()
    assert channel.update([1])
    assert channel.checkpoint() is MISSING
    assert channel.from_checkpoint(DeltaSnapshot([1])).get() == [1]
    assert channel.from_checkpoint([1]).get() == [1]
    assert channel.from_checkpoint(MISSING).get() == []
    assert BinaryOperatorAggregate(list, append).from_checkpoint(DeltaSnapshot([1])).get() == [1]
    channel.update([Overwrite(None)])
    assert channel.get() == []
    assert DeltaChannel(extend).snapshot_frequency == 100
    with pytest.raises(ValueError, match="snapshot_frequency must be a positive int, got 0"):
        DeltaChannel(extend, snapshot_frequency=0)


# -- several values -----------------------------------------------------------------------------


def test_a_topic_has_the_values_of_the_last_step():
    channel = Topic(str)
    assert (channel.ValueType, channel.UpdateType) == (Sequence[str], str | list[str])
    assert channel.update(["a", ["b", "c"]])
    assert channel.get() == ["a", "b", "c"]
    assert channel.update([])
    assert not channel.is_available()
    with pytest.raises(EmptyChannelError):
        channel.get()
    assert not channel.update([])
    assert Topic(str) != Topic(str, accumulate=True)


def test_an_accumulating_topic_keeps_all():
    channel = Topic(str, accumulate=True)
    assert channel.update(["a"])
    assert channel.update(["a", ["b"]])
    assert not channel.update([])
    assert channel.get() == ["a", "a", "b"]
    assert channel.from_checkpoint((set(), ["old"])).get() == ["old"]


def test_a_topics_list_belongs_to_whoever_got_it():
    channel = Topic(int)
    channel.update([1])
    channel.get().append(2)
    assert channel.get() == [1]


@pytest.mark.feature("CHAN-004")
def test_a_barrier_opens_when_all_have_reported_and_closes_when_used():
    channel = NamedBarrierValue(str, {"a", "b"})
    assert channel.update(["a", "a"])
    assert not channel.update(["a"])
    assert not channel.consume()
    with pytest.raises(EmptyChannelError):
        channel.get()
    assert channel.update(["b"])
    assert channel.is_available()
    assert channel.get() is None
    assert channel.consume()
    assert channel.checkpoint() == set()
    assert NamedBarrierValue(str, {"a"}) != NamedBarrierValue(str, {"b"})


@pytest.mark.feature("CHAN-004")
def test_a_barrier_after_finish_waits_for_the_end_too():
    channel = NamedBarrierValueAfterFinish(str, {"a", "b"})
    channel.update(["a", "b"])
    assert not channel.is_available()
    assert channel.finish()
    assert not channel.finish()
    assert channel.checkpoint() == ({"a", "b"}, True)
    assert channel.get() is None
    assert channel.consume()
    assert not channel.consume()
    assert channel.checkpoint() == (set(), False)


@pytest.mark.feature("CHAN-004")
@pytest.mark.parametrize("kind", [NamedBarrierValue, NamedBarrierValueAfterFinish])
def test_a_barrier_refuses_strangers(kind):
    channel = named(kind(str, {"a"}))
    with pytest.raises(InvalidUpdateError, match=r"At key 'k': Value x not in \{'a'\}"):
        channel.update(["x"])


# -- channels of others -------------------------------------------------------------------------


@pytest.mark.feature("CHAN-004")
def test_a_channel_of_ones_own_needs_four_things():
    class Highest(BaseChannel[int, int, int]):
        __slots__ = ("top",)

        def __init__(self, typ, key=""):
            super().__init__(typ, key)
            self.top = MISSING

        ValueType = UpdateType = int

        def from_checkpoint(self, checkpoint):
            new = Highest(self.typ, self.key)
            new.top = checkpoint
            return new

        def get(self):
            if self.top is MISSING:
                raise EmptyChannelError
            return self.top

        def update(self, values):
            self.top = max([*values, *([] if self.top is MISSING else [self.top])], default=MISSING)
            return bool(values)

    channel = Highest(int)
    assert (channel.checkpoint(), channel.is_available()) == (MISSING, False)
    channel.update([2, 5])
    channel.update([3])
    assert (channel.copy().get(), channel.checkpoint(), channel.is_available()) == (5, 5, True)
    assert (channel.consume(), channel.finish()) == (False, False)
    with pytest.raises(TypeError, match="abstract"):
        BaseChannel(int)
