"""The synchronous host: its coroutines never suspend; crews run on threads.

May not import asyncio. Its counterpart is ``dashflow.hosts.aio``.
"""

from __future__ import annotations

import contextvars
import os
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from queue import Empty, SimpleQueue
from typing import Any, TypeVar

from dashflow.engine.ports import Done, Overdue, Posted
from dashflow.hosts.clock import WallClock, entropy, jitter, reseed
from dashflow.hosts.threads import THREADS, install_fork_guard
from dashflow.log.base import Append, Appended, EventLog, Streams, Ticket

T = TypeVar("T")

DEFAULT_LIMIT = min(32, (os.cpu_count() or 1) + 4)
"""How many pieces of a crew run at a time unless it is told (the thread pool default of the stdlib)."""

if hasattr(os, "register_at_fork"):
    install_fork_guard(os.register_at_fork)
    os.register_at_fork(after_in_child=reseed)


class ThreadCrew:
    """Work on threads; the flow that waits may run a piece itself, unless it has to be attentive."""

    def __init__(self, limit: int, attentive: bool) -> None:
        self._limit = limit
        self._attentive = attentive
        self._waiting: deque[tuple[Hashable, Callable[[], Any], contextvars.Context]] = deque()
        self._results: SimpleQueue[Done | Posted] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._pending = 0

    @property
    def pending(self) -> int:
        """Pieces started and not yet returned."""
        return self._pending

    def start(self, key: Hashable, work: Callable[[], Any], *, blocking: bool = True) -> None:
        """See ``Crew.start``; awaitables cannot be run here."""
        if not blocking:
            raise TypeError("The synchronous host cannot run awaitable work; use the async methods.")
        self._pending += 1
        self._waiting.append((key, work, contextvars.copy_context()))
        # The flow itself takes one piece when it may, so the last one needs no thread.
        with self._lock:
            room = self._threads < self._limit - (0 if self._attentive else 1)
            needed = len(self._waiting) > (0 if self._attentive else 1)
            if not (room and needed):
                return
            self._threads += 1
        THREADS.start(self._serve)

    def post(self, item: Any) -> None:
        """See ``Crew.post``."""
        self._results.put(Posted(item))

    def _serve(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._threads -= 1
                    return
                piece = self._waiting.popleft()
            self._run(*piece)

    def _run(self, key: Hashable, work: Callable[[], Any], context: contextvars.Context) -> None:
        try:
            done = Done(key, context.run(work))
        except BaseException as error:  # whatever it is, the flow must hear of it
            done = Done(key, None, error)
        self._results.put(done)

    async def next(self, within: float | None = None) -> Done | Posted:
        """See ``Crew.next``."""
        if within is not None:
            return self._next_within(within)
        if not self._attentive and self._results.empty():
            with self._lock:
                piece = self._waiting.popleft() if self._waiting else None
            if piece is not None:
                self._run(*piece)
        return self._took(self._results.get())

    def _next_within(self, seconds: float) -> Done | Posted:
        """The flow does not run a piece itself here: it could not look at the clock meanwhile."""
        try:
            return self._took(self._results.get(timeout=max(0.0, seconds)))
        except Empty:
            raise Overdue from None

    def _took(self, result: Done | Posted) -> Done | Posted:
        if type(result) is Done:
            self._pending -= 1
        return result

    async def close(self) -> list[Done | Posted]:
        """Forget what has not begun; wait for what has, since a thread cannot be stopped."""
        with self._lock:
            self._pending -= len(self._waiting)
            self._waiting.clear()
        ended: list[Done | Posted] = []
        while self._pending or not self._results.empty():
            ended.append(self._took(self._results.get()))
        return ended


class ThreadGate:
    """A semaphore for flows that never suspend."""

    def __init__(self, limit: int) -> None:
        self._semaphore = threading.Semaphore(limit)

    async def __aenter__(self) -> None:
        self._semaphore.acquire()

    async def __aexit__(self, *error: object) -> None:
        self._semaphore.release()


class SyncHost:
    """The world for synchronous callers: blocking calls, threads for crews, the wall clock."""

    asynchronous = False

    def __init__(self) -> None:
        self.now = WallClock().now
        self.entropy = entropy
        self.elapsed = time.monotonic
        self.jitter = jitter

    async def append(self, log: Streams, append: Append) -> Appended:
        """See ``Host.append``."""
        return log.append(append)

    async def submit(self, log: Streams, append: Append) -> Ticket:
        """See ``Host.submit``."""
        return log.submit(append)

    async def settle(self, ticket: Ticket) -> Appended:
        """See ``Host.settle``."""
        return ticket.wait()

    async def versions(self, log: EventLog, streams: Sequence[str]) -> list[int]:
        """See ``Host.versions``."""
        return log.versions(streams)

    async def read(self, query: Callable[[], T]) -> T:
        """See ``Host.read``."""
        return query()

    async def call(self, work: Callable[[], Any], *, blocking: bool = True) -> Any:
        """See ``Host.call``."""
        if not blocking:
            raise TypeError("The synchronous host cannot run awaitable work; use the async methods.")
        return work()

    async def limited(self, work: Callable[[], Awaitable[T]], left: Callable[[], float]) -> T:
        """See ``Host.limited``: only awaitable work can be limited, and there is none here."""
        raise TypeError("The synchronous host cannot run awaitable work; use the async methods.")

    def crew(self, limit: int | None = None, *, attentive: bool = False) -> ThreadCrew:
        """See ``Host.crew``."""
        return ThreadCrew(DEFAULT_LIMIT if limit is None else max(1, limit), attentive)

    def spawn(self, work: Callable[[], Any], *, blocking: bool) -> Any:
        """See ``Host.spawn``; on a thread of its own."""
        from dashflow.hosts.future import CallFuture, settle  # only those who call tasks pay for it

        future: CallFuture[Any] = CallFuture()
        context = contextvars.copy_context()
        THREADS.start(lambda: settle(future, lambda: context.run(work)))
        return future

    def ready(self, value: Any) -> Any:
        """See ``Host.ready``."""
        from dashflow.hosts.future import ready

        return ready(value)

    async def wait(self, future: Any) -> None:
        """See ``Host.wait``."""
        from dashflow.hosts.future import wait

        wait(future)

    async def drop(self, future: Any) -> None:
        """See ``Host.drop``."""
        if not future.cancel():
            await self.wait(future)

    def gate(self, limit: int) -> AbstractAsyncContextManager[Any]:
        """See ``Host.gate``; threads wait in front of it."""
        return ThreadGate(limit)

    def blocks(self) -> bool:
        """See ``Host.blocks``: everything here may."""
        return True

    async def inside(self, work: Callable[[], Awaitable[T]]) -> T:
        """See ``Host.inside``: on whatever thread that is."""
        return await work()

    def mutex(self) -> AbstractContextManager[Any]:
        """See ``Host.mutex``."""
        return threading.Lock()

    def guard(self, log: EventLog, stream: str, after: int, halt: Callable[[int], None]) -> None:
        """See ``Host.guard``; ``halt`` is called on another thread."""
        from dashflow.hosts.watchman import WATCHMAN  # only where there are logs

        WATCHMAN.guard(log, stream, after, halt)

    def unguard(self, log: EventLog, stream: str) -> None:
        """See ``Host.unguard``."""
        from dashflow.hosts.watchman import WATCHMAN

        WATCHMAN.unguard(log, stream)

    def alert(self) -> None:
        """See ``Host.alert``."""
        from dashflow.hosts.watchman import WATCHMAN

        WATCHMAN.hurry()

    def interrupt(self) -> None:
        """See ``Host.interrupt``: a thread cannot be stopped. Nodes may ask ``runtime.control``."""

    def absorb(self) -> bool:
        """See ``Host.absorb``."""
        return True

    async def quiet(self) -> None:
        """See ``Host.quiet``: a flow here does not go on before its work has ended."""

    def cancelling(self) -> bool:
        """See ``Host.cancelling``: never, nothing here can be cancelled."""
        return False

    def here(self) -> Hashable:
        """See ``Host.here``: the thread."""
        return threading.get_ident()

    async def sleep(self, seconds: float) -> None:
        """See ``Host.sleep``."""
        time.sleep(seconds)
