"""Waiting: an input that was accepted into a thread's inbox, until its turn comes. Awaits the host port only.

Durable before anything else. Those of one process stand in a line, of which the first watches the log; of all
processes, whoever comes first in the inbox and lives claims the thread, or takes it by force where the input
asks for that. An input runs once: its run's first event is appended at a version up to which there is none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, Protocol

from dashflow.checkpoint.events import to_new
from dashflow.checkpoint.inbox import WAITER, Busy, Inbox, dead, living, others, waiter_of
from dashflow.checkpoint.line import Line
from dashflow.checkpoint.thread import ThreadReader
from dashflow.checkpoint.view import places
from dashflow.core.events import CheckpointsForgotten, Event, RunPaused, RunStarted
from dashflow.core.fold import ThreadState
from dashflow.core.inbox import InboxEvent, InputQueued, InputTaken, ProcessReady
from dashflow.engine.ports import Host
from dashflow.errors import (
    FencedError,
    LogError,
    OwnershipConflictError,
    ValueCodecError,
    VersionConflictError,
)
from dashflow.log.base import EVERYTHING, Append, NewEvent
from dashflow.log.codec import encode
from dashflow.log.ids import EventIds
from dashflow.options import RunOptions

_LOOK_AGAIN: Final = 0.5
"""Seconds after which one looks for a process that died without a word."""


class Awaited(Protocol):
    """The turn that is waited for (``dashflow.engine.turn.Turn``)."""

    host: Host
    reader: ThreadReader
    graph: str
    options: RunOptions
    given: Any
    inbox: Inbox
    stream: str
    scanned: int
    ticket: str
    seizes: bool

    def ran_elsewhere(self) -> FencedError:
        """What to tell a caller whose input somebody else ran."""
        ...


class Waiting:
    """What a turn does where the thread is not free."""

    def __init__(self, turn: Awaited) -> None:
        self._turn = turn
        self._host = turn.host
        self._reader = turn.reader
        self._log = turn.reader.log
        self._order = (True, 0)
        self._seized: Append | None = None

    # -- in the inbox ---------------------------------------------------------------------------

    async def queue(self) -> None:
        """Be accepted: durable on return."""
        host, reader = self._host, self._reader
        await self._show_presence()
        self._turn.ticket = f"{host.now():x}-{host.entropy():016x}"
        self._turn.scanned = await host.read(lambda: reader.lines.version(self._turn.stream))
        try:
            append = Append(self._turn.inbox.stream, (self._event(self._queued()),))
            accepted = await host.append(self._log, append)
        except LogError:
            self._turn.ticket = ""
            raise
        self._order = (self._turn.options.strategy == "enqueue", accepted.version)

    def _queued(self) -> InputQueued:
        turn, options = self._turn, self._turn.options
        return InputQueued(
            turn.ticket,
            turn.given,
            turn.scanned,
            waiter_of(self._reader),
            strategy=options.strategy,
            graph=turn.graph,
            run=str(options.config.get("run_id") or ""),
            durability=options.durability,
            meta=options.metadata,
            options=dict(options.asked),
            checkpoint=options.checkpoint or "",
            context=_storable(options.context),
        )

    async def _show_presence(self) -> None:
        """Say that this process is there for what it queues; sweep up behind others that are not."""
        reader, host, log = self._reader, self._host, self._reader.log
        if reader.present:
            return
        stream = waiter_of(reader)
        owner = f"{log.instance}/{WAITER}"
        append = Append(stream, (self._event(ProcessReady()),), owner=owner, claim=True, forget=EVERYTHING)
        await host.append(log, append)
        reader.present = True
        for gone in await host.read(lambda: dead(reader, WAITER)):
            try:
                await host.append(log, Append(gone, owner=owner, claim=True, release=True, forget=EVERYTHING))
            except OwnershipConflictError:
                continue  # somebody else sweeps

    async def tell(self, event: InboxEvent) -> None:
        """Append to the inbox; what nobody needs any more is forgotten with the last that waited."""
        host, inbox = self._host, self._turn.inbox
        while True:
            left, version = await host.read(inbox.waiting)
            forget = EVERYTHING if [one.ticket for one in left] == [self._turn.ticket] else 0
            try:
                await host.append(
                    self._log, Append(inbox.stream, (self._event(event),), version, forget=forget)
                )
            except VersionConflictError:
                continue
            return

    def _event(self, event: Event | InboxEvent) -> NewEvent:
        now = self._host.now()
        return to_new(event, EventIds(self._host.entropy(), now).next(), now, self._turn.ticket, b"", "")

    # -- in the line ----------------------------------------------------------------------------

    async def wait(self, accept: Callable[[], Awaitable[None]]) -> None:
        """Wait for the turn, and take it."""
        host, reader, thread = self._host, self._reader, self._turn.options.thread
        line: Line = reader.queues.setdefault(thread, Line())
        place = line.enter(self._order)
        try:
            await host.wait(place.turn)
            while not await self._try(accept):
                pass
        finally:
            if line.leave(place):
                reader.queues.pop(thread, None)
        await self.tell(InputTaken(self._turn.ticket))

    async def _try(self, accept: Callable[[], Awaitable[None]]) -> bool:
        """Take the turn if it has come; else wait until something happened."""
        host, turn = self._host, self._turn
        position = await host.read(self._position)
        if await host.read(self._is_next):
            try:
                if turn.options.strategy != "enqueue":
                    await self._seize()
                await accept()
            except VersionConflictError:
                await self._give_up()
                return False  # somebody wrote to the thread meanwhile
            except (OwnershipConflictError, Busy):
                await self._give_up()
            except BaseException:
                await self._give_up()
                raise
            else:
                return True
        await host.read(lambda: turn.inbox.end_after(position, _LOOK_AGAIN))
        return False

    def _position(self) -> int:
        return self._turn.inbox.position(self._reader.lines.version(self._turn.stream))

    def _is_next(self) -> bool:
        """Whether nobody who lives comes first.

        Raises:
            FencedError: The input does not wait any more: somebody ran it.
        """
        left, _ = self._turn.inbox.waiting()
        before = others(left, self._turn.ticket)
        if before is None:
            raise self._turn.ran_elsewhere()
        return not before or living(self._reader, WAITER).isdisjoint(one.waiter for one in before)

    # -- taking the place of a run ----------------------------------------------------------------

    async def _seize(self) -> None:
        """Become the thread's owner whoever runs it, and record that its run is stopped, or undone."""
        host, reader, log, turn = self._host, self._reader, self._reader.lines, self._turn
        owner = f"{self._log.instance}/{turn.ticket}"
        claimed = await host.append(log, Append(turn.stream, owner=owner, claim=True, force=True))
        self._seized = Append(turn.stream, owner=owner, epoch=claimed.epoch, release=True)
        turn.seizes = True
        state = await host.read(lambda: reader.head(turn.options.thread))
        if state.status != "running":
            return
        event: Event = RunPaused(state.run, "superseded")
        if turn.options.strategy == "rollback":
            event = await host.read(lambda: self._undoing(state))
        append = Append(turn.stream, (self._event(event),), state.version, owner=owner, epoch=claimed.epoch)
        await host.append(log, append)

    async def _give_up(self) -> None:
        """Be the thread's owner no longer, if this became it."""
        seized, self._seized, self._turn.seizes = self._seized, None, False
        if seized is not None:
            with suppress(FencedError):  # somebody else took it
                await self._host.append(self._reader.lines, seized)

    def _undoing(self, state: ThreadState) -> Event:
        """What takes back all that the present run did."""
        reader, first, base = self._reader, 0, 0
        for record in reader.lines.read(self._turn.stream, upto=state.version):
            event = reader.event(record, self._turn.stream) if record.type == RunStarted.type else None
            if isinstance(event, RunStarted) and event.run == state.run and not event.attempt:
                first, base = record.version, event.base
        if not base:
            return CheckpointsForgotten(all=True, base=0)
        made = [
            name
            for name, there in places(reader, self._turn.stream).items()
            if there.checkpoint >= first and there.run == state.run
        ]
        return CheckpointsForgotten(made, base=base)


def _storable(context: Any) -> list[Any]:
    """[context] if it can be stored; else nothing, and whoever runs the input in the caller's place has
    one of its own."""
    if context is None:
        return []
    try:
        encode(context)
    except ValueCodecError:
        return []
    return [context]
