"""The asyncio host: awaitable work on the loop, blocking work on threads, and cancelling that is heard."""

import asyncio
import threading

import pytest

from dashflow.engine.ports import Done, Overdue, Posted
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


async def test_work_within_its_time_gives_its_result_or_its_error() -> None:
    host = AioHost()

    async def work():
        await asyncio.sleep(0)
        return 7

    async def fails():
        raise TimeoutError("its own")

    assert await host.limited(work, lambda: 1.0) == 7
    with pytest.raises(TimeoutError, match="its own"):
        await host.limited(fails, lambda: 1.0)


async def test_work_whose_time_is_over_is_told_to_stop_and_not_waited_for() -> None:
    told, end = asyncio.Event(), asyncio.Event()

    async def stubborn():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            told.set()
        await end.wait()
        raise ValueError("nobody hears this")

    with pytest.raises(Overdue):
        await AioHost().limited(stubborn, lambda: 0.0)
    await told.wait()
    end.set()
    await asyncio.sleep(0)


async def test_time_that_is_given_meanwhile_counts() -> None:
    left, go = [0.0, 30.0], asyncio.Event()

    async def work():
        await go.wait()
        return 7

    def seconds():
        now = left.pop()
        if not left:
            left.append(30.0)
            go.set()
        return now if len(left) > 1 else 0.001

    assert await AioHost().limited(work, seconds) == 7


async def test_a_cancelled_flow_cancels_its_limited_work_first() -> None:
    started, ended = asyncio.Event(), []

    async def work():
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(1)

    flow = asyncio.ensure_future(AioHost().limited(work, lambda: 30.0))
    await started.wait()
    flow.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flow
    assert ended == [1]


async def test_a_flow_may_wait_for_its_crew_for_some_time_only() -> None:
    go = asyncio.Event()
    crew = AioHost().crew()
    crew.start("a", go.wait, blocking=False)
    with pytest.raises(Overdue):
        await crew.next(0.01)
    go.set()
    assert await crew.next(30) == Done("a", True)
