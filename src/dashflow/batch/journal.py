"""The journal of one batch: its stream and the state folded from it, always together. The only writer.

Writes only what ``process`` decided, at the version it was decided on. One append is on its way at a time;
whatever comes meanwhile goes into the next, so cheap items share commits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from dashflow.batch.archive import Archive
from dashflow.batch.core import codec
from dashflow.batch.core.commands import Command
from dashflow.batch.core.events import BatchCompleted, Event
from dashflow.batch.core.fold import fold, fold_all
from dashflow.batch.core.process import process
from dashflow.batch.core.state import BatchState
from dashflow.engine.ports import Host
from dashflow.errors import LogError, UnknownBatchError, VersionConflictError
from dashflow.log.base import Append, EventLog, NewEvent, Ticket
from dashflow.log.ids import EventIds

Observer = Callable[[int, Event], None]
"""Told every event with its version once it is durable, when ``Journal.state`` has it."""


class OnItsWay(NamedTuple):
    """An append that was handed over, and what to decide again if somebody else was quicker."""

    ticket: Ticket
    commands: tuple[Command, ...]
    events: tuple[Event, ...]
    leaves: bool


class Journal:
    """A batch's events and state as far as this process has read or written them.

    Attributes:
        state: Folded from every event read or written.
        owned: Whether this journal has claimed the batch and not given it up.
        observer: See ``Observer``.
    """

    def __init__(self, host: Host, log: EventLog, name: str, archive: Archive) -> None:
        self.state = BatchState()
        self.owned = False
        self.observer: Observer | None = None
        self._host = host
        self._log = log
        self._name = name
        self._stream = codec.stream_of(name)
        self._archive = archive
        self._owner = ""
        self._epoch = 0
        self._ids = EventIds(host.entropy(), host.now())
        self._on_its_way: OnItsWay | None = None

    @property
    def ticket(self) -> Ticket | None:
        """The append that is on its way; None when none is."""
        return None if self._on_its_way is None else self._on_its_way.ticket

    async def begin(self, command: Command) -> bool:
        """Append what ``command`` leads to as the very first events, as owner; False if there are any."""
        try:
            await self._write((command,), claim=True)
        except VersionConflictError:
            return False
        return True

    async def load(self) -> None:
        """Read and fold what is not folded yet.

        Raises:
            UnknownBatchError: there is nothing at all.
            CorruptEventError, LogFormatError: something cannot be read.
        """
        async for version, event in self._archive.events(self.state.cursor):
            self._adopt(version, event)
        if not self.state.cursor:
            raise UnknownBatchError(self._name, self._log.where)

    async def behind(self) -> bool:
        """Whether somebody appended what is not folded yet."""
        return await self._host.read(lambda: self._log.version(self._stream)) > self.state.cursor

    async def commit(self, *commands: Command, claim: bool = False, release: bool = False) -> None:
        """Decide the commands one after the other and append all that they lead to, all or nothing.

        When somebody else appended meanwhile, their events are folded and everything is decided again.

        Args:
            claim: Become the batch's owner in this append.
            release: Give the batch up in this append.

        Raises:
            UsageError: a command is not allowed.
            LogError: the log refused; nothing was written.
        """
        while True:
            try:
                await self._write(commands, claim=claim, release=release)
                return
            except VersionConflictError:
                await self.load()

    async def hand_over(self, *commands: Command) -> Ticket | None:
        """As ``commit``, but returns while the append is on its way; ``settle`` ends it.

        The append that completes the batch also gives it up.

        Nothing else may be handed over or committed meanwhile. Returns None when there is nothing to append.
        """
        events = decide(self.state, commands)
        if not events:
            return None
        leaves = self.owned and isinstance(events[-1], BatchCompleted)
        append = self._append(events, claim=False, release=leaves)
        ticket = await self._host.submit(self._log, append)
        self._on_its_way = OnItsWay(ticket, commands, tuple(events), leaves)
        return ticket

    async def settle(self) -> None:
        """Wait for what was handed over; raises what ``commit`` raises."""
        sent = self._on_its_way
        if sent is None:
            return
        try:
            await self._host.settle(sent.ticket)
        except VersionConflictError:
            self._on_its_way = None
            await self.load()
            await self.commit(*sent.commands)
        except LogError:
            self._on_its_way = None
            raise
        else:
            self._on_its_way = None
            self.owned = self.owned and not sent.leaves
            self._adopt_all(sent.events)

    async def _write(
        self, commands: Sequence[Command], *, claim: bool = False, release: bool = False
    ) -> None:
        events = decide(self.state, commands)
        leave = release and self.owned
        if not (events or claim or leave):
            return
        if claim and not self._owner:
            self._owner = f"{self._log.instance}/{self._name}/{self._host.entropy():016x}"
        try:
            done = await self._host.append(self._log, self._append(events, claim=claim, release=leave))
        except LogError:
            raise
        except BaseException:  # stopped while it waited: whether the claim was made is not known
            if claim:
                back = Append(self._stream, owner=self._owner, claim=True, release=True)
                await self._host.append(self._log, back)
            raise
        if claim:
            self._epoch = done.epoch
        self.owned = (self.owned or claim) and not leave
        self._adopt_all(events)

    def _append(self, events: Sequence[Event], *, claim: bool, release: bool) -> Append:
        news = []
        cause = b""
        for event in events:
            cause = (new := self._sealed(event, cause)).event_id
            news.append(new)
        owner = self._owner if claim or self.owned else ""
        return Append(
            self._stream,
            news,
            expected=self.state.cursor,
            owner=owner,
            epoch=self._epoch,
            claim=claim,
            release=release,
        )

    def _sealed(self, event: Event, cause: bytes) -> NewEvent:
        name = self._ids.next(event.at)
        return codec.encode(event, event_id=name, correlation_id=self._name, causation_id=cause)

    def _adopt_all(self, events: Sequence[Event]) -> None:
        for event in events:
            self._adopt(self.state.cursor + 1, event)

    def _adopt(self, version: int, event: Event) -> None:
        self.state = fold(self.state, event)
        if self.observer is not None:
            self.observer(version, event)


def decide(state: BatchState, commands: Sequence[Command]) -> list[Event]:
    """What the commands lead to, each decided on what the ones before it led to; changes nothing."""
    events: list[Event] = []
    for command in commands:
        new = process(state, command)
        state = fold_all(new, state)
        events += new
    return events
