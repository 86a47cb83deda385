"""The simulated host: virtual clock, seeded schedule, and a crash at the n-th port call if asked.

Everything is decided by the seed, so a failing run is repeated by its seed alone. Work of a crew runs
one piece at a time, in an order that the seed picks. Submitted appends become durable at a moment the
seed picks, in order; a crash loses those that were not. A host that crashed is dead: whatever its
flows still try (``finally`` blocks included) raises again, as nothing of a killed process runs.
"""

from __future__ import annotations

import contextvars
import random
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext
from typing import Any, TypeVar

from dashflow.engine.ports import Done, Overdue, Posted
from dashflow.errors import LogError
from dashflow.log.base import Append, Appended, EventLog, Streams, Ticket

T = TypeVar("T")


class SimulatedCrash(BaseException):
    """The process died here. Not an ``Exception``: no handler of a user's or ours may stop it."""


class PendingAppend:
    """A ticket of the simulation: handed over, durable when the schedule says so.

    Args:
        append: Commits it.
        flush: Commits all that were handed over up to this one.
        what: What was handed over.
    """

    def __init__(
        self, append: Callable[[Append], Appended], flush: Callable[[PendingAppend], None], what: Append
    ) -> None:
        self._commit = append
        self._flush = flush
        self._append = what
        self._result: Appended | LogError | None = None
        self._callbacks: list[Callable[[], None]] = []

    @property
    def done(self) -> bool:
        """Whether it was committed or refused."""
        return self._result is not None

    def commit(self) -> None:
        """Make it durable, or learn why not."""
        try:
            self._result = self._commit(self._append)
        except LogError as error:
            self._result = error
        for callback in self._callbacks:
            callback()

    def wait(self) -> Appended:
        """Commit everything up to this one, then say what it came to."""
        self._flush(self)
        if isinstance(self._result, LogError):
            raise self._result
        assert self._result is not None
        return self._result

    def on_done(self, callback: Callable[[], None]) -> None:
        """See ``Ticket.on_done``."""
        if self.done:
            callback()
        else:
            self._callbacks.append(callback)


class SimulatedCrew:
    """Runs its pieces inline, one at a time, in an order that the host's seed picks."""

    def __init__(self, host: SimulatedHost, limit: int | None) -> None:
        self._host = host
        self._limit = limit
        self._waiting: list[tuple[Hashable, Callable[[], Any], contextvars.Context]] = []
        self._results: deque[Done | Posted] = deque()
        self._pending = 0

    @property
    def pending(self) -> int:
        """Pieces started and not yet returned."""
        return self._pending

    def start(self, key: Hashable, work: Callable[[], Any], *, blocking: bool = True) -> None:
        """See ``Crew.start``."""
        if not blocking:
            raise TypeError("The simulated host runs blocking work only.")
        self._host.alive()
        self._pending += 1
        self._waiting.append((key, work, contextvars.copy_context()))

    def post(self, item: Any) -> None:
        """See ``Crew.post``."""
        self._results.append(Posted(item))

    async def next(self, within: float | None = None) -> Done | Posted:
        """See ``Crew.next``: a port call, so a place to crash before and after."""
        begun = self._host.elapsed()
        result = self._host.port(self._next)
        if within is not None and self._host.elapsed() - begun > within:
            self._results.appendleft(result)  # it comes too late, and is among what ``close`` returns
            self._pending += type(result) is Done
            raise Overdue
        return result

    def _next(self) -> Done | Posted:
        if not self._results:
            if not self._waiting:
                raise Overdue  # nothing can happen any more, however long one waits
            window = len(self._waiting) if self._limit is None else min(self._limit, len(self._waiting))
            key, work, context = self._waiting.pop(self._host.pick(window))
            try:
                self._results.append(Done(key, context.run(work)))
            except SimulatedCrash:
                raise
            except BaseException as error:  # as the other hosts: the flow must hear of it
                self._results.append(Done(key, None, error))
        result = self._results.popleft()
        if type(result) is Done:
            self._pending -= 1
        return result

    async def close(self) -> list[Done | Posted]:
        """See ``Crew.close``."""
        self._pending = 0
        self._waiting.clear()
        self._host.alive()
        ended = list(self._results)
        self._results.clear()
        return ended


