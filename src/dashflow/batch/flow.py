"""The flow that works on a batch: claim, accept, start, wait, record, again. Only the host port is awaited.

Imports no clock, thread or event loop. An item starts only after its acceptance is durable, and is handed out
as done only after its result is. Records of many items share one append; one append is on its way at a time.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing, suppress
from functools import partial
from typing import Any, Final, Literal

import msgspec
from msgspec.structs import replace

from dashflow.batch.archive import Archive, ItemFailure
from dashflow.batch.attempts import Again, Attempts
from dashflow.batch.core import codec
from dashflow.batch.core.commands import Accept, EndInput, Resume, Settle, Start, Suspend
from dashflow.batch.core.events import (
    Event,
    ItemsAdded,
    ItemsCompleted,
    ItemsFailed,
    ItemsRequeued,
    ItemsStarted,
)
from dashflow.batch.core.rate import TokenBucket
from dashflow.batch.core.settings import BatchSettings
from dashflow.batch.core.state import BatchState, BatchStatus
from dashflow.batch.journal import Journal
from dashflow.batch.outbox import Outbox
from dashflow.batch.parts import Part, Progress, progress_of
from dashflow.batch.queue import ItemQueue
from dashflow.batch.source import Chunk, Source
from dashflow.batch.tally import Tally
from dashflow.batch.work import Item, StopReason, Work
from dashflow.engine.ports import Crew, Done, Host, Overdue, Posted
from dashflow.errors import BatchInputError, BatchStateError, LogError, ValueCodecError
from dashflow.log.base import EventLog
from dashflow.types import RetryPolicy

LOOK: Final = 1.0
"""Seconds after which a flow that waits looks whether somebody paused or cancelled its batch."""

_READ: Final = "read"
"""Key of the piece of work that reads items."""

_CROWD: Final = 1 << 20
"""The crew's limit. What bounds it are the attempts that are waited for: a refused one holds no place."""


Shows = Literal["items", "progress", "end"]


class Orders(msgspec.Struct, kw_only=True):
    """What a flow is told by its caller.

    Attributes:
        start: Names the batch if it is not there yet; None: it has to be there.
        settings: How to work on it from now on; None: as recorded, but for ``changes``.
        changes: Fields of the recorded settings that are to be others.
        source: Where items come from; None: there are no more than are accepted.
        retry: When and what to try again; None: what may pass by itself, as often as the settings say.
        shows: What the caller wants to see: every part, ``Progress`` as it changes, or only how it ends.
    """

    start: Start | None = None
    settings: BatchSettings | None = None
    changes: Mapping[str, Any] = {}
    source: Source | None = None
    retry: RetryPolicy | None = None
    shows: Shows = "items"


class _Look(msgspec.Struct, frozen=True):
    """Posted to make the flow look at what it is told, and at what was committed."""


