"""The asyncio host: awaitable work on the loop, blocking work on threads, and cancelling that is heard."""

import asyncio
import threading

import pytest

from dashflow.engine.ports import Done, Posted
from dashflow.hosts.aio import AioHost


async def gather(crew, count):
    return [await crew.next() for _ in range(count)]


async def test_awaitable_and_blocking_pieces_run_beside_each_other() -> None:
    meet = asyncio.Barrier(2)
    threads = threading.Barrier(2, timeout=30)

    async def free(number):
        await meet.wait()
        return number

    crew = AioHost().crew()
    for number in range(2):
        crew.start(number, lambda number=number: free(number), blocking=False)
        crew.start(number + 2, lambda number=number: (threads.wait(), number + 2)[1])
    assert sorted(done.value for done in await gather(crew, 4)) == [0, 1, 2, 3]


@pytest.mark.parametrize("limit", [1, 3])
async def test_no_more_than_the_limit_run_at_a_time(limit) -> None:
    running, most = 0, 0

    async def work() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    crew = AioHost().crew(limit)
    for number in range(20):
        crew.start(number, work, blocking=False)
    await gather(crew, 20)
    assert most == limit


async def test_what_is_posted_from_the_loop_and_from_threads_is_heard_in_order() -> None:
    crew = AioHost().crew()

    async def free() -> None:
        crew.post("loop 1")
        crew.post("loop 2")

    crew.start("free", free, blocking=False)
    assert await gather(crew, 3) == [Posted("loop 1"), Posted("loop 2"), Done("free")]
    crew.start("blocking", lambda: [crew.post(f"thread {number}") for number in range(3)] and None)
    assert await gather(crew, 4) == [*(Posted(f"thread {number}") for number in range(3)), Done("blocking")]


async def test_closing_cancels_and_waits_for_the_end_and_refuses_late_results() -> None:
    ended = []
    began, leave = threading.Event(), threading.Event()
    crew = AioHost().crew(2)

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append("waits")

    def blocks() -> str:
        began.set()
        leave.wait(30)
        return "late"

    crew.start("waits", waits, blocking=False)
    crew.start("blocks", blocks)
    crew.start("never", lambda: ended.append("never"))
    await asyncio.to_thread(began.wait, 30)
    late = await crew.close()
    assert ended == ["waits"]
    assert {done.key for done in late if done.error is None} == set()
    leave.set()


async def test_cancelling_a_flow_is_told_from_work_that_cancels_itself() -> None:
    host = AioHost()

    async def by_itself() -> bool:
        try:
            raise asyncio.CancelledError
        except asyncio.CancelledError:
            return host.cancelling()

    async def from_outside() -> bool:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return host.cancelling()
        return False

    assert not await by_itself()
    task = asyncio.ensure_future(from_outside())
    await asyncio.sleep(0)
    task.cancel()
    assert await task


@pytest.mark.parametrize("error", [ValueError("v"), KeyError("k")])
@pytest.mark.parametrize("blocking", [False, True])
async def test_errors_of_work_reach_the_flow(error, blocking) -> None:
    def fail() -> None:
        raise error

    async def fail_later() -> None:
        raise error

    host = AioHost()
    with pytest.raises(type(error)):
        await host.call(fail if blocking else fail_later, blocking=blocking)
    crew = host.crew()
    crew.start("a", fail if blocking else fail_later, blocking=blocking)
    assert await crew.next() == Done("a", None, error)


async def test_a_stop_iteration_cannot_get_into_a_future() -> None:
    def fail() -> None:
        raise StopIteration

    with pytest.raises(RuntimeError, match="StopIteration"):
        await AioHost().call(fail)


async def test_blocking_calls_and_reads_do_not_block_the_loop() -> None:
    leave = threading.Event()
    call = asyncio.ensure_future(AioHost().call(lambda: leave.wait(30)))
    read = asyncio.ensure_future(AioHost().read(lambda: leave.wait(30)))
    await asyncio.sleep(0)
    leave.set()
    assert await asyncio.gather(call, read) == [True, True]
