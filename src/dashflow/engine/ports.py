"""Everything a flow may ask of the world, in one file. Flows import no clock, thread or event loop.

A flow is an ``async def`` that awaits nothing but these methods (and user code handed to them). The
sync host's never suspend, so its flows are driven with ``coro.send(None)``; the asyncio host's
suspend where the loop should run; the simulated host counts every call, and may crash at any.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Protocol, TypeVar

import msgspec

from dashflow.log.base import Append, Appended, EventLog, Streams, Ticket

T = TypeVar("T")


class Done(msgspec.Struct, frozen=True):
    """A piece of work that came to its end: ``error`` is None when it returned ``value``."""

    key: Hashable
    value: Any = None
    error: BaseException | None = None


class Posted(msgspec.Struct, frozen=True):
    """Something that running work handed to the flow before its end (a stream part, progress)."""

    item: Any


class Overdue(Exception):
    """The time for a piece of work is over; the work is cancelled and its result refused."""


class Crew(Protocol):
    """Pieces of user work that run beside each other, and the one place where a flow waits for them."""

    @property
    def pending(self) -> int:
        """How many pieces were started and not yet returned by ``next``."""
        ...

    def start(self, key: Hashable, work: Callable[[], Any], *, blocking: bool = True) -> None:
        """Start ``work()``. Never blocks.

        Args:
            key: Comes back in ``Done.key``.
            work: Called without arguments.
            blocking: False when ``work`` returns an awaitable (only hosts that are ``asynchronous``).
        """
        ...

    def post(self, item: Any) -> None:
        """Hand ``item`` to the flow, in order, from any thread, while work is running."""
        ...

    async def next(self, within: float | None = None) -> Done | Posted:
        """The next thing that happened. Must not be called with nothing pending, but to wait for a while.

        Args:
            within: Seconds to wait at most.

        Raises:
            Overdue: Nothing happened in that time.
        """
        ...

    async def close(self) -> list[Done | Posted]:
        """Cancel what is still pending as far as that can be done, and wait for what cannot.

        Returns:
            What happened meanwhile and before, and was not returned by ``next``; pieces that never began are
            not among it.
        """
        ...


class Host(Protocol):
    """The world as flows see it."""

    @property
    def asynchronous(self) -> bool:
        """Whether user work may return awaitables."""
        ...

    def now(self) -> int:
        """Nanoseconds since the Unix epoch; never smaller than the call before."""
        ...

    def entropy(self) -> int:
        """64 random bits."""
        ...

    def elapsed(self) -> float:
        """Seconds, of a clock that only measures."""
        ...

    def jitter(self) -> float:
        """Seconds between 0 and 1 at random, to add to the wait before a retry."""
        ...

    async def append(self, log: Streams, append: Append) -> Appended:
        """Append; durable on return. Raises what ``Streams.append`` raises."""
        ...

    async def submit(self, log: Streams, append: Append) -> Ticket:
        """Hand over an append that may become durable later."""
        ...

    async def settle(self, ticket: Ticket) -> Appended:
        """Wait for a submitted append; returns or raises what it came to."""
        ...

    async def versions(self, log: EventLog, streams: Sequence[str]) -> list[int]:
        """The versions of several streams, asked for in one go; see ``EventLog.versions``."""
        ...

    async def read(self, query: Callable[[], T]) -> T:
        """Run a blocking read of a log or store."""
        ...

    async def call(self, work: Callable[[], Any], *, blocking: bool = True) -> Any:
        """Run one piece of user work and wait for it: inline where the host may block."""
        ...

    async def limited(self, work: Callable[[], Awaitable[T]], left: Callable[[], float]) -> T:
        """Run awaitable work for as long as ``left()`` says that there are seconds left.

        Raises:
            Overdue: There were none; the work is told to stop, and nobody waits for it.
        """
        ...

    def spawn(self, work: Callable[[], Any], *, blocking: bool) -> Any:
        """Start a piece of work beside the flow, from any thread.

        Args:
            work: Called without arguments, in a copy of the caller's context.
            blocking: False when it returns an awaitable.

        Returns:
            A future: ``result()`` waits for it, and it can be awaited where there is a loop.
        """
        ...

    def ready(self, value: Any) -> Any:
        """Such a future that has its result."""
        ...

    async def wait(self, future: Any) -> None:
        """Wait for such a future, whatever it comes to."""
        ...

    async def drop(self, future: Any) -> None:
        """Cancel what such a future stands for, as far as that can be done, and wait for what cannot."""
        ...

    def gate(self, limit: int) -> AbstractAsyncContextManager[Any]:
        """Entered by so many pieces of work at a time."""
        ...

    def blocks(self) -> bool:
        """Whether the user code that asks may block: no event loop runs on its thread."""
        ...

    async def inside(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do a piece of flow where the flow runs, for user code anywhere: suspends or blocks."""
        ...

    def mutex(self) -> AbstractContextManager[Any]:
        """Held by one thread at a time, where there are several."""
        ...

    def crew(self, limit: int | None = None, *, attentive: bool = False) -> Crew:
        """A crew for work that runs beside each other.

        Args:
            limit: How many pieces run at a time (None: the host's own bound).
            attentive: Whether ``next`` must return posted items at once; else the waiting flow may
                lend a hand and run a piece itself meanwhile.
        """
        ...

    def guard(self, log: EventLog, stream: str, after: int, halt: Callable[[int], None]) -> None:
        """Have ``halt`` called once the log says that the run of a stream is to be cancelled.

        Args:
            log: Where the stream is.
            stream: Its name.
            after: The position from which to look.
            halt: Called with the version that says so, from any thread, or on the flow's loop.
        """
        ...

    def unguard(self, log: EventLog, stream: str) -> None:
        """The run of a stream has ended."""
        ...

    def alert(self) -> None:
        """A cancel was recorded: whoever is guarded in this process need not wait for the next look."""
        ...

    def interrupt(self) -> None:
        """Stop the work that runs here for the flow itself, as far as that can be done. What becomes of it is
        for ``absorb``."""
        ...

    def absorb(self) -> bool:
        """Called by a flow that was interrupted and has stopped; whether nobody else wants it to stop."""
        ...

    async def quiet(self) -> None:
        """Wait until whatever was stopped, and could not be, has come to its end all the same."""
        ...

    def cancelling(self) -> bool:
        """Whether somebody asked for the work that runs here to be cancelled."""
        ...

    def here(self) -> Hashable:
        """Who runs this: what waits here for something that must happen here first waits for ever."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait, before a retry and for nothing else; in a simulation only the clock moves."""
        ...
