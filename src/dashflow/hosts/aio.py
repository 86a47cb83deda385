"""The asyncio host: flows suspend where the loop should run; blocking work goes to threads.

Its counterpart is ``dashflow.hosts.sync``; both implement ``dashflow.engine.ports``.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import time
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from concurrent.futures import wait as wait_for
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext, suppress
from typing import Any, TypeVar

from dashflow.engine.ports import Done, Overdue, Posted
from dashflow.hosts.clock import WallClock, entropy, jitter
from dashflow.hosts.future import CallFuture, ready
from dashflow.hosts.questions import questions_to
from dashflow.hosts.threads import THREADS
from dashflow.log.base import Append, Appended, EventLog, Streams, Ticket

T = TypeVar("T")

_LOOK_AGAIN = 1.0
"""Seconds after which a thread that waits for the loop looks whether that is still there."""


async def in_thread(work: Callable[[], T], over: asyncio.Future[None] | None = None) -> T:
    """Run ``work`` on a cached thread with the caller's context; a cancel does not wait for it, but ``over``
    is done when it has ended."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    context = contextvars.copy_context()

    def report(value: Any, error: BaseException | None) -> None:
        if over is not None and not over.done():
            over.set_result(None)
        if future.done():
            return  # cancelled meanwhile: the result is refused
        if error is None:
            future.set_result(value)
        elif isinstance(error, StopIteration):
            future.set_exception(RuntimeError(f"work raised {error!r}"))
        else:
            future.set_exception(error)

    def job() -> None:
        value: Any = None
        failure: BaseException | None = None
        try:
            value = context.run(work)
        except BaseException as error:  # handed to the awaiting flow
            failure = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(report, value, failure)

    THREADS.start(job)
    return await future


def _running() -> asyncio.AbstractEventLoop | None:
    """The loop that runs in this thread; None when none does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _refuse(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_exception(Overdue())


async def _one_turn(loop: asyncio.AbstractEventLoop) -> None:
    """Let the loop do what is ready. Not ``asyncio.sleep``: that is for retries, and tests replace it."""
    turn: asyncio.Future[None] = loop.create_future()
    loop.call_soon(turn.set_result, None)
    await turn


def _retrieve(task: asyncio.Future[Any]) -> None:
    """Nobody will ask what became of it, and asyncio shall not complain about that."""
    if not task.cancelled():
        task.exception()


class TaskCrew:
    """Work as asyncio tasks (awaitable) or on threads (blocking), bounded by ``limit``."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[tuple[Hashable, Callable[[], Any], bool]] = deque()
        self._tasks: dict[asyncio.Task[None], Hashable] = {}
        self._results: deque[Done | Posted] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._pending = 0

    @property
    def pending(self) -> int:
        """Pieces started and not yet returned."""
        return self._pending

    def start(self, key: Hashable, work: Callable[[], Any], *, blocking: bool = True) -> None:
        """See ``Crew.start``."""
        self._pending += 1
        if self._limit is not None and len(self._tasks) >= self._limit:
            self._waiting.append((key, work, blocking))
        else:
            self._launch(key, work, blocking)

    def _launch(self, key: Hashable, work: Callable[[], Any], blocking: bool) -> None:
        task = self._loop.create_task(self._run(key, work, blocking))
        self._tasks[task] = key
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        key = self._tasks.pop(task)
        if task.cancelled():  # before its first line ran, so _run could not say so
            self._put(Done(key, None, asyncio.CancelledError()))
        if self._waiting and (self._limit is None or len(self._tasks) < self._limit):
            self._launch(*self._waiting.popleft())

    async def _run(self, key: Hashable, work: Callable[[], Any], blocking: bool) -> None:
        try:
            if blocking:
                value = await in_thread(work)
            else:
                value = work()
                if inspect.isawaitable(value):
                    value = await value
            done = Done(key, value)
        except BaseException as error:  # whatever it is, the flow must hear of it
            done = Done(key, None, error)
        self._put(done)

    def _put(self, result: Done | Posted) -> None:
        self._results.append(result)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def post(self, item: Any) -> None:
        """See ``Crew.post``."""
        if _running() is self._loop:
            self._put(Posted(item))
        else:
            self._loop.call_soon_threadsafe(self._put, Posted(item))

    async def next(self, within: float | None = None) -> Done | Posted:
        """See ``Crew.next``."""
        while not self._results:
            waiter = self._waiter = self._loop.create_future()
            timer = None if within is None else self._loop.call_later(within, _refuse, waiter)
            try:
                await waiter
            finally:
                self._waiter = None
                if timer is not None:
                    timer.cancel()
        result = self._results.popleft()
        if type(result) is Done:
            self._pending -= 1
        return result

    async def close(self) -> list[Done | Posted]:
        """Cancel every task and wait for its end; threads go on, their results are refused."""
        self._waiting.clear()
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(list(self._tasks))
            await _one_turn(self._loop)  # the done callbacks take the tasks out
        self._pending = 0
        ended = list(self._results)
        self._results.clear()
        return ended


