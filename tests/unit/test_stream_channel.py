"""StreamChannel: one reader, who drives what fills it; several through tee; errors at the end."""

import asyncio

import pytest

from dashflow.stream import StreamChannel

pytestmark = pytest.mark.feature("RUN-07")


def filled_by(steps, *, is_async=False):
    """A channel and what its pump does: each call pushes the next item, raises none, closes at the end."""
    channel = StreamChannel()
    channel._bind(is_async=is_async)
    rest = iter(steps)
    calls = []

    def pump():
        calls.append(1)
        for item in rest:
            if isinstance(item, Exception):
                channel.fail(item)
            else:
                channel.push(item)
            return True
        channel.close()
        return False

    async def apump():
        await asyncio.sleep(0)
        return pump()

    channel._request_more = pump
    channel._arequest_more = apump
    return channel, calls


async def read(stream):
    return [item async for item in stream]


def test_reading_drives_the_producer_one_step_at_a_time():
    channel, calls = filled_by("abc")
    reader = iter(channel)
    assert next(reader) == "a"
    assert len(calls) == 1
    assert list(reader) == ["b", "c"]


async def test_async_reading_drives_the_producer():
    channel, _ = filled_by("abc", is_async=True)
    assert await read(channel) == ["a", "b", "c"]


def test_nothing_is_kept_for_a_reader_who_comes_later():
    channel = StreamChannel()
    channel._bind(is_async=False)
    channel.push("early")
    reader = iter(channel)
    channel.push("late")
    channel.close()
    assert list(reader) == ["late"]


def test_every_item_is_forwarded_with_or_without_a_reader():
    channel, forwarded = StreamChannel("name"), []
    channel._bind(is_async=False)
    channel._wire(forwarded.append)
    channel.push(1)
    reader = iter(channel)
    channel.push(2)
    assert forwarded == [1, 2]
    assert next(reader) == 2


def test_the_error_comes_after_the_last_item():
    channel, _ = filled_by(["a", ValueError("end")])
    reader = iter(channel)
    assert next(reader) == "a"
    with pytest.raises(ValueError, match="end"):
        next(reader)


def test_a_channel_without_a_producer_ends():
    channel = StreamChannel()
    channel._bind(is_async=False)
    assert list(channel) == []


def test_a_second_reader_is_refused():
    channel, _ = filled_by("a")
    iter(channel)
    with pytest.raises(RuntimeError, match=r"already has a subscriber; use \.tee\(n\)"):
        iter(channel)


def test_the_wrong_kind_of_loop_is_refused():
    channel, _ = filled_by("a")
    with pytest.raises(TypeError, match="bound to sync mode"):
        aiter(channel)
    channel, _ = filled_by("a", is_async=True)
    with pytest.raises(TypeError, match="bound to async mode"):
        iter(channel)
    with pytest.raises(TypeError, match="has not been bound yet"):
        iter(StreamChannel())


def test_it_belongs_to_one_run():
    channel, _ = filled_by("a")
    with pytest.raises(RuntimeError, match="already bound"):
        channel._bind(is_async=False)


def test_nothing_is_pushed_behind_its_end():
    channel, _ = filled_by("a")
    iter(channel)
    channel.close()
    with pytest.raises(RuntimeError, match="Cannot push to a closed StreamChannel"):
        channel.push("b")


@pytest.mark.parametrize("size", [0, -1])
def test_a_bound_must_be_positive(size):
    with pytest.raises(ValueError, match="must be a positive int or None"):
        StreamChannel(maxlen=size)


def test_each_branch_gets_every_item_and_the_error():
    channel, _ = filled_by(["a", "b", ValueError("end")])
    left, right = channel.tee()
    assert [next(left), next(left), next(right)] == ["a", "b", "a"]
    with pytest.raises(ValueError, match="end"):
        next(left)
    assert next(right) == "b"
    with pytest.raises(ValueError, match="end"):
        next(right)


async def test_each_async_branch_gets_every_item_also_from_other_tasks():
    channel, calls = filled_by(range(5), is_async=True)
    branches = channel.atee(3)
    assert await asyncio.gather(*map(read, branches)) == [[0, 1, 2, 3, 4]] * 3
    assert len(calls) == 6, "each item was pulled once"


async def test_each_async_branch_gets_the_error():
    channel, _ = filled_by(["a", ValueError("end")], is_async=True)
    results = await asyncio.gather(*map(read, channel.atee(2)), return_exceptions=True)
    assert [str(result) for result in results] == ["end", "end"]


def test_no_branches_are_refused():
    channel, _ = filled_by("a")
    with pytest.raises(ValueError, match="tee"):
        channel.tee(0)
    channel, _ = filled_by("a", is_async=True)
    with pytest.raises(ValueError, match="atee"):
        channel.atee(0)
