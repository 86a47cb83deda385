"""A run's pen: turns what happened into appends, with ownership, order and the promised durability.

The only writer of ``run-`` streams. Knows nothing of nodes or channels' classes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from dashflow._util.reserved import TASKS
from dashflow._util.sentinel import MISSING
from dashflow.checkpoint.ahead import Ahead
from dashflow.checkpoint.events import to_new
from dashflow.checkpoint.lines import MARK
from dashflow.checkpoint.thread import ThreadReader, stream_of
from dashflow.core.delta import Shadow, diff, shade
from dashflow.core.events import (
    CancelRequested,
    Change,
    CheckpointsForgotten,
    Event,
    RunPaused,
    RunStarted,
)
from dashflow.core.plan import GraphPlan
from dashflow.core.superstep import Live
from dashflow.core.untracked import storable_packet
from dashflow.engine.halt import NEVER
from dashflow.engine.history import Worker, Writes
from dashflow.engine.ports import Host
from dashflow.errors import (
    FencedError,
    LogError,
    OwnershipConflictError,
    StorageUnavailableError,
    SupersededError,
)
from dashflow.log.base import Append, Appended, NewEvent, Ticket
from dashflow.log.codec import encode
from dashflow.log.ids import EventIds
from dashflow.log.owner import owner_of
from dashflow.types.commands import overwrite_of

_SUPERSEDES = frozenset({RunPaused.type, CheckpointsForgotten.type})
"""Events by which a newer input takes a run's place."""

CLEARING = "/cancelling"
"""Behind the name of a run's owner: who owns the stream of a run that is being cancelled."""

AHEAD = Ahead().steps
"""How many records may be on their way to the disk before a run waits, unless its saver says otherwise."""


class Changes:
    """Tells what became of the channels since the log was last told."""

    def __init__(self, plan: GraphPlan, values: Mapping[str, Any]) -> None:
        self._trusted = plan.trusted
        self._untracked = plan.untracked
        self._shadows = {
            chan: shade(value, None if chan in plan.trusted else encode) for chan, value in values.items()
        }

    def take(self, live: Live, bumped: set[str], writes: Sequence[tuple[str, Any]]) -> Change:
        """The change that ``writes`` made, of the channels in ``bumped``."""
        put: dict[str, Any] = {}
        ops: dict[str, list[Any]] = {}
        cleared: list[str] = []
        kept: list[str] = []
        shadows = self._shadows
        for chan in bumped if len(bumped) == 1 else sorted(bumped):
            value = live.channels[chan].snapshot()
            if value is MISSING:
                cleared.append(chan)
                shadows.pop(chan, None)
                continue
            if self._untracked and chan == TASKS:
                value = [storable_packet(packet, self._untracked) for packet in value]
            shadow = shadows.get(chan)
            kind = type(value)
            if (
                kind is not list
                and kind is not dict
                and kind is not set
                and kind is not str
                and kind is not bytes
            ):
                put[chan] = value  # nothing to compare: a plain or unknown value is told whole
                if shadow is not None:
                    shadows.pop(chan)
                continue
            written = _parts(chan, writes) if chan in self._trusted else None
            op, shadows[chan] = diff(shadow or Shadow(), value, encode, written)
            if op is None:
                put[chan] = value
            elif len(op) == 1:
                kept.append(chan)
            else:
                ops[chan] = op
        return Change(put, ops, cleared, kept)


def change_of_partials(
    channels: Iterable[str], values: Mapping[str, Any], messages: Sequence[Any]
) -> Change | None:
    """The change that puts messages at the end of channels.

    Args:
        channels: Their names.
        values: What they hold, as it is recorded.
        messages: What to put there, unless it is there already.
    """
    put: dict[str, Any] = {}
    ops: dict[str, list[Any]] = {}
    for chan in sorted(channels):
        old = values.get(chan) or []
        known = {message.id for message in old}
        new = [*old, *(message for message in messages if message.id not in known)]
        op, _ = diff(shade(old, encode), new, encode, None)
        if op is None:
            put[chan] = new
        elif len(op) > 1:
            ops[chan] = op
    return Change(put, ops) if put or ops else None


def _parts(chan: str, writes: Sequence[tuple[str, Any]]) -> frozenset[int]:
    """Ids of everything that was written to a channel, one level into containers."""
    ids: set[int] = set()
    for name, value in writes:
        if name == chan:
            new = overwrite_of(value)
            value = value if new is MISSING else new
            ids.add(id(value))
            if isinstance(value, list | tuple | set | frozenset):
                ids.update(map(id, value))
            elif isinstance(value, dict):
                ids.update(map(id, value.values()))
    return frozenset(ids)


