"""Turn: a new input's way to its run on a thread whose run may be going on ("double texting").

Where the thread is free this costs one look at its inbox. Else the input is accepted into the inbox, durably,
and waits there; whoever's turn it is claims the thread. Awaits the host port only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from dashflow._util.scope import CURRENT
from dashflow.checkpoint.events import to_new
from dashflow.checkpoint.inbox import (
    WAITER,
    Inbox,
    Line,
    dead,
    has_worker,
    living,
    others,
    waiter_of,
)
from dashflow.checkpoint.thread import ThreadReader, stream_of
from dashflow.checkpoint.view import places
from dashflow.core.events import CheckpointsForgotten, Event, RunPaused, RunStarted
from dashflow.core.fold import ThreadState
from dashflow.core.inbox import InboxEvent, InputQueued, InputTaken, InputWithdrawn, ProcessReady
from dashflow.engine.ports import Host
from dashflow.errors import (
    FencedError,
    LogError,
    OwnershipConflictError,
    ValueCodecError,
    VersionConflictError,
)
from dashflow.log.base import EVERYTHING, Append
from dashflow.log.codec import encode
from dashflow.log.ids import EventIds
from dashflow.options import RunOptions

_LOOK_AGAIN: Final = 0.5
"""Seconds after which one looks for a process that died without a word."""


class Busy(Exception):
    """The thread is not free for this input: others wait, or a worker is about to finish a run."""


class Turn:
    """One input's.

    Args:
        host: The world.
        reader: The log's threads.
        graph: Name of the graph; "" when it was given none.
        options: How the caller wants it to run.
        given: The input.

    Attributes:
        ticket: Its id in the inbox; "" while it does not wait there.
        seizes: Whether the thread is taken from a run that is going on.
    """

    def __init__(self, host: Host, reader: ThreadReader, graph: str, options: RunOptions, given: Any) -> None:
        self._host = host
        self._reader = reader
        self._graph = graph
        self._options = options
        self._given = given
        self._inbox = Inbox(reader, options.thread)
        self._stream = stream_of(options.thread)
        self._scanned = 0
        self._owner = ""
        self.ticket = ""
        self.seizes = False

    def check(self, state: ThreadState, end: int) -> None:
        """Called in the read that finds where to go on.

        Args:
            state: The thread there.
            end: Its stream's version, at which the run will claim it.

        Raises:
            Busy: It is not this input's turn.
            FencedError: Somebody else has started its run.
        """
        if not self.ticket:
            if not self._inbox.empty:
                raise Busy
        else:
            if self._inbox.started(self.ticket, self._scanned, end):
                raise self._ran_elsewhere()
            self._scanned = end
        if state.status == "running" and not self.seizes and has_worker(self._reader, state.graph):
            raise Busy  # if its process is dead the worker finishes it first

    async def take(self, accept: Callable[[], Awaitable[None]]) -> None:
        """Have the input accepted as a run, at once or in its turn.

        Args:
            accept: Tries it: claims the thread and records the run's first event.

        Raises:
            OwnershipConflictError: The run that is going on waits for this one itself, so it would never end.
            FencedError: While this process was away somebody took it for dead and ran the input.
            Exception: What ``accept`` raises about the input.
        """
        try:
            await accept()
        except (OwnershipConflictError, VersionConflictError, Busy) as error:
            if self._waits_for_itself():
                raise OwnershipConflictError(self._stream, "the very code that calls") from error
        else:
            return
        await self._queue()
        try:
            await self._wait(accept)
        except LogError:
            raise  # it stays accepted: who can, runs it
        except BaseException as error:
            await self._tell(InputWithdrawn(self.ticket, type(error).__name__))
            raise

    def _waits_for_itself(self) -> bool:
        """Whether the run that holds the thread cannot end before this call returns."""
        if self._reader.holders.get(self._stream, _NOBODY) == self._host.here():
            return True
        scope: Any = CURRENT.get()
        while scope is not None:
            run = scope.run
            if run.options.thread == self._options.thread and run.lent is not None:
                return True
            scope = run.outer
        return False

    # -- in the inbox ---------------------------------------------------------------------------

    async def _queue(self) -> None:
        """Be accepted: durable on return."""
        host, reader, options = self._host, self._reader, self._options
        await self._show_presence()
        self.ticket = f"{host.now():x}-{host.entropy():016x}"
        self._scanned = await host.read(lambda: reader.log.version(self._stream))
        await self._tell(
            InputQueued(
                self.ticket,
                self._given,
                self._scanned,
                waiter_of(reader),
                strategy=options.strategy,
                graph=self._graph,
                run=str(options.config.get("run_id") or ""),
                durability=options.durability,
                meta=options.metadata,
                options=dict(options.asked),
                checkpoint=options.checkpoint or "",
                context=_storable(options.context),
            )
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

    async def _tell(self, event: InboxEvent) -> None:
        """Append to the inbox; what nobody needs any more is forgotten with the last that waited."""
        host, log = self._host, self._reader.log
        if isinstance(event, InputQueued):
            await host.append(log, Append(self._inbox.stream, (self._event(event),)))
            return
        while True:
            left, version = await host.read(self._inbox.waiting)
            alone = [one.ticket for one in left] == [self.ticket]
            append = Append(
                self._inbox.stream, (self._event(event),), version, forget=EVERYTHING if alone else 0
            )
            try:
                await host.append(log, append)
            except VersionConflictError:
                continue
            return

    def _event(self, event: Event | InboxEvent) -> Any:
        now = self._host.now()
        return to_new(event, EventIds(self._host.entropy(), now).next(), now, self.ticket, b"", "")

    # -- in the line ----------------------------------------------------------------------------

    async def _wait(self, accept: Callable[[], Awaitable[None]]) -> None:
        """Wait for the turn, and take it."""
        host, reader, thread = self._host, self._reader, self._options.thread
        line: Line = reader.lines.setdefault(thread, Line())
        left, _ = await host.read(self._inbox.waiting)
        before = others(left, self.ticket) or ()
        place = line.enter((self._options.strategy == "enqueue", len(before)))
        try:
            await host.wait(place.turn)
            while not await self._try(accept):
                pass
        finally:
            if line.leave(place):
                reader.lines.pop(thread, None)
        await self._tell(InputTaken(self.ticket))

    async def _try(self, accept: Callable[[], Awaitable[None]]) -> bool:
        """Take the turn if it has come; else wait until something happened."""
        host, inbox = self._host, self._inbox
        position = await host.read(self._position)
        if await host.read(self._is_next):
            try:
                if self._options.strategy != "enqueue" and not self.seizes:
                    await self._seize()
                await accept()
            except VersionConflictError:
                return False  # somebody edited the thread meanwhile
            except (OwnershipConflictError, Busy):
                self.seizes = False
            else:
                return True
        await host.read(lambda: inbox.end_after(position, _LOOK_AGAIN))
        return False

    def _position(self) -> int:
        return self._inbox.position(self._reader.log.version(self._stream))

    def _ran_elsewhere(self) -> FencedError:
        log = self._reader.log
        last = log.read(self._stream, after=log.version(self._stream) - 1, limit=1)
        return FencedError(self._stream, 0, last[0].epoch if last else 0)

    def _is_next(self) -> bool:
        """Whether nobody who lives comes first.

        Raises:
            FencedError: The input does not wait any more: somebody ran it.
        """
        left, _ = self._inbox.waiting()
        before = others(left, self.ticket)
        if before is None:
            raise self._ran_elsewhere()
        return not before or living(self._reader, WAITER).isdisjoint(one.waiter for one in before)

    # -- taking the place of a run ----------------------------------------------------------------

    async def _seize(self) -> None:
        """Become the thread's owner whoever runs it, and record that its run is stopped, or undone."""
        host, reader, log = self._host, self._reader, self._reader.log
        owner = f"{log.instance}/{self.ticket}"
        claim = Append(self._stream, owner=owner, claim=True, force=True)
        epoch = (await host.append(log, claim)).epoch
        self.seizes = True
        state = await host.read(lambda: reader.head(self._options.thread))
        if state.status != "running":
            return
        undone = self._options.strategy == "rollback"
        event = (
            await host.read(lambda: self._undoing(state)) if undone else RunPaused(state.run, "superseded")
        )
        await host.append(
            log, Append(self._stream, (self._event(event),), state.version, owner=owner, epoch=epoch)
        )

    def _undoing(self, state: ThreadState) -> Event:
        """What takes back all that the present run did."""
        reader, first = self._reader, 0
        for record in reader.log.read(self._stream, upto=state.version):
            event = reader.event(record) if record.type == RunStarted.type else None
            if isinstance(event, RunStarted) and event.run == state.run and not (first and event.attempt):
                first, base = record.version, event.base
        if not first or not base:
            return CheckpointsForgotten(all=True, base=0)
        made = [
            name
            for name, there in places(reader, self._stream).items()
            if there.checkpoint >= first and there.run == state.run
        ]
        return CheckpointsForgotten(made, base=base)


_NOBODY: Final = object()


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