class SimulatedHost:
    """A deterministic world.

    Args:
        seed: Decides schedule, entropy and when submitted appends become durable.
        crash_at: Number of the port call to crash at, from 1; None never crashes. Odd and even calls
            alternate by ``crash_after``.
        crash_after: Crash after the call took effect instead of before.
        start: The clock's first value, nanoseconds.
    """

    asynchronous = False

    def __init__(
        self,
        seed: int = 0,
        *,
        crash_at: int | None = None,
        crash_after: bool = False,
        start: int = 1_700_000_000_000_000_000,
    ) -> None:
        self._random = random.Random(seed)
        self._crash_at = crash_at
        self._crash_after = crash_after
        self._clock = start
        self._pending: deque[PendingAppend] = deque()
        self.calls = 0
        """How many port calls were made."""
        self.crashed = False
        """Whether the host died."""

    def alive(self) -> None:
        """Raise ``SimulatedCrash`` once the host is dead."""
        if self.crashed:
            raise SimulatedCrash

    def pick(self, count: int) -> int:
        """An index below ``count``, as the schedule decides."""
        return self._random.randrange(count)

    def flush(self, upto: PendingAppend | None = None) -> None:
        """Make submitted appends durable in order, up to and with ``upto``."""
        while self._pending and not (upto is not None and upto.done):
            self._pending.popleft().commit()

    def port(self, act: Callable[[], T]) -> T:
        """One port call: counted, takes a little virtual time, and may be where the process dies."""
        self.alive()
        self.calls += 1
        self._clock += 1_000 + self._random.randrange(1_000_000)
        while self._pending and self._random.random() < 0.5:
            self._pending.popleft().commit()
        doomed = self.calls == self._crash_at
        if doomed and not self._crash_after:
            self._die()
        try:
            return act()
        finally:
            if doomed:
                self._die()

    def _die(self) -> None:
        self.crashed = True
        self._pending.clear()
        raise SimulatedCrash

    def now(self) -> int:
        """See ``Host.now``."""
        return self._clock

    def entropy(self) -> int:
        """See ``Host.entropy``."""
        return self._random.getrandbits(64)

    def elapsed(self) -> float:
        """See ``Host.elapsed``: the simulation's clock."""
        return self._clock / 1e9

    def jitter(self) -> float:
        """See ``Host.jitter``."""
        return self._random.random()

    async def append(self, log: Streams, append: Append) -> Appended:
        """See ``Host.append``."""
        return self.port(lambda: self._submit(log, append).wait())

    def _submit(self, log: Streams, append: Append) -> PendingAppend:
        ticket = PendingAppend(log.append, self.flush, append)
        self._pending.append(ticket)
        return ticket

    async def submit(self, log: Streams, append: Append) -> Ticket:
        """See ``Host.submit``."""
        return self.port(lambda: self._submit(log, append))

    async def settle(self, ticket: Ticket) -> Appended:
        """See ``Host.settle``."""
        return self.port(ticket.wait)

    async def versions(self, log: EventLog, streams: Sequence[str]) -> list[int]:
        """See ``Host.versions``."""
        return self.port(lambda: log.versions(streams))

    async def read(self, query: Callable[[], T]) -> T:
        """See ``Host.read``."""
        return self.port(query)

    async def call(self, work: Callable[[], Any], *, blocking: bool = True) -> Any:
        """See ``Host.call``."""
        if not blocking:
            raise TypeError("The simulated host runs blocking work only.")
        return self.port(work)

    async def limited(self, work: Callable[[], Awaitable[T]], left: Callable[[], float]) -> T:
        """See ``Host.limited``: only awaitable work can be limited, and there is none here."""
        raise TypeError("The simulated host runs blocking work only.")

    def crew(self, limit: int | None = None, *, attentive: bool = False) -> SimulatedCrew:
        """See ``Host.crew``."""
        return SimulatedCrew(self, limit)

    def spawn(self, work: Callable[[], Any], *, blocking: bool) -> Any:
        """See ``Host.spawn``; done at once."""
        from dashflow.hosts.future import CallFuture, settle  # only those who call tasks pay for it

        future: CallFuture[Any] = CallFuture()
        context = contextvars.copy_context()
        self.alive()
        settle(future, lambda: context.run(work))
        self.alive()
        return future

    def ready(self, value: Any) -> Any:
        """See ``Host.ready``."""
        from dashflow.hosts.future import ready

        return ready(value)

    async def wait(self, future: Any) -> None:
        """See ``Host.wait``."""
        future.exception()

    async def drop(self, future: Any) -> None:
        """See ``Host.drop``."""
        if not future.cancel():
            future.exception()

    def gate(self, limit: int) -> AbstractAsyncContextManager[Any]:
        """See ``Host.gate``: one piece runs at a time anyway."""
        return nullcontext()

    def blocks(self) -> bool:
        """See ``Host.blocks``: everything here may."""
        return True

    async def inside(self, work: Callable[[], Awaitable[T]]) -> T:
        """See ``Host.inside``: there is one place only."""
        return await work()

    def mutex(self) -> AbstractContextManager[Any]:
        """See ``Host.mutex``."""
        return nullcontext()

    def guard(self, log: EventLog, stream: str, after: int, halt: Callable[[int], None]) -> None:
        """See ``Host.guard``: nothing here happens beside the flow, which meets a cancel at its next
        record."""

    def unguard(self, log: EventLog, stream: str) -> None:
        """See ``Host.unguard``."""

    def alert(self) -> None:
        """See ``Host.alert``."""

    def interrupt(self) -> None:
        """See ``Host.interrupt``: nothing here can be stopped."""

    def absorb(self) -> bool:
        """See ``Host.absorb``."""
        return True

    async def quiet(self) -> None:
        """See ``Host.quiet``: nothing goes on beside the flow."""
        self.alive()

    def cancelling(self) -> bool:
        """See ``Host.cancelling``: never, nothing here can be cancelled."""
        return False

    def here(self) -> Hashable:
        """See ``Host.here``: there is one place only."""
        return self

    async def sleep(self, seconds: float) -> None:
        """See ``Host.sleep``: only the clock moves."""

        def pass_time() -> None:
            self._clock += int(seconds * 1e9)

        self.port(pass_time)
