"""Reading a batch's items: chunks, keys, priorities, and whether a source is the same again."""

import asyncio

import pytest

from dashflow.batch.core.items import ItemStates
from dashflow.batch.core.state import BatchState
from dashflow.batch.source import CHUNK_BYTES, CHUNK_ITEMS, CHUNK_SECONDS, KeySet, Source
from dashflow.errors import BatchInputError, DuplicateKeyError, ValueCodecError
from dashflow.log.codec import Registry, decode

pytestmark = pytest.mark.feature("BATCH-001")


def still():
    """A clock that stands."""
    return 0.0


def values(chunk):
    return [decode(data, Registry()) for data in chunk.inputs]


def accepted(chunk, *, ended=False, keyed=False):
    """The state of a batch that has accepted everything up to ``chunk``."""
    count = chunk.first + len(chunk.inputs)
    return BatchState(name="b", items=ItemStates().more(count), digest=chunk.digest, ended=ended, keyed=keyed)


def test_a_source_is_read_chunk_by_chunk_and_no_further():
    read = []

    def items():
        for number in range(CHUNK_ITEMS + 3):
            read.append(number)
            yield number

    source = Source("b", items())
    first = source.read(still)
    assert (values(first), first.ended) == (list(range(CHUNK_ITEMS)), False)
    assert len(read) == CHUNK_ITEMS
    second = source.read(still)
    assert (second.first, values(second), second.ended) == (CHUNK_ITEMS, [256, 257, 258], True)


def test_a_chunk_of_large_items_is_short():
    source = Source("b", [bytes(CHUNK_BYTES // 2)] * 5)
    assert [len(source.read(still).inputs) for _ in range(3)] == [2, 2, 1]


def test_a_slow_source_hands_on_what_it_has():
    times = iter([0.0, *(CHUNK_SECONDS * step for step in range(1, 9))])
    chunk = Source("b", range(100)).read(lambda: next(times))
    assert values(chunk) == [0]


def test_keys_and_priorities_are_made_of_items():
    chunk = Source("b", [{"id": 5, "p": 1}, {"id": 6, "p": 2}], lambda i: i["id"], lambda i: i["p"]).read(
        still
    )
    assert (chunk.keys, chunk.priorities) == (("5", "6"), (1.0, 2.0))


def test_a_key_that_comes_twice_is_refused_after_what_came_before():
    chunk = Source("b", ["x", "y", "x", "z"], str).read(still)
    assert values(chunk) == ["x", "y"]
    assert isinstance(chunk.error, DuplicateKeyError)
    assert (chunk.error.data["key"], chunk.error.data["item"]) == ("x", 2)


@pytest.mark.parametrize(
    ("key", "priority", "problem"),
    [
        (lambda item: 1 / item, None, "item 1 raised ZeroDivisionError"),
        (None, lambda item: float("nan") if item == 0 else 1, "the priority of item 1 is nan"),
        (lambda item: item or "", None, "the key of item 1 is empty"),
    ],
)
def test_functions_on_items_that_fail_are_named(key, priority, problem):
    chunk = Source("b", [1, 0, 2], key, priority).read(still)
    assert values(chunk) == [1]
    assert isinstance(chunk.error, BatchInputError)
    assert problem in str(chunk.error)


def test_an_item_that_cannot_be_stored_is_named():
    chunk = Source("b", [1, {"a": object()}]).read(still)
    assert values(chunk) == [1]
    assert isinstance(chunk.error, ValueCodecError)
    assert "items[1]" in str(chunk.error)


def test_a_source_that_is_the_same_goes_on_behind_what_was_accepted():
    first = Source("b", range(400)).read(still)
    again = Source("b", range(400))
    again.skip(accepted(first))
    chunk = again.read(still)
    assert (chunk.first, values(chunk)) == (256, list(range(256, 400)))


@pytest.mark.parametrize(
    ("items", "ended", "problem"),
    [
        ([0, 1, 3], False, "not those that were accepted"),
        ([0, 1], False, "there are 2, and 3 were accepted"),
        ([0, 1, 2, 3], True, "there are more than the 3"),
    ],
)
def test_a_source_that_is_another_one_is_refused(items, ended, problem):
    state = accepted(Source("b", range(3)).read(still), ended=ended)
    with pytest.raises(BatchInputError, match=problem):
        Source("b", items).skip(state)


def test_keys_are_part_of_what_is_compared():
    state = accepted(Source("b", "abc", str).read(still), keyed=True)
    Source("b", "abc", str).skip(state)
    with pytest.raises(BatchInputError, match="not those that were accepted"):
        Source("b", "abc", lambda item: item.upper()).skip(state)
    with pytest.raises(BatchInputError, match="with keys of their own"):
        Source("b", "abc").skip(state)


def test_async_items_are_read_in_the_same_way():
    async def items(stop=300):
        for number in range(stop):
            yield number

    async def read():
        first = await Source("b", items()).read(still)
        again = Source("b", items())
        await again.skip(accepted(first))
        rest = await again.read(still)
        with pytest.raises(BatchInputError, match="there are 9"):
            await Source("b", items(9)).skip(accepted(first))
        return values(first), values(rest), rest.ended

    assert asyncio.run(read()) == (list(range(256)), list(range(256, 300)), True)


def test_keys_are_known_again_among_many():
    keys = KeySet()
    assert all(keys.add(f"key {number}") for number in range(5000))
    assert not any(keys.add(f"key {number}") for number in range(0, 5000, 7))
    assert keys.add("another")
