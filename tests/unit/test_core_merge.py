"""Comparing and merging states, as properties."""

import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashflow._util.sentinel import MISSING
from dashflow.channels import BinaryOperatorAggregate, LastValue, Topic
from dashflow.channels.mapped import Mapped
from dashflow.channels.nested import Namespaced, Nested
from dashflow.core.compare import compare
from dashflow.core.merge import Contribution, merge
from dashflow.log.codec import encode
from dashflow.types import StateDiff

pytestmark = pytest.mark.feature("RUN-14")

scalars = (
    st.none() | st.booleans() | st.integers(-2, 2) | st.floats(allow_nan=False) | st.text("ab", max_size=2)
)
message = st.fixed_dictionaries({"id": st.sampled_from("pqrs"), "text": st.text("xy", max_size=1)})
plain = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner | message, max_size=5)
        | st.dictionaries(st.sampled_from("klm"), inner, max_size=3)
        | st.sets(st.integers(0, 4), max_size=4)
    ),
    max_leaves=8,
)
states = st.dictionaries(st.sampled_from("abcd"), plain, max_size=4)


def keys(*values):
    return sorted({key for one in values for key in one})


def difference(one, other):
    return StateDiff({}, {}, None, compare(one, other, keys(one, other), encode))


@given(states, states)
def test_a_difference_applied_to_the_one_gives_the_other(one, other):
    found = difference(one, other)
    made = found.apply(one)
    assert {k: encode(_sorted(v)) for k, v in made.items()} == {
        k: encode(_sorted(v)) for k, v in other.items()
    }


def _sorted(value):
    """Dicts in one order: a difference does not tell the order of keys."""
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(one) for one in value] if isinstance(value, list) else value


@given(states)
def test_a_state_does_not_differ_from_itself(one):
    assert not difference(one, dict(one))


@given(st.lists(message, max_size=12), st.lists(message, max_size=12))
def test_messages_that_changed_are_told_as_changed(one, other):
    (found,) = compare({"m": one}, {"m": other}, ["m"], encode).values() or (None,)
    for item in found.items if found else ():
        if item.kind == "changed":
            assert item.before["id"] == item.after["id"]
            assert encode(item.before) != encode(item.after)


def test_long_lists_that_have_nothing_in_common_are_replaced():
    one, other = [{"n": i} for i in range(2100)], [{"n": -i - 1} for i in range(2100)]
    found = compare({"m": [0, *one, 1]}, {"m": [0, *other, 1]}, ["m"], encode)["m"]
    assert found.apply([0, *one, 1]) == [0, *other, 1]
    assert len(found.items) == 4200


@pytest.mark.parametrize(("one", "other"), [(1, True), (0.0, -0.0), ([1], [1.0]), ((1,), [1])])
def test_what_python_calls_equal_and_is_not_differs(one, other):
    found = difference({"x": one}, {"x": other})
    assert encode(found.apply({"x": one})["x"]) == encode(other)


# -- merging ---------------------------------------------------------------------------------------


def same(one, other):
    return encode(one) == encode(other)


def merged(base, ours, theirs, steps=(), channels=None, resolve=None):
    return merge(
        keys(base, ours, theirs), base, ours, theirs,
        steps=steps, channels=channels or {}, same=same, resolve=resolve,
    )  # fmt: skip


def after(ours, found):
    new = {**ours, **found.values}
    return {key: value for key, value in new.items() if value is not MISSING}


@given(states, states)
def test_to_merge_nothing_is_nothing(base, ours):
    found = merged(base, ours, dict(base))
    assert (found.values, found.conflicts) == ({}, [])


@given(states, states)
def test_to_merge_into_what_did_not_change_gives_the_other(base, theirs):
    assert same(_sorted(after(base, merged(base, dict(base), theirs))), _sorted(theirs))


@given(states, states, states)
def test_disjoint_changes_come_together(base, ours, theirs):
    mine = {**base, **{k: v for k, v in ours.items() if k in "ab"}}
    other = {**base, **{k: v for k, v in theirs.items() if k in "cd"}}
    found = merged(base, mine, other)
    assert found.conflicts == []
    both = {key: (mine if key in "ab" else other)[key] for key in keys(mine, other)}
    assert same(_sorted(after(mine, found)), _sorted(both))
    back = merged(base, other, mine)
    assert same(_sorted(after(other, back)), _sorted(both))


@given(states, states, states)
def test_a_merge_has_every_change_or_names_the_conflict(base, ours, theirs):
    found = merged(base, ours, theirs)
    for key in keys(base, ours, theirs):
        was, have, come = (one.get(key, MISSING) for one in (base, ours, theirs))
        result = found.values.get(key, have)
        if key in found.conflicts:
            assert key not in found.values
        else:
            assert any(result is one or same(result, one) for one in (have, come) if one is not MISSING) or (
                result is MISSING and MISSING in (have, come)
            )
        assert was is MISSING or key in base


@given(
    st.lists(st.integers()),
    st.lists(st.lists(st.integers(), min_size=1), min_size=1),
    st.lists(st.integers(), min_size=1),
)
def test_writes_go_through_the_reducer_in_their_order(base, writes, mine):
    channel = BinaryOperatorAggregate(list, operator.add)
    theirs = base + [item for write in writes for item in write]
    steps = [Contribution([("x", write)]) for write in writes]
    found = merged({"x": base}, {"x": base + mine}, {"x": theirs}, steps, {"x": channel})
    assert after({"x": base + mine}, found)["x"] == base + mine + theirs[len(base) :]


def test_both_sides_counted_one():
    total = BinaryOperatorAggregate(int, operator.add)
    found = merged({"x": 1}, {"x": 2}, {"x": 2}, [Contribution([("x", 1)])], {"x": total})
    assert (found.values, found.reduced) == ({"x": 3}, ["x"])
    assert merged({"x": 1}, {"x": 2}, {"x": 2}, channels={"x": LastValue(int)}).conflicts == []
    assert merged({"x": 1}, {"x": 2}, {"x": 2}).conflicts == ["x"]


def test_which_channels_reduce():
    total = BinaryOperatorAggregate(int, operator.add)
    assert total.reduces
    assert Mapped(total).reduces
    assert Namespaced(total).reduces
    assert Nested({"a": total}).reduces
    assert Topic(int, accumulate=True).reduces
    assert not any(
        one.reduces
        for one in (
            LastValue(int),
            Topic(int),
            Mapped(LastValue(int)),
            Nested({"a": total, "b": LastValue(int)}),
        )
    )


def test_a_change_that_no_write_tells_is_a_conflict():
    channel = BinaryOperatorAggregate(list, operator.add)
    steps = [Contribution([("x", [2])]), Contribution([], frozenset({"x"}))]
    found = merged({"x": []}, {"x": [1]}, {"x": [2, 3]}, steps, {"x": channel})
    assert found.conflicts == ["x"]
    taken = merged({"x": []}, {"x": [1]}, {"x": [2, 3]}, steps, {"x": channel}, lambda *given: list(given))
    assert taken.values == {"x": ["x", [], [1], [2, 3]]}
