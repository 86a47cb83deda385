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

import msgspec

from dashflow._util.drive import drive
from dashflow.errors import LogClosedError
from dashflow.log.base import EventLog
from dashflow.log.calls import Calls, directly, in_a_thread
from dashflow.log.groups.core.hand import Hand
from dashflow.log.groups.core.process import Advance, Settlement, advance, due, late
from dashflow.log.groups.core.state import Event, GroupState
from dashflow.log.groups.ledger import Ledger
from dashflow.log.groups.members import Membership
from dashflow.log.groups.message import Handler, Message
from dashflow.log.groups.reading import Reading
from dashflow.log.groups.settings import Settings

_FLUSH: Final = 20_000_000
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
        self,
        log: EventLog,
        group: str,
        settings: Settings,
        prefetch: int,
        begin: Callable[[Ledger, Calls], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._prefetch = prefetch
        self._begin = begin
        self._ledger = Ledger(log, group)
        self._members = Membership(log, group)
        self._reading = Reading(log, settings, prefetch)
        self._hand = Hand("")
        self._out: dict[int, Message] = {}
        self._turn = Lock()
        """Around the hand, which other threads settle messages in; never held while the log is asked."""
        self._stirred = Flag()
        self._closing = False
        self._active = False
        self._finished = False
        self._committed = 0
        self._looked = 0
        self.late = 0

    # -- for synchronous callers ----------------------------------------------------------------

    def take(self, within: float | None = None) -> Message | None:
        """The next message; None after ``within`` seconds without one, or when closed.

        Raises:
            LogError: The log cannot be read or written; nothing that was recorded is lost.
        """
        return drive(self._take(directly, within))

    def __iter__(self) -> Iterator[Message]:
        while (message := self.take()) is not None:
            yield message

    def work(self, handler: Handler, *, within: float | None = None) -> int:
        """Handle messages until closed, or until none has come for ``within`` seconds.

        A message is acknowledged when ``handler`` returns. When it raises an ``Exception``, the message
        failed: it comes again after a delay, as the group's retry policy says, or becomes a dead letter.

        Returns:
            How many messages were handled.
        """
        count = 0
        while (message := self.take(within)) is not None:
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

    async def atake(self, within: float | None = None) -> Message | None:
        """``take``, without blocking the event loop."""
        return await self._take(in_a_thread, within)

    async def __aiter__(self) -> AsyncIterator[Message]:
        while (message := await self.atake()) is not None:
            yield message

    async def awork(
        self, handler: Callable[[Message], Awaitable[object]], *, within: float | None = None
    ) -> int:
        """``work``, with an async handler."""
        count = 0
        while (message := await self.atake(within)) is not None:
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
        return self._told(position, done)

    def fail(self, position: int, attempt: int, reason: str, delay: float | None) -> bool:
        """See ``Message.nack``."""
        settings = self._settings
        wait = settings.delay(attempt) if delay is None else int(delay * _SECOND)
        with self._turn:
            done = self._hand.fail(position, settings.clock() + wait, reason)
        return self._told(position, done)

    def bury(self, position: int, reason: str) -> bool:
        """See ``Message.reject``."""
        with self._turn:
            done = self._hand.bury(position, reason)
        return self._told(position, done)

    def failed(self, message: Message, error: Exception) -> bool:
        """What the group's retry policy makes of a handler's error: try again, or a dead letter."""
        if self._settings.retry.retries(error):
            return message.nack(error)
        return message.reject(error)

    def _told(self, position: int, done: bool) -> bool:
        self._out.pop(position, None)
        self.late += not done
        self._stirred.set()
        return done

    def _left(self, error: BaseException | None) -> None:
        """What was handed out when its user's block was left by an error has failed."""
        if isinstance(error, Exception):
            for message in list(self._out.values()):
                self.failed(message, error)

    # -- the flows --------------------------------------------------------------------------------

    async def _take(self, calls: Calls, within: float | None) -> Message | None:
        self._active = True
        deadline = None if within is None else self._settings.clock() + int(within * _SECOND)
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
            self._finished = True
            return None
        finally:
            self._active = False
            if self._closing:
                await self._finish(calls)

    async def _handed(self, calls: Calls) -> Message | None:
        """The next message of those that are claimed already."""
        hand = self._hand
        if not hand.more:
            return None
        now = self._settings.clock()
        # Handing one out starts its handler's time, and those behind it wait for it.
        short = hand.until - now < self._settings.visibility
        if short or (hand.unsettled and now - self._committed >= _FLUSH):
            await self._advance(calls, claim=False, keep=tuple(hand.waiting) if short else ())
        with self._turn:
            entry = self._hand.next()
        if entry is None:
            return None
        message = Message(self._reading.records[entry.position], entry, self)
        self._out[entry.position] = message
        return message

    async def _more(self, calls: Calls) -> bool:
        """Settle and claim in one commit; whether there is something to hand out now."""
        if not self._members.name:
            await self._begin(self._ledger, calls)
            self._hand = Hand(await calls(self._members.join, self._settings.clock()))
        await self._ledger.catch_up(calls)
        if len(self._hand) < self._prefetch:
            await self._reading.fill(calls, self._ledger.state, 0)
        await self._advance(calls)
        if not self._hand.more:
            dead = await self._dead(calls)
            if dead:
                await self._advance(calls, dead=dead)
        return self._hand.free

    async def _advance(
        self,
        calls: Calls,
        *,
        claim: bool = True,
        keep: tuple[int, ...] = (),
        released: tuple[int, ...] = (),
        dead: frozenset[str] = frozenset(),
    ) -> None:
        """Settle what was done, take away what was lost, and claim, in one commit."""
        hand = self._hand
        vanished: list[int] = []
        while True:
            with self._turn:
                settlement = hand.settlement(released)
            command = self._command(settlement, claim, keep, dead, vanished)
            lost = await self._change(calls, command)
            if lost:
                await self._rejoin(calls)
            if not claim:
                return
            vanished = await self._reading.load(calls, hand.waiting)
            if not vanished:
                return

    def _command(
        self,
        settlement: Settlement,
        claim: bool,
        keep: tuple[int, ...],
        dead: frozenset[str],
        vanished: list[int],
    ) -> Advance:
        settings = self._settings
        now = settings.clock()
        return Advance(
            consumer=self._hand.name,
            now=now,
            until=now + 2 * settings.visibility,
            max_attempts=settings.retry.max_attempts,
            settlement=settlement,
            fresh=self._reading.fresh if claim else (),
            limit=self._prefetch if claim else 0,
            window=settings.window,
            dead=dead,
            keep=keep,
            vanished=tuple(vanished),
        )

    async def _change(self, calls: Calls, command: Advance) -> int:
        """Commit a command; how many messages turn out to be no longer this consumer's."""
        too_late = 0

        def decide(state: GroupState) -> list[Event]:
            nonlocal too_late
            too_late = len(late(state, command.consumer, command.settlement))
            return advance(state, command)

        await self._ledger.change(calls, decide, command.now)
        self._committed = command.now
        self.late += too_late
        with self._turn:
            lost = self._hand.settled(command.settlement, self._ledger.state, command.vanished)
            out = self._hand.out
        self._out = {position: self._out[position] for position in out if position in self._out}
        return lost + too_late

    async def _rejoin(self, calls: Calls) -> None:
        """Whoever was taken for dead, and has lost its place to another, goes on under a new name."""
        if self._members.name not in await calls(self._members.alive):
            name = await calls(self._members.join, self._settings.clock())
            with self._turn:
                self._hand = Hand(name)
            self._out = {}

    async def _dead(self, calls: Calls) -> frozenset[str]:
        """Other consumers that have messages and do not live; looked for once a second."""
        others = {entry.consumer for entry in self._ledger.state.entries.values()} - {"", self._hand.name}
        now = self._settings.clock()
        if not others or now - self._looked < _LIVENESS:
            return frozenset()
        self._looked = now
        return frozenset(others - await calls(self._members.alive))

    async def _wait(self, calls: Calls, now: int, deadline: int | None) -> None:
        """Wait until there may be something to do; a second at most, as people may requeue dead letters."""
        state, name = self._ledger.state, self._hand.name
        moments = [now + _LIVENESS, *(one for one in (deadline, due(state, name)) if one is not None)]
        seconds = max((min(moments) - now) / _SECOND, 0.001)
        if len(self._hand) or any(entry.consumer != name for entry in state.entries.values()):
            seconds = min(seconds, _BLOCKED)
        self._stirred.clear()
        if self._hand.unsettled or self._closing:
            return
        if self._reading.fresh:  # they cannot be claimed yet: only what happens to the group helps
            await calls(self._stirred.wait, seconds)
        else:
            await self._reading.fill(calls, state, seconds)

    async def _flush(self, calls: Calls) -> None:
        if self._members.name and not self._finished:
            await self._advance(calls, claim=False)

    async def _extend(self, calls: Calls, message: Message, seconds: float) -> bool:
        position = message.record.position
        if position not in self._out:
            return False
        command = self._command(self._hand.settlement(), False, (position,), frozenset(), [])
        until = command.now + int(seconds * _SECOND)
        await self._change(calls, msgspec.structs.replace(command, until=until))
        return position in self._out

    def _stop(self) -> None:
        self._closing = True
        self._reading.close()
        self._stirred.set()

    async def _finish(self, calls: Calls) -> None:
        """Leave the group; whoever is in the middle of ``take`` does it when that ends."""
        with self._turn:
            if self._finished or self._active:
                return
            self._finished = True
        if not self._members.name:
            return
        try:
            await self._advance(calls, claim=False, released=(*self._hand.waiting, *self._hand.out))
            await calls(self._members.leave)
        except LogClosedError:
            self._out = {}  # the log has given up for us what this consumer owned
