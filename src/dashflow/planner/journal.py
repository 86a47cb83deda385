"""The journal of one run: its stream and the state folded from it, always together.

Writes only what ``process`` decided, at the version it was decided on; what is in memory is exactly what
a later reader of the log will fold. Speaks to the world through the host port only.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, MutableMapping, Sequence

from dashflow._util.ids import uuid7
from dashflow.engine.ports import Host
from dashflow.errors import UnknownRunError, VersionConflictError
from dashflow.log.base import Append, EventLog, NewEvent, Record
from dashflow.planner.core import codec
from dashflow.planner.core.commands import Command
from dashflow.planner.core.events import (
    ApprovalAwaited,
    ApprovalReceived,
    ClarificationReceived,
    ClarificationRequested,
    Event,
    ResultIgnored,
    TaskDispatched,
    TaskStatusUpdated,
)
from dashflow.planner.core.fold import fold, fold_all
from dashflow.planner.core.process import process
from dashflow.planner.core.state import PlannerState

_ANSWERS_A_TASK = (
    ApprovalReceived,
    ClarificationReceived,
    ClarificationRequested,
    ResultIgnored,
    TaskStatusUpdated,
)
_ABOUT_A_TASK = (*_ANSWERS_A_TASK, ApprovalAwaited, TaskDispatched)


class Journal:
    """A run's events and state as far as this process has read or written them.

    Args:
        owner: Who writes as the run's owner; empty for one that only adds an answer or the like.

    Attributes:
        state: Folded from every event read or written.
        owned: Whether this journal has claimed the run and not given it up.
        observer: Told every event that is read or written from now on.
        position: Of the last event that was read or appended; 0 before.
    """

    def __init__(self, host: Host, log: EventLog, run: str, owner: str = "") -> None:
        self.state = PlannerState()
        self.owned = False
        self.observer: Callable[[Event], None] | None = None
        self.position = 0
        self._host = host
        self._log = log
        self._run = run
        self._stream = codec.stream_of(run)
        self._owner = owner
        self._epoch = 0
        self._last = b""
        self._last_of: dict[str, bytes] = {}

    @property
    def behind(self) -> bool:
        """Whether somebody appended what is not folded yet. A read of the log, from any thread."""
        return self._log.version(self._stream) > self.state.cursor

    async def begin(self, command: Command) -> bool:
        """Append what ``command`` leads to as the very first events; False if the run exists already."""
        _, decided = decide(self.state, [command])
        sealed = self._sealed(decided)
        try:
            await self._host.append(self._log, self._append([new for new, _ in sealed], False, False))
        except VersionConflictError:
            return False
        for new, event in sealed:
            self._adopt(new, event)
        return True

    async def load(self) -> list[Event]:
        """Read and fold what is not folded yet.

        Raises:
            UnknownRunError: there is nothing at all.
            CorruptEventError, LogFormatError: something cannot be read.
        """
        after = self.state.cursor
        records = await self._host.read(lambda: self._log.read(self._stream, after=after))
        if not records and not after:
            raise UnknownRunError(self._run, self._log.where)
        self.position = records[-1].position if records else self.position
        return [self._adopt(record, codec.decode(record)) for record in records]

    async def commit(
        self,
        *commands: Command,
        claim: bool = False,
        release: Callable[[PlannerState], bool] | None = None,
    ) -> list[Event]:
        """Decide the commands one after the other and append all that they lead to, all or nothing.

        When somebody else appended meanwhile, their events are folded and everything is decided again.

        Args:
            claim: Become the run's owner in this append.
            release: Whether to give the run up in this append, asked with the state after it.

        Returns:
            The events appended, as stored (also in ``state`` now).

        Raises:
            UsageError: a command is not allowed.
            ValueCodecError: a command carries what cannot be stored.
            LogError: the log refused; nothing was written and ``state`` is as the log has it.
        """
        while True:
            state, decided = decide(self.state, commands)
            leave = self.owned and release is not None and release(state)
            if not (decided or claim or leave):
                return []
            sealed = self._sealed(decided)
            try:
                done = await self._host.append(
                    self._log, self._append([new for new, _ in sealed], claim, leave)
                )
            except VersionConflictError:
                await self.load()
                continue
            self.position = done.position
            if claim:
                self._epoch = done.epoch
            self.owned = (self.owned or claim) and not leave
            return [self._adopt(new, event) for new, event in sealed]

    async def give_up(self) -> None:
        """Stop being the owner, if it is, whatever the version; raises what the log raises."""
        if self.owned:
            append = Append(self._stream, owner=self._owner, epoch=self._epoch, release=True)
            await self._host.append(self._log, append)
            self.owned = False

    def _append(self, news: Sequence[NewEvent], claim: bool, release: bool) -> Append:
        return Append(
            self._stream,
            news,
            expected=self.state.cursor,
            owner=self._owner,
            epoch=self._epoch,
            claim=claim,
            release=release,
        )

    def _sealed(self, events: Sequence[Event]) -> list[tuple[NewEvent, Event]]:
        """The events in their envelopes, each naming the one that led to it."""
        last, last_of = self._last, ChainMap[str, bytes]({}, self._last_of)
        sealed: list[tuple[NewEvent, Event]] = []
        for event in events:
            cause = last_of.get(event.task, last) if isinstance(event, _ANSWERS_A_TASK) else last
            name = uuid7(event.at, self._host.entropy())
            last = _led_to(last, last_of, event, name)
            sealed.append(codec.checked(event, event_id=name, correlation_id=self._run, causation_id=cause))
        return sealed

    def _adopt(self, stored: NewEvent | Record, event: Event) -> Event:
        self.state = fold(self.state, event)
        self._last = _led_to(self._last, self._last_of, event, stored.event_id)
        if self.observer is not None:
            self.observer(event)
        return event


def _led_to(last: bytes, last_of: MutableMapping[str, bytes], event: Event, name: bytes) -> bytes:
    """The id that later events name as their cause, after ``event``, which is noted for its task: what
    starts at one moment has the same cause, and does not cause each other."""
    if isinstance(event, _ABOUT_A_TASK):
        last_of[event.task] = name
    return last if isinstance(event, ApprovalAwaited | TaskDispatched) else name


def decide(state: PlannerState, commands: Sequence[Command]) -> tuple[PlannerState, list[Event]]:
    """What the commands lead to, each decided on what the ones before it led to; changes nothing."""
    events: list[Event] = []
    for command in commands:
        new = process(state, command)
        state = fold_all(new, state)
        events += new
    return state, events