class LoopFuture(CallFuture[T]):
    """What work on a loop comes to; refuses to block that loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop

    def result(self, timeout: float | None = None) -> T:
        """See ``Future.result``.

        Raises:
            InvalidStateError: It is not there yet, and who asks is on the loop that would make it.
        """
        if not self.done() and _running() is self._loop:
            raise asyncio.InvalidStateError("Result is not set. Await it; waiting here would never end.")
        return super().result(timeout)


class AioHost:
    """The world for asyncio callers."""

    asynchronous = True

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._spawned: dict[CallFuture[Any], asyncio.Task[None]] = {}
        self._inside: asyncio.Task[Any] | None = None
        self._interrupted: asyncio.Task[Any] | None = None
        self._threads: set[asyncio.Future[None]] = set()
        self.now = WallClock().now
        self.entropy = entropy
        self.elapsed = time.monotonic
        self.jitter = jitter

    async def append(self, log: Streams, append: Append) -> Appended:
        """See ``Host.append``."""
        return await self.settle(log.submit(append))

    async def submit(self, log: Streams, append: Append) -> Ticket:
        """See ``Host.submit``."""
        return log.submit(append)

    async def settle(self, ticket: Ticket) -> Appended:
        """See ``Host.settle``."""
        if not ticket.done:
            loop = asyncio.get_running_loop()
            future: asyncio.Future[None] = loop.create_future()

            def wake() -> None:
                if not future.done():
                    future.set_result(None)

            def done() -> None:
                loop.call_soon_threadsafe(wake)

            ticket.on_done(done)
            await future
        return ticket.wait()

    async def versions(self, log: EventLog, streams: Sequence[str]) -> list[int]:
        """See ``Host.versions``."""
        questions = questions_to(log)
        known = None if questions is None else await questions.versions(log, streams)
        return await in_thread(lambda: log.versions(streams)) if known is None else known

    async def read(self, query: Callable[[], T]) -> T:
        """See ``Host.read``; on a thread, since a log's read may block."""
        return await in_thread(query)

    async def call(self, work: Callable[[], Any], *, blocking: bool = True) -> Any:
        """See ``Host.call``."""
        if blocking:
            over = self._loop.create_future()
            self._threads.add(over)
            over.add_done_callback(self._threads.discard)
            self._inside = asyncio.current_task()
            try:
                return await in_thread(work, over)
            finally:
                self._inside = None
        value = work()
        if not inspect.isawaitable(value):
            return value
        self._inside = asyncio.current_task()
        try:
            return await value
        finally:
            self._inside = None

    async def limited(self, work: Callable[[], Awaitable[T]], left: Callable[[], float]) -> T:
        """See ``Host.limited``."""

        async def run() -> T:
            return await work()

        task = asyncio.get_running_loop().create_task(run())
        try:
            while True:
                seconds = left()
                await asyncio.wait({task}, timeout=max(0.0, seconds))
                if task.done():
                    return task.result()
                if left() <= 0:
                    raise Overdue
        except asyncio.CancelledError:
            if not task.done():  # the caller is cancelled: what it started ends before it does
                task.cancel()
                await asyncio.wait({task})
            raise
        finally:
            if not task.done():
                task.cancel()
                task.add_done_callback(_retrieve)

    def crew(self, limit: int | None = None, *, attentive: bool = False) -> TaskCrew:
        """See ``Host.crew``; every crew here is attentive."""
        return TaskCrew(limit)

    def spawn(self, work: Callable[[], Any], *, blocking: bool) -> CallFuture[Any]:
        """See ``Host.spawn``; as a task of the loop, or on a thread."""
        future: CallFuture[Any] = LoopFuture(self._loop)
        loop, context = self._loop, contextvars.copy_context()

        async def run() -> None:
            value: Any = None
            failure: BaseException | None = None
            try:
                value = await in_thread(work) if blocking else await work()
            except BaseException as error:  # its caller must hear of it
                failure = error
            if future.cancelled():  # nobody wants to
                return
            if failure is None:
                future.set_result(value)
            else:
                future.set_exception(failure)

        def begin() -> None:
            if future.cancelled():
                return
            task = loop.create_task(run(), context=context)
            self._spawned[future] = task
            task.add_done_callback(lambda _: self._spawned.pop(future, None))
            future.add_done_callback(stop)

        def stop(done: Any) -> None:
            if done.cancelled() and (task := self._spawned.get(done)) is not None:
                loop.call_soon_threadsafe(task.cancel)

        if _running() is loop:
            begin()
        else:
            loop.call_soon_threadsafe(begin)
        return future

    def ready(self, value: Any) -> CallFuture[Any]:
        """See ``Host.ready``."""
        return ready(value)

    async def wait(self, future: CallFuture[Any]) -> None:
        """See ``Host.wait``; cancelled with the flow."""
        ended: asyncio.Future[Any] = self._spawned.get(future) or asyncio.wrap_future(future)
        ended.add_done_callback(_retrieve)
        try:
            await asyncio.wait([ended])
        except asyncio.CancelledError:
            for task in list(self._spawned.values()):
                task.cancel()
            raise

    async def drop(self, future: CallFuture[Any]) -> None:
        """See ``Host.drop``: threads go on, their results are refused."""
        task = self._spawned.get(future)
        if not future.cancel() and task is not None:
            task.cancel()
        if task is not None:
            await asyncio.wait([task])

    def gate(self, limit: int) -> AbstractAsyncContextManager[Any]:
        """See ``Host.gate``."""
        return asyncio.Semaphore(limit)

    def blocks(self) -> bool:
        """See ``Host.blocks``: only where no loop runs."""
        return _running() is None

    async def inside(self, work: Callable[[], Awaitable[T]]) -> T:
        """See ``Host.inside``: on the loop."""
        running = _running()
        if running is self._loop:
            return await work()
        future: CallFuture[T] = self.spawn(work, blocking=False)
        return self._result(future) if running is None else await future

    def _result(self, future: CallFuture[T]) -> T:
        """What comes of it, for a thread; a loop that is closed meanwhile will never say so itself."""
        while True:
            done, _ = wait_for((future,), _LOOK_AGAIN)
            if done:
                return future.result()
            if self._loop.is_closed():
                raise RuntimeError("The event loop was closed while a node's step waited for it")

    def mutex(self) -> AbstractContextManager[Any]:
        """See ``Host.mutex``: flow and calls are on one loop."""
        return nullcontext()

    def guard(self, log: EventLog, stream: str, after: int, halt: Callable[[int], None]) -> None:
        """See ``Host.guard``; ``halt`` is called on the loop."""
        from dashflow.hosts.watchman import WATCHMAN  # only where there are logs

        loop = self._loop

        def halt_there(version: int) -> None:
            with suppress(RuntimeError):  # the loop has ended without a word, and the run with it
                loop.call_soon_threadsafe(halt, version)

        WATCHMAN.guard(log, stream, after, halt_there)

    def unguard(self, log: EventLog, stream: str) -> None:
        """See ``Host.unguard``."""
        from dashflow.hosts.watchman import WATCHMAN

        WATCHMAN.unguard(log, stream)

    def alert(self) -> None:
        """See ``Host.alert``."""
        from dashflow.hosts.watchman import WATCHMAN

        WATCHMAN.hurry()

    def interrupt(self) -> None:
        """See ``Host.interrupt``: cancels the task that awaits user work."""
        task = self._inside
        if task is not None:
            self._interrupted = task
            task.cancel()

    def absorb(self) -> bool:
        """See ``Host.absorb``: takes the cancel back, as ``asyncio.timeout`` does."""
        task, self._interrupted = self._interrupted, None
        if task is None or task is not asyncio.current_task():
            return not self.cancelling()
        return task.uncancel() == 0

    async def quiet(self) -> None:
        """See ``Host.quiet``: threads cannot be stopped."""
        while self._threads:
            await asyncio.wait([*self._threads])

    def cancelling(self) -> bool:
        """See ``Host.cancelling``."""
        task = asyncio.current_task()
        return task is not None and task.cancelling() > 0

    def here(self) -> Hashable:
        """See ``Host.here``: the task."""
        return asyncio.current_task()

    async def sleep(self, seconds: float) -> None:
        """See ``Host.sleep``."""
        self._inside = asyncio.current_task()
        try:
            await asyncio.sleep(seconds)
        finally:
            self._inside = None