class Journal:
    """Writes one run of one thread.

    Args:
        host: The world.
        reader: The log's threads.
        thread: Id of the thread.
        ns: Namespace in it.
        run: Id of the run.
        version: The stream's version that the run was decided on.
        durability: ``sync``, ``async`` or ``exit``.
        force: Whether the thread is taken from whoever runs it.
    """

    detailed = False

    def __init__(
        self,
        host: Host,
        reader: ThreadReader,
        *,
        thread: str,
        ns: str,
        run: str,
        version: int,
        durability: str,
        force: bool = False,
    ) -> None:
        self.host = host
        self.stream = stream = stream_of(thread, ns)
        self.log = reader.lines if MARK in stream else reader.log
        self.version = self._begun = version
        self.at = 0
        self._run = run
        self._sync = durability == "sync"
        self._gather = durability == "exit"
        self._ids = EventIds(host.entropy(), host.now())
        self._owner = f"{self.log.instance}/{run}/{host.entropy():016x}"  # callers may use a run's id twice
        self.reader = reader
        self._force = force
        self._inside = bool(ns)
        self._lost = False
        self._owns = False
        self._epoch = 0
        self._cause = b""
        self._here: Any = None
        self._awaited: Ticket | None = None
        most = reader.ahead
        # Where records are gathered, half of what may be ahead is gathered and half is on its way.
        self._ahead = Ahead(most.steps // 2, most.bytes // 2) if self._gather else most
        self._tickets: deque[tuple[Ticket, int, int]] = deque()  # with how many records, of how many bytes
        self._records = self._bytes = self._held_bytes = 0
        self._held: list[NewEvent] = []
        self._written = 0  # bytes of all its events
        self.open = False
        self.reused: set[str] = set()
        self.halt = NEVER
        self.begun_at = 0
        self._guarded = False

    @property
    def clearing(self) -> str:
        """Who owns the stream while the run's cancelled work stops; see ``dashflow.engine.cancel``."""
        return self._owner + CLEARING

    def _event(self, event: Event) -> NewEvent:
        self.at = self.host.now()
        new = to_new(event, self._ids.next(), self.at, self._run, self._cause, "")
        self.version += 1
        self._written += len(new.data)
        return new

    async def begin(self, event: RunStarted, live: Live, writes: Writes) -> None:
        """Claim the thread and record the run's first event; durable on return.

        Raises:
            OwnershipConflictError: Another run of this thread is going on.
            VersionConflictError: Somebody wrote since the run was decided on.
        """
        await give_back(self.host, self.reader, self.stream)
        version = self.version
        new = self._event(event)
        self._owns = True
        try:
            result = await self._claim(new, version)
        except LogError as error:
            self.version = version
            # A server that went away may have done it, and not been able to say so.
            self._lost = self._owns = isinstance(error, StorageUnavailableError)
            raise
        except BaseException:  # stopped while it waited: whether the claim was made is not known
            self._lost = True
            raise
        self._epoch = result.epoch
        self.begun_at = result.position
        self._cause = new.event_id
        self._here = self.reader.holders[self.stream] = self.host.here()
        self.open = True

    async def _claim(self, new: NewEvent, version: int) -> Appended:
        """Become the stream's owner with the first event.

        A graph inside follows the run around it, which was just confirmed to be this process's. So a process
        that has the inner stream still, and lost the outer one, has to let go.
        """
        claim = Append(self.stream, (new,), version, owner=self._owner, claim=True, force=self._force)
        try:
            return await self.host.append(self.log, claim)
        except OwnershipConflictError as error:
            if not self._inside or str(error.data["owner"]).partition("/")[0] == self.log.instance:
                raise
        return await self.host.append(self.log, msgspec.structs.replace(claim, force=True))

    async def record(
        self, event: Event, *, worker: Worker | None = None, error: BaseException | None = None
    ) -> None:
        """Record what happened; durable on return only under durability "sync".

        Raises:
            RunCancelledError: The run is being cancelled: what comes now comes too late.
        """
        if self.halt.asked:
            raise self.halt.error()
        version = self.version
        new = self._event(event)
        if self._gather:
            self._held.append(new)
            self._held_bytes += _size(new)
            if len(self._held) < self._ahead.steps and self._held_bytes <= self._ahead.bytes:
                return
            held, self._held, self._held_bytes = self._held, [], 0  # others may record while this waits
            await self._hand_over(version - len(held) + 1, held)
        elif self._sync:
            append = Append(self.stream, (new,), version, owner=self._owner, epoch=self._epoch)
            try:
                await self.host.append(self.log, append)
            except LogError as error:
                raise await self._lose(error) from None
        else:
            await self._hand_over(version, (new,))

    async def _hand_over(self, version: int, events: Sequence[NewEvent]) -> None:
        append = Append(self.stream, events, version, owner=self._owner, epoch=self._epoch)
        tickets = self._tickets
        try:
            ticket = await self.host.submit(self.log, append)
            if ticket.done and not tickets:
                ticket.wait()  # nothing to wait for, but it may have been refused
                return
            size = sum(map(_size, events))
            tickets.append((ticket, len(events), size))
            self._records += len(events)
            self._bytes += size
            most = self._ahead
            if self._records > most.steps or self._bytes > most.bytes or tickets[0][0].done:
                await self._settle(most.steps)
        except LogError as error:
            raise await self._lose(error) from None

    async def _lose(self, error: LogError) -> Exception:
        """A record was refused: nothing can be written behind it. Returns what to tell of it."""
        self.open = False
        self._lost = not isinstance(error, FencedError)  # then somebody else has the stream already
        self._let_go()
        return await self._explained(error)

    async def _explained(self, error: LogError) -> Exception:
        """The error; where a newer input took this run's place, or somebody cancelled it, one that says
        so."""
        if type(error) is not FencedError:
            return error
        after = max(self.version - 2 * AHEAD, 0)
        for record in await self.host.read(lambda: self.log.read(self.stream, after=after)):
            if record.epoch > self._epoch and record.type in _SUPERSEDES:
                return SupersededError(self.stream, self._epoch, record.epoch)
            if record.epoch > self._epoch and record.type == CancelRequested.type:
                self.halt.asked = True
                return self.halt.error()
        return error

    def _let_go(self) -> None:
        """This run is not what holds the thread here any more."""
        holders = self.reader.holders
        if holders.get(self.stream) is self._here:
            holders.pop(self.stream, None)

    async def _settle(self, keep: int) -> None:
        """Wait until at most ``keep`` records are on their way; look at those that arrived."""
        tickets, most = self._tickets, self._ahead.bytes
        while tickets and (self._records > keep or self._bytes > most or tickets[0][0].done):
            ticket, records, size = tickets.popleft()
            self._records -= records
            self._bytes -= size
            if ticket.done:
                ticket.wait()
            else:
                self._awaited = ticket
                await self.host.settle(ticket)

    async def settled(self) -> None:
        """Wait until everything recorded so far is durable (under durability "exit", only the end is)."""
        try:
            await self._settle(0)
            awaited = self._awaited
            if awaited is not None and not awaited.done:  # somebody else waits for it: so does this
                await self.host.settle(awaited)
        except LogError as error:
            raise await self._lose(error) from None

    async def confirm(self, host: Host) -> None:
        """See ``Pen.confirm``."""
        if not self.open:
            return
        log, stream = self.reader.log, self.stream
        if await host.read(lambda: owner_of(log, stream)) != self._owner:
            raise await self._lose(FencedError(stream, self._epoch, self._epoch + 1))

    def leave(self) -> None:
        """See ``Pen.leave``; what this run still writes is refused once somebody else has the stream."""
        if self._owns:
            self.reader.left[self.stream] = self._owner

    async def end(self, *events: Event) -> None:
        """Record the run's last events, wait for everything, give the thread back."""
        self._unguard()
        if self._lost:
            self.reader.left[self.stream] = self._owner
        if not self.open:
            return
        self.open = False
        self._let_go()
        try:
            await self._end(events)
        except FencedError as error:
            raise await self._explained(error) from None
        except BaseException:
            self.reader.left[self.stream] = self._owner
            raise
        self._owns = False
        if self.reader.left.get(self.stream) == self._owner:
            del self.reader.left[self.stream]
        await self._wrap_up()

    async def _wrap_up(self) -> None:
        """Let whoever opens the thread next find it open, if the run was long."""
        reader, stream, size = self.reader, self.stream, self._written
        events = self.version - self._begun
        if reader.is_costly(stream, events, size):
            await self.host.read(lambda: reader.open_again(stream))

    def guard(self, halt: Callable[[int], None]) -> None:
        """See ``Pen.guard``."""
        self.host.guard(self.reader.log, self.stream, self.begun_at, halt)
        self._guarded = True

    def _unguard(self) -> None:
        if self._guarded:
            self._guarded = False
            self.host.unguard(self.reader.log, self.stream)

    def abandon(self) -> Sequence[NewEvent]:
        """The run is cancelled: it is not this pen that writes its end. Returns what was held back for that
        end."""
        held, self._held = self._held, []
        self._unguard()
        self.open = self._owns = False
        self._let_go()
        self.reader.left.pop(self.stream, None)
        return held

    async def _end(self, events: Sequence[Event]) -> None:
        version = self.version - len(self._held)
        last = [*self._held, *map(self._event, events)]
        self._held = []
        append = Append(self.stream, last, version, owner=self._owner, epoch=self._epoch, release=True)
        if not self._tickets:
            await self.host.append(self.log, append)
            return
        # Handed over before anything is waited for, so that all of it can share one commit.
        self._tickets.append((await self.host.submit(self.log, append), 1, 0))
        self._records += 1
        await self._settle(0)


def _size(event: NewEvent) -> int:
    """Bytes of an event on its way."""
    return len(event.data) + (sum(map(len, event.blobs.values())) if event.blobs else 0)


async def give_back(host: Host, reader: ThreadReader, stream: str) -> None:
    """Do what a run could not when it ended: release its stream.

    Raises:
        OwnershipConflictError: Somebody else has the stream by now.
        StorageUnavailableError: The log still cannot be written.
    """
    owner = reader.left.get(stream)
    if owner is not None:
        await host.append(reader.log, Append(stream, owner=owner, claim=True, release=True))
        reader.left.pop(stream, None)
