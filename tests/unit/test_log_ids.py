"""Event ids are UUIDv7s that grow; pure, so everything is given."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashflow._util.ids import uuid7
from dashflow.log.ids import EventIds

pytestmark = pytest.mark.feature("LOG-01")

times = st.integers(0, 2**48 * 1_000_000 - 1)
bits = st.integers(0, 2**64 - 1)


@given(times, bits)
def test_uuid7_is_one_and_tells_the_time(at: int, random: int) -> None:
    number = uuid.UUID(bytes=uuid7(at, random))
    assert (number.version, number.variant) == (7, uuid.RFC_4122)
    assert number.int >> 80 == at // 1_000_000


@given(times, times, bits, bits)
def test_later_ids_are_larger(one: int, other: int, first: int, second: int) -> None:
    early, late = sorted((one, other))
    if late - early >= 1_000:  # the resolution is a quarter of a microsecond
        assert uuid7(early, first) < uuid7(late, second)


@given(times, bits)
def test_ids_of_a_run_grow_and_stay_valid(at: int, seed: int) -> None:
    ids = EventIds(seed, at)
    made = [ids.next() for _ in range(50)]
    assert made == sorted(set(made))
    assert {(uuid.UUID(bytes=one).version, uuid.UUID(bytes=one).variant) for one in made} == {
        (7, uuid.RFC_4122)
    }


def test_the_largest_seed_does_not_spill_over() -> None:
    ids = EventIds(2**64 - 1, 2**48 * 1_000_000 - 1)
    made = [uuid.UUID(bytes=ids.next()) for _ in range(3)]
    assert made == sorted(made)
    assert {(one.version, one.variant) for one in made} == {(7, uuid.RFC_4122)}


@given(times, bits, st.lists(times, max_size=20))
def test_ids_tell_the_time_they_are_given_and_never_go_back(at: int, seed: int, later: list[int]) -> None:
    ids = EventIds(seed, at)
    made, latest = [ids.next()], at
    for time in later:
        made.append(ids.next(time))
        latest = max(latest, time)
        assert 0 <= latest // 1_000_000 - (uuid.UUID(bytes=made[-1]).int >> 80) <= 1
    assert made == sorted(set(made))
    assert {(uuid.UUID(bytes=one).version, uuid.UUID(bytes=one).variant) for one in made} == {
        (7, uuid.RFC_4122)
    }


def test_the_same_seed_gives_the_same_ids_and_another_seed_others() -> None:
    one, same, other = EventIds(1, 10**18), EventIds(1, 10**18), EventIds(2**40, 10**18)
    first, again, different = ([ids.next() for _ in range(100)] for ids in (one, same, other))
    assert first == again
    assert not set(first) & set(different)