class BatchFlow:
    """One owner's work on one batch."""

    def __init__(
        self, host: Host, log: EventLog, name: str, work: Work, orders: Orders, tally: Tally, archive: Archive
    ) -> None:
        self._host = host
        self._name = name
        self._work = work
        self._orders = orders
        self._tally = tally
        self._archive = archive
        self._journal = Journal(host, log, name, archive)
        self._journal.observer = self._observe
        self._queue = ItemQueue()
        self._outbox = Outbox()
        self._news: list[tuple[int, ItemsCompleted | ItemsFailed]] = []
        self._changed = False
        self._requeued = False
        self._live = False
        self._known = 0
        self._reading = False
        self._exhausted = orders.source is None
        self._fault: Exception | None = None
        self._leaving = False
        self._asked_to_stop = False
        self._quitting = False
        self._looked = 0.0
        self._crew: Crew | None = None
        self._bucket = TokenBucket(None)
        self._attempts: Attempts
        self._ask: Callable[[StopReason], None] | None = None

    @property
    def state(self) -> BatchState:
        """The batch as far as this flow knows it."""
        return self._journal.state

    def leave(self) -> None:
        """Ask the flow to start no further item, and to leave when those that run have ended. Any thread."""
        self._leaving = True
        if self._ask is not None:
            self._ask("leave")
        self._wake()

    def look(self) -> None:
        """Let the flow look at the log at once: somebody in this process wrote to the batch. Any thread."""
        self._looked = float("-inf")
        self._wake()

    def _wake(self) -> None:
        if self._crew is not None:
            self._crew.post(_Look())

    async def run(self) -> AsyncGenerator[Part, None]:
        """Work on the batch until nothing is left to do, yielding what becomes durable.

        Raises:
            OwnershipConflictError: somebody alive works on it.
            BatchStateError: it was cancelled.
            BatchInputError: its items are other ones than before, or could not be read to their end.
            BatchAggregateError: a function of an aggregate raised.
            LogError: the log failed, or another owner has the batch; what was recorded stays.
        """
        await self._claim()
        if self._journal.owned:
            async with aclosing(self._work_on()) as parts:
                async for part in parts:
                    yield part
        else:
            await self._tally.advance(self.state)
        if (fault := self._fault or self._tally.fault) is not None:
            raise fault
        yield self._progress()

    async def _work_on(self) -> AsyncGenerator[Part, None]:
        crew = self._crew = self._host.crew(_CROWD, attentive=True)
        settings = self.state.settings
        self._bucket = TokenBucket(settings.rate)
        self._attempts = Attempts(
            self._host, crew, self._work, settings, self._orders.retry, careful=self.state.interrupted
        )
        self._ask = self._attempts.ask
        self._looked = self._host.elapsed()
        try:
            await self._enqueue()
            while not self._over:
                await self._step(crew)
                for part in await self._told():
                    yield part
        except BaseException:
            with suppress(LogError):  # the error that made us leave says more
                await self._quit(crew)
            raise
        await self._quit(crew)
        for part in await self._told():
            yield part

    # -- beginning and ending -------------------------------------------------------------------

    async def _claim(self) -> None:
        """Become the owner, unless the batch has come to its end."""
        orders, journal = self._orders, self._journal
        if not (orders.start is not None and await journal.begin(orders.start)):
            await journal.load()
            if self.state.status is BatchStatus.CANCELLED:
                raise BatchStateError(self._name, "cancelled", "give the new batch a name of its own.")
            if orders.source is not None:
                skip = partial(orders.source.skip, self.state)
                await self._host.call(skip, blocking=not orders.source.awaitable)
            elif not self.state.ended:
                problem = f"{self.state.count} are accepted, and they were not read to their end"
                raise BatchInputError(self._name, problem)
            if not self.state.over:
                now = self._host.now()
                settings = orders.settings or replace(self.state.settings, **orders.changes)
                await journal.commit(Resume(now=now, settings=settings), Settle(now=now), claim=True)
        self._known = self.state.count
        self._exhausted = self._exhausted or self.state.ended
        self._news.clear()
        self._changed = False
        self._live = True

    async def _quit(self, crew: Crew) -> None:
        """Let what runs come to its end or be cut off, record it, and give the batch up."""
        self._quitting = True
        self._attempts.stop("leave", quitting=True)
        if not (self._host.asynchronous and self._work.awaitable):
            await self._drain(crew)
        if self._host.asynchronous:
            for happened in await crew.close():
                self._take(happened)
        self._crew = None
        if not self._journal.owned:
            return
        await self._journal.settle()
        while not self._outbox.empty:
            now = self._host.now()
            await self._journal.commit(*self._outbox.take(now), Settle(now=now))
        await self._journal.commit(Suspend(now=self._host.now()), release=True)
        await self._tally.advance(self.state)

    async def _drain(self, crew: Crew) -> None:
        """Wait for attempts that cannot be cut off, but not for those whose time is over."""
        while True:
            _, due = self._attempts.expire(self._host.elapsed(), self._outbox)
            if not self._attempts.running:
                return
            with suppress(Overdue):
                self._take(await crew.next(due))

    async def _enqueue(self) -> None:
        """Queue what is accepted, not finished, and not in our hands."""
        async for item, priority in self._archive.pending(self.state):
            if item not in self._queue and item not in self._attempts:
                self._queue.put(item, priority)

    # -- one turn -------------------------------------------------------------------------------

    @property
    def _going(self) -> bool:
        """Whether further items may be accepted and begun."""
        return self.state.status is BatchStatus.RUNNING and not self._leaving

    @property
    def _stopping(self) -> bool:
        """Whether the batch may have to stop once all that happened is recorded."""
        if self._outbox.empty and self._journal.ticket is None:
            return False
        return bool(self.state.settings.too_many(self._attempts.failed, self._attempts.finished))

    @property
    def _over(self) -> bool:
        """Whether this flow has nothing left to do."""
        if self.state.over:
            return True
        idle = not self._attempts.running and self._outbox.empty and self._journal.ticket is None
        return idle and not self._going

    async def _step(self, crew: Crew) -> None:
        """Start what may start, hand over what is to be recorded, wait for something to happen."""
        if not self._going and not self._asked_to_stop and self.state.status is not BatchStatus.STOPPED:
            self._asked_to_stop = True
            self._attempts.stop("leave")
        self._read_on(crew)
        due = await self._start_items()
        await self._hand_over(crew)
        if not (self._changed or self._over):
            await self._wait(crew, due)

    def _read_on(self, crew: Crew) -> None:
        source = self._orders.source
        if source is None or self._reading or self._exhausted or not self._going:
            return
        if len(self._queue) + self._outbox.accepting < self.state.settings.ahead:
            self._reading = True
            crew.start(_READ, partial(source.read, self._host.elapsed), blocking=not source.awaitable)

    async def _start_items(self) -> float | None:
        """Begin attempts as far as limits allow; seconds until time alone allows or ends another."""
        now = self._host.elapsed()
        again, expires = self._attempts.expire(now, self._outbox)
        self._try_again(again)
        due = self._queue.wake(now)
        limited = None
        while (
            self._going
            and self._queue.ready
            and self._attempts.running < self.state.settings.concurrency
            and not self._outbox.full
            and not self._stopping
        ):
            if wait := self._bucket.wait(now):
                limited = wait
                break
            self._bucket.take(now)
            await self._start(self._queue.pop())
            now = self._host.elapsed()
        return min((one for one in (expires, due, limited) if one is not None), default=None)

    async def _start(self, index: int) -> None:
        state = self.state
        number = self._attempts.number(index, state.attempts.get(index, 0))
        fresh = index >= self._known and number == 1
        self._outbox.begin(index)
        try:
            key, value = await self._archive.input(state, index)
        except ValueCodecError as error:
            key = await self._archive.key(state, index)
            self._attempts.refuse(Item(self._name, index, key, None, number, fresh), error, self._outbox)
        else:
            self._attempts.begin(Item(self._name, index, key, value, number, fresh))

    def _try_again(self, again: list[Again]) -> None:
        for item, after in again:
            self._queue.put_later(item, self._host.elapsed() + after)

    async def _hand_over(self, crew: Crew) -> None:
        if self._journal.ticket is not None or self._outbox.empty:
            return
        now = self._host.now()
        ticket = await self._journal.hand_over(*self._outbox.take(now), Settle(now=now))
        if ticket is None or ticket.done:
            await self._settled()
        else:
            ticket.on_done(lambda: crew.post(_Look()))

    async def _settled(self) -> None:
        await self._journal.settle()
        await self._tally.advance(self.state)
        self._changed = True
        self._leaving = self._leaving or self._tally.fault is not None
        if self._requeued:
            self._requeued = False
            self._known = self.state.count
            await self._enqueue()

    async def _wait(self, crew: Crew, due: float | None) -> None:
        ticket = self._journal.ticket
        if ticket is not None and (ticket.done or not crew.pending):
            await self._settled()
            return
        within = LOOK if due is None else max(0.0, min(due, LOOK))
        if crew.pending:
            with suppress(Overdue):
                self._take(await crew.next(within))
        else:
            await self._host.sleep(within)
        now = self._host.elapsed()
        if now - self._looked >= LOOK and self._journal.ticket is None:
            self._looked = now
            if await self._journal.behind():
                await self._journal.load()
                await self._settled()

    def _take(self, happened: Done | Posted) -> None:
        if isinstance(happened, Posted):
            return
        if happened.key != _READ:
            self._try_again(self._attempts.end(happened, self._outbox))
            return
        self._reading = False
        if happened.error is None:
            self._accept(happened.value)
        elif not self._quitting:
            raise happened.error

    def _accept(self, chunk: Chunk) -> None:
        now = self._host.now()
        if chunk.inputs:
            self._outbox.accept(
                Accept(
                    now=now,
                    first=chunk.first,
                    count=len(chunk.inputs),
                    inputs=codec.pack(chunk.inputs),
                    digest=chunk.digest,
                    keys=chunk.keys,
                    priorities=chunk.priorities,
                )
            )
        self._exhausted = chunk.ended or chunk.error is not None
        if chunk.ended:
            self._outbox.end_input(EndInput(now=now))
        elif chunk.error is not None:
            self._fault = chunk.error
            self._leaving = True

    # -- what became durable --------------------------------------------------------------------

    def _observe(self, version: int, event: Event) -> None:
        self._tally.see(version, event)
        if not self._live:
            return
        if isinstance(event, ItemsAdded):
            self._archive.keep(version, event)
            for place in range(event.count):
                self._queue.put(event.first + place, event.priorities[place] if event.priorities else 0.0)
        elif isinstance(event, ItemsStarted):
            self._attempts.recorded(event.items)
        elif isinstance(event, ItemsCompleted):
            self._attempts.forget(event.items)
            self._queue.finished(event.items)
            self._note(version, event)
        elif isinstance(event, ItemsFailed):
            items = [failure.item for failure in event.failures]
            self._attempts.forget(items)
            self._queue.finished(items)
            self._note(version, event)
        elif isinstance(event, ItemsRequeued):
            self._requeued = True

    def _note(self, version: int, event: ItemsCompleted | ItemsFailed) -> None:
        shows = self._orders.shows
        if shows == "items":
            self._news.append((version, event))
            if isinstance(event, ItemsCompleted):
                self._archive.keep(version, event)

    async def _told(self) -> list[Part]:
        """What the caller has not been told."""
        moved, self._changed = self._changed, False
        if self._orders.shows == "progress":
            return [self._progress()] if moved else []
        news, self._news = self._news, []
        parts: list[Part] = []
        for version, event in news:
            if isinstance(event, ItemsCompleted):
                for item in event.items:
                    parts.append(await self._archive.result(self.state, item, version))  # noqa: PERF401
            else:
                for one in event.failures:
                    key = await self._archive.key(self.state, one.item)
                    parts.append(ItemFailure(one.item, key, one.kind, one.message, one.attempts))
        if news:
            parts.append(self._progress())
        return parts

    def _progress(self) -> Progress:
        return progress_of(self.state, self._tally.values, owner=None)
