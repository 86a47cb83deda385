"""diff and patch: whatever happens to a value, the log's copy of it becomes the same, to the byte.

A channel's life is played through as the engine does it: the live value is changed (in place or rebuilt),
``diff`` is asked against the shadow of what the log holds, and the op goes through the codec.
"""

import math
import operator
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashflow.core.delta import SMALL, Shadow, diff, patch, shade
from dashflow.log.codec import Registry, decode, encode

pytestmark = pytest.mark.feature("NEW-02")

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.integers(-(2**70), 2**70),
    st.sampled_from([0.0, -0.0, 1.0, math.nan, math.inf]),
    st.text(max_size=3),
    st.binary(max_size=3),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.one_of(st.text(max_size=2), st.integers(0, 5)), inner, max_size=4),
    ),
    max_leaves=5,
)
KEYS = st.sampled_from(["a", "b", "c", "d", "e", "f", 0, 1, 2.5, True, None])
SETS = st.sets(st.one_of(st.integers(-5, 20), st.text(max_size=2)), max_size=12)
TEXTS = st.builds(lambda text, times: text * times, st.text(max_size=3), st.integers(0, 60))
Step = Callable[[Any], Any]


class Channel:
    """What the log makes of one channel; ``trusted`` as the engine takes reducers known to be pure."""

    def __init__(self, value: Any, *, trusted: bool = False) -> None:
        self.trusted = trusted
        self.logged: Any = None
        self.shadow = Shadow()
        self.told: list[Any] = []
        self.tell(value)

    def tell(self, value: Any, written: tuple[Any, ...] = ()) -> None:
        """Record what the value is now, as the journal does."""
        ids = frozenset(map(id, written)) if self.trusted else None
        op, self.shadow = diff(self.shadow, value, encode, ids)
        self.told.append(("put", value) if op is None else ("op", op))
        back = decode(encode(value if op is None else op), Registry())
        self.logged = back if op is None else patch(self.logged, back)
        assert encode(self.logged) == encode(value)


# -- any value into any other --------------------------------------------------------------------


@given(VALUES, VALUES)
def test_any_value_becomes_any_other(old, new) -> None:
    Channel(old).tell(new)


@given(st.lists(VALUES, max_size=12), st.lists(VALUES, max_size=12))
def test_lists(old, new) -> None:
    Channel(old).tell(new)


@given(st.dictionaries(KEYS, VALUES), st.dictionaries(KEYS, VALUES), st.randoms(use_true_random=False))
def test_dicts_in_whatever_order_their_keys_are(old, new, random) -> None:
    channel = Channel(old)
    channel.tell(new)
    shuffled = list(new.items())
    random.shuffle(shuffled)
    channel.tell(dict(shuffled))
    assert list(channel.logged) == [key for key, _ in shuffled]


@given(SETS, SETS)
def test_sets(old, new) -> None:
    Channel(old).tell(new)


@given(TEXTS, TEXTS)
def test_text_that_grows_or_does_not(old, new) -> None:
    channel = Channel(old)
    channel.tell(old + new)
    channel.tell(new)
    bytes_channel = Channel(old.encode())
    bytes_channel.tell(old.encode() + new.encode())


@given(VALUES)
def test_an_equal_value_that_is_another_object_changes_nothing(value) -> None:
    channel = Channel(value)
    before = encode(channel.logged)
    channel.tell(decode(encode(value), Registry()))
    assert encode(channel.logged) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ([True] * 6, [1] * 6),
        ([1] * 6, [1.0] * 6),
        ([0.0] * 6, [-0.0] * 6),
        ([math.nan] * 6, [math.nan] * 6),
        ({"a": True, "b": 2, "c": 3, "d": 4}, {"a": 1, "b": 2, "c": 3, "d": 4}),
        ({True: 0, "b": 2, "c": 3, "d": 4}, {1: 0, "b": 2, "c": 3, "d": 4}),
        ({1: 0, "b": 2, "c": 3, "d": 4}, {1.0: 0, "b": 2, "c": 3, "d": 4}),
        ({True, 2, 3, 4, 5}, {1, 2, 3, 4, 5}),
        ("x" * 100, b"x" * 100),
        ([(1, 2)] * 6, [[1, 2]] * 6),
        ([{"a": 1, "b": 2}] * 6, [{"b": 2, "a": 1}] * 6),
    ],
    ids=str,
)
def test_equal_to_python_but_not_the_same(old, new) -> None:
    Channel(old).tell(new)


# -- changes in place ----------------------------------------------------------------------------

PLACES = st.lists(st.integers(0, 40), min_size=1, max_size=4)


