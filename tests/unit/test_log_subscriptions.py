"""Following a log without a backend: the bell, pages, and consumers that come, go and are cancelled."""

import asyncio
import threading

import pytest

from dashflow.errors import LogClosedError
from dashflow.log.base import Append, Record
from dashflow.log.memory import MemoryLog
from dashflow.log.subscriptions import PAGE, Bell, PagedSubscription
from dashflow.testing.log_case import in_threads, new_events

pytestmark = pytest.mark.feature("LOG-01")


def records(count: int) -> list[Record]:
    log = MemoryLog()
    log.append(Append("run-1", new_events(count)))
    return log.read("run-1")


class Source:
    """A growing list to read pages of; counts how often it is asked."""

    def __init__(self, there: list[Record]) -> None:
        self.there = there
        self.asked = 0
        self.largest = 0

    def fetch(self, cursor: int, limit: int) -> tuple[list[Record], int]:
        self.asked += 1
        page = self.there[cursor : cursor + limit]
        self.largest = max(self.largest, len(page))
        return page, cursor + len(page)


def test_a_ring_before_the_wait_is_not_lost() -> None:
    bell = Bell()
    seen = bell.rings
    bell.ring()
    assert bell.wait(seen, None)
    assert not bell.wait(bell.rings, 0)


def test_a_closed_bell_lets_nobody_wait() -> None:
    bell = Bell()
    bell.close()
    assert bell.wait(bell.rings, None)


def test_who_waits_is_announced_first() -> None:
    awaited: list[bool] = []
    bell = Bell(on_wait=lambda: awaited.append(bell.awaited))
    bell.wait(bell.rings, 0)
    with bell.listening(bell.rings, lambda: None):
        assert bell.awaited
    assert awaited == [True, True]
    assert not bell.awaited


def test_a_listener_whose_loop_has_ended_harms_nobody() -> None:
    bell = Bell()

    def gone() -> None:
        raise RuntimeError("Event loop is closed")

    with bell.listening(bell.rings, gone):
        bell.ring()


def test_memory_holds_one_page_whatever_there_is() -> None:
    source = Source(records(3 * PAGE + 7))
    subscription = PagedSubscription(source.fetch, 0, Bell())
    seen = []
    for record in subscription:
        seen.append(record)
        if len(seen) == len(source.there):
            break
    assert seen == source.there
    assert source.largest == PAGE


def test_a_smaller_limit_gets_a_page_in_parts() -> None:
    source = Source(records(5))
    subscription = PagedSubscription(source.fetch, 0, Bell())
    first = next(iter(subscription))
    assert [first, *subscription.poll(limit=2), *subscription.poll(limit=9)] == source.there
    assert subscription.poll(timeout=0) == []


def test_consumers_that_share_a_subscription_share_its_records() -> None:
    source = Source(records(1000))
    bell = Bell()
    subscription = PagedSubscription(source.fetch, 0, bell)
    count = threading.Semaphore(0)

    def consume() -> list[Record]:
        mine: list[Record] = []
        while page := subscription.poll(limit=10):
            mine += page
            for _ in page:
                count.release()
        return mine

    def end() -> list[Record]:
        for _ in range(1000):
            count.acquire()
        subscription.close()
        return []

    found = [record for part in in_threads([consume, consume, consume, end]) for record in part]
    assert sorted(record.version for record in found) == list(range(1, 1001))


def test_a_log_that_is_closed_meanwhile_ends_the_subscription() -> None:
    def fetch(cursor: int, limit: int) -> tuple[list[Record], int]:
        raise LogClosedError("here")

    assert PagedSubscription(fetch, 0, Bell()).poll() == []
    assert list(PagedSubscription(fetch, 0, Bell())) == []


async def test_a_cancelled_wait_loses_nothing() -> None:
    source = Source(records(4))
    bell = Bell()
    subscription = PagedSubscription(source.fetch, 0, bell)
    seen: list[Record] = []
    caught_up = asyncio.Event()

    async def consume(enough: int) -> None:
        async for record in subscription:
            seen.append(record)
            if len(seen) == 4:
                caught_up.set()
            if len(seen) == enough:
                return

    task = asyncio.create_task(consume(99))
    await caught_up.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    source.there += records(3)
    bell.ring()
    await consume(7)
    assert seen == source.there


async def test_the_event_loop_goes_on_while_nothing_comes() -> None:
    source = Source([])
    waiting, enough = asyncio.Event(), asyncio.Event()
    bell = Bell(on_wait=waiting.set)
    subscription = PagedSubscription(source.fetch, 0, bell)
    seen: list[Record] = []

    async def consume() -> None:
        async for record in subscription:
            seen.append(record)
            if len(seen) == 2:
                enough.set()

    task = asyncio.create_task(consume())
    await waiting.wait()
    source.there += records(2)
    bell.ring()
    await enough.wait()
    await asyncio.to_thread(subscription.close)
    await task
    assert seen == source.there


async def test_an_async_loop_on_a_closed_log_ends() -> None:
    def fetch(cursor: int, limit: int) -> tuple[list[Record], int]:
        raise LogClosedError("here")

    assert [record async for record in PagedSubscription(fetch, 0, Bell())] == []
