"""A consumer: takes a group's messages one after another, synchronously or in an event loop, from one text.

Claims and settlements travel in batches: asking for more records what was done before, in one commit. A
consumer is iterated by one thread or task; its messages may be settled by any.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from threading import Event as Flag
from threading import Lock
from types import TracebackType
from typing import Final, Self

from dashflow._util.drive import drive
from dashflow.errors import LogClosedError
from dashflow.log.base import EventLog
from dashflow.log.groups.core.hand import Hand
from dashflow.log.groups.core.process import Advance, Settlement, advance, due, extend, late
from dashflow.log.groups.core.state import Entry, Event, GroupState
from dashflow.log.groups.ledger import Calls, Ledger, directly, in_a_thread
from dashflow.log.groups.members import Membership
from dashflow.log.groups.message import Handler, Message
from dashflow.log.groups.reading import Reading
from dashflow.log.groups.settings import Settings

_FLUSH: Final = 100_000_000
"""Nanoseconds that a settlement may wait for the next commit while the consumer hands out messages."""

_LIVENESS: Final = 1_000_000_000
"""Nanoseconds between two looks at which other consumers live."""

_BLOCKED: Final = 0.02
"""Seconds between two looks at the group when messages wait for other consumers."""

_SECOND: Final = 1_000_000_000


class Consumer:
    """One of a group's competing consumers; made by ``ConsumerGroup.consumer``.

    Use it as a context manager: leaving it records what was settled and gives back what was not. When
    it is left by an error, the messages that were handed out and not settled have failed with it.

    Attributes:
        late: How many settlements came after the message's time had run out, and counted for nothing.
    """

    def __init__(
        self, log: EventLog, group: str, settings: Settings, prefetch: int, begin: Callable[..., Awaitable[None]]
    ) -> None:
        self._settings = settings
        self._prefetch = prefetch
        self._begin = begin
        self._ledger = Ledger(log, group)
        self._members = Membership(log, group)
        self._reading = Reading(log, settings, prefetch)
        self._hand = Hand("")
        self._turn = Lock()
        """Held for moments only, never while the log is asked."""
        self._settled = Flag()
        self._closing = False
        self._active = False
        self._flushed = 0
        self._looked = 0
        self.late = 0

    # -- for synchronous callers ----------------------------------------------------------------

    def take(self, timeout: float | None = None) -> Message | None:
        """The next message; None after ``timeout`` seconds without one, or when closed.

        Raises:
            LogError: The log cannot be read or written; nothing that was recorded is lost.
        """
        return drive(self._take(directly, timeout))

    def __iter__(self) -> Iterator[Message]:
        while (message := self.take()) is not None:
            yield message

    def work(self, handler: Handler, *, timeout: float | None = None) -> int:
        """Handle messages until closed, or until none has come for ``timeout`` seconds.

        A message is acknowledged when ``handler`` returns. When it raises an ``Exception``, the message
        failed: it comes again after a delay, as the group's retry policy says, or becomes a dead letter.

        Returns:
            How many messages were handled.
        """
        count = 0
        while (message := self.take(timeout)) is not None:
            count += 1
            try:
                handler(message)
            except Exception as error:
                self.failed(message, error)
            else:
                message.ack()
        self.flush()
        return count

    def flush(self) -> None:
        """Record what was settled so far; returns when it is durable."""
        drive(self._flush(directly))

    def extend(self, message: Message, seconds: float) -> bool:
        """Keep a message for that long from now; False when it is not this consumer's any more."""
        return drive(self._extend(directly, message, seconds))

    def close(self) -> None:
        """Record what was settled, give back the rest, leave the group. From any thread; twice is fine."""
        self._stop()
        drive(self._finish(directly))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left(error)
        self.close()

    # -- the same in an event loop ----------------------------------------------------------------

    async def atake(self, timeout: float | None = None) -> Message | None:
        """``take``, without blocking the event loop."""
        return await self._take(in_a_thread, timeout)

    async def __aiter__(self) -> AsyncIterator[Message]:
        while (message := await self.atake()) is not None:
            yield message

    async def awork(
        self, handler: Callable[[Message], Awaitable[object]], *, timeout: float | None = None
    ) -> int:
        """``work``, with an async handler."""
        count = 0
        while (message := await self.atake(timeout)) is not None:
            count += 1
            try:
                await handler(message)
            except Exception as error:
                self.failed(message, error)
            else:
                message.ack()
        await self.aflush()
        return count

    async def aflush(self) -> None:
        """``flush``, without blocking the event loop."""
        await self._flush(in_a_thread)

    async def aextend(self, message: Message, seconds: float) -> bool:
        """``extend``, without blocking the event loop."""
        return await self._extend(in_a_thread, message, seconds)

    async def aclose(self) -> None:
        """``close``, without blocking the event loop."""
        self._stop()
        await self._finish(in_a_thread)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._left(error)
        await self.aclose()

    # -- what messages say ------------------------------------------------------------------------

    def acknowledge(self, position: int) -> bool:
        """See ``Message.ack``."""
        with self._turn:
            done = self._hand.acknowledge(position)
        return self._told(done)

    def fail(self, position: int, attempt: int, reason: str, delay: float | None) -> bool:
        """See ``Message.nack``."""
        settings = self._settings
        wait = settings.delay(attempt) if delay is None else int(delay * _SECOND)
        with self._turn:
            done = self._hand.fail(position, settings.clock() + wait, reason)
        return self._told(done)

    def bury(self, position: int, reason: str) -> bool:
        """See ``Message.reject``."""
        with self._turn:
            done = self._hand.bury(position, reason)
        return self._told(done)

    def failed(self, message: Message, error: Exception) -> bool:
        """What the group's retry policy makes of a handler's error: try again, or a dead letter."""
        if self._settings.retry.retries(error):
            return message.nack(error)
        return message.reject(error)

    def _told(self, done: bool) -> bool:
        self.late += not done
        self._settled.set()
        return done

    def _left(self, error: BaseException | None) -> None:
        """What was handed out when its user's block was left by an error has failed."""
        if not isinstance(error, Exception):
            return
        for position, message in self._reading.handed.items():
            if position in self._hand.out:
                self.failed(message, error)

    # -- the flows --------------------------------------------------------------------------------

    async def _take(self, calls: Calls, timeout: float | None) -> Message | None:
        self._active = True
        now = self._settings.clock()
        deadline = None if timeout is None else now + int(timeout * _SECOND)
        try:
            while not self._closing:
                message = await self._handed(calls)
                if message is not None:
                    return message
                if await self._more(calls):
                    continue
                now = self._settings.clock()
                if deadline is not None and now >= deadline:
                    return None
                await self._wait(calls, now, deadline)
            return None
        except LogClosedError:
            # Somebody closed the log under us: the end, as for a subscription.
            self._closing = True
            return None
        finally:
            self._active = False
            if self._closing:
                await self._finish(calls)

    async def _handed(self, calls: Calls) -> Message | None:
        """The next message of those that are claimed already."""
        if not self._hand.waiting:
            return None
        now = self._settings.clock()
        if (self._hand.unsettled and now - self._flushed >= _FLUSH) or self._short(now):
            await self._advance(calls, claim=False)
        with self._turn:
            entry = self._hand.next()
            if entry is None:
                return None
            message = Message(self._reading.records[entry.position], entry, self)
            self._reading.handed[entry.position] = message
            return message

    def _short(self, now: int) -> bool:
        """Whether any claim has less time left than a handler may take."""
        return self._hand.until - now < self._settings.visibility

    async def _more(self, calls: Calls) -> bool:
        """Settle and claim in one commit; whether there is something to hand out now."""
        if not self._members.name:
            await self._begin(self._ledger, calls)
            self._hand = Hand(await calls(self._members.join, self._settings.clock()))
        await self._ledger.catch_up(calls)
        await self._reading.fill(calls, self._ledger.state, 0)
        await self._advance(calls)
        if not self._hand.waiting and await self._look_for_dead(calls):
            await self._advance(calls)
        return self._hand.waiting

    async def _advance(
        self,
        calls: Calls,
        *,
        claim: bool = True,
        released: tuple[int, ...] = (),
        dead: frozenset[str] = frozenset(),
        vanished: tuple[int, ...] = (),
    ) -> None:
        """Settle what was done, take lost messages away from others, and claim, in one commit."""
        settings, hand = self._settings, self._hand
        now = settings.clock()
        with self._turn:
            settlement = hand.settlement(released)
        until = now + 2 * settings.visibility
        command = Advance(
            consumer=hand.name,
            now=now,
            until=until,
            max_attempts=settings.retry.max_attempts,
            settlement=settlement,
            fresh=self._reading.fresh if claim else (),
            limit=self._prefetch if claim else 0,
            window=settings.window,
            dead=dead | self._dead,
            vanished=vanished,
        )
        too_late = 0

        def decide(state: GroupState) -> list[Event]:
            nonlocal too_late
            too_late = len(late(state, hand.name, settlement))
            events = advance(state, command)
            return events

        await self._ledger.change(calls, decide, now)