def scribble(value: Any, places: list[int], new: Any) -> None:
    """Change something somewhere inside ``value``, in place."""
    holder = value
    for place in places:
        inner = list(holder.values()) if isinstance(holder, dict) else holder
        containers = [part for part in inner if isinstance(part, list | dict)]
        if not containers:
            break
        holder = containers[place % len(containers)]
    if isinstance(holder, dict):
        holder[places[0]] = new
    elif holder and places[0] % 2:
        holder[places[0] % len(holder)] = new
    else:
        holder.append(new)


@given(st.lists(VALUES, max_size=12), st.lists(st.tuples(PLACES, VALUES), max_size=4))
def test_a_value_changed_in_place_and_told_again(value, changes) -> None:
    channel = Channel(value)
    for places, new in changes:
        scribble(value, places, new)
        channel.tell(value)


@given(st.lists(VALUES, max_size=12), st.lists(st.tuples(PLACES, VALUES, VALUES), max_size=4))
def test_a_reducer_that_changes_parts_in_place_and_returns_a_shallow_copy(value, changes) -> None:
    channel = Channel(value)
    for places, new, more in changes:
        scribble(value, places, new)
        value = [*value, more]
        channel.tell(value)


@given(st.dictionaries(KEYS, VALUES), st.lists(st.tuples(PLACES, VALUES, KEYS), max_size=4))
def test_the_same_with_dicts(value, changes) -> None:
    channel = Channel(value)
    for places, new, key in changes:
        scribble(value, places, new)
        value = {**value, key: new}
        channel.tell(value)


# -- reducers known to leave old parts alone -------------------------------------------------------


@given(st.lists(VALUES, max_size=12), st.lists(st.lists(VALUES, max_size=3), max_size=3))
def test_appended_lists_when_identity_is_trusted(value, updates) -> None:
    channel = Channel(value, trusted=True)
    for update in updates:
        value = operator.add(value, update)
        channel.tell(value, (update, *update))


@given(st.dictionaries(KEYS, VALUES), st.lists(st.dictionaries(KEYS, VALUES, max_size=3), max_size=3))
def test_merged_dicts_when_identity_is_trusted(value, updates) -> None:
    channel = Channel(value, trusted=True)
    for update in updates:
        value = operator.or_(value, update)
        channel.tell(value, (update, *update.values()))


@given(st.lists(st.lists(SCALARS, max_size=3), min_size=SMALL, max_size=8), st.data())
def test_a_part_changed_in_place_and_written_again_when_identity_is_trusted(value, data) -> None:
    channel = Channel(value, trusted=True)
    for _ in range(3):
        place = data.draw(st.integers(0, len(value) - 1))
        value[place].append(data.draw(SCALARS))
        value = [*value[:place], value[place], *value[place + 1 :]]
        channel.tell(value, (value[place],))


# -- what an op is ---------------------------------------------------------------------------------


@given(st.lists(VALUES, min_size=SMALL, max_size=12), VALUES)
def test_patch_leaves_the_old_value_alone(old, extra) -> None:
    before = encode(old)
    op, _ = diff(shade(old, encode), [*old, extra], encode, None)
    assert op is not None
    patch(old, op)
    assert encode(old) == before


@pytest.mark.parametrize(
    ("old", "new", "most"),
    [
        (list(range(1000)), [*range(1000), 1], 20),
        ([["part", i] for i in range(1000)], [["part", i] for i in range(1001)], 30),
        ({f"k{i}": i for i in range(1000)}, {f"k{i}": i for i in range(1001)}, 30),
        ("x" * 10_000, "x" * 10_000 + "end", 20),
        (set(range(1000)), set(range(1001)), 20),
        ([["part", i] for i in range(1000)], [["part", i if i != 500 else -1] for i in range(1000)], 30),
        (list(range(1000)), list(range(1, 1000)), 20),
        ([["part", i] for i in range(1000)], [["part", i] for i in range(1000)], 20),
    ],
    ids=["append", "rebuilt", "new key", "longer text", "new member", "one replaced", "one gone", "same"],
)
def test_an_op_is_as_small_as_the_change(old, new, most) -> None:
    op, _ = diff(shade(old, encode), new, encode, None)
    assert op is not None
    assert len(encode(op)) <= most


@pytest.mark.parametrize(
    ("old", "op"),
    [
        ([1, 2], ["l", [1, 5, []]]),
        ("abc", ["t", 2, "d"]),
        ({"a": 1}, ["l", [0, 0, [1]]]),
        ([1], ["?"]),
        (None, ["d", {}, []]),
    ],
    ids=str,
)
def test_an_op_that_does_not_fit_is_refused(old, op) -> None:
    with pytest.raises(ValueError, match="fit"):
        patch(old, op)
