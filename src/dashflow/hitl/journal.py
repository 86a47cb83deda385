"""The journal of one approval: its stream and the state folded from it, always together. The only writer.

Writes only what ``process`` decided, at the version it was decided on: of several who say something at one
moment each is decided on what the one before led to. Speaks to the world through the host port only.
"""

from __future__ import annotations

from collections.abc import Sequence

from dashflow.engine.ports import Host
from dashflow.errors import UnknownApprovalError, VersionConflictError
from dashflow.hitl.core import codec
from dashflow.hitl.core.commands import Command
from dashflow.hitl.core.events import Event
from dashflow.hitl.core.fold import fold, fold_all
from dashflow.hitl.core.process import process
from dashflow.hitl.core.state import ApprovalState
from dashflow.log.base import Append, EventLog, NewEvent
from dashflow.log.ids import EventIds


class Journal:
    """An approval's events and state as far as this process has read or written them.

    Attributes:
        state: Folded from every event read or written.
        stream: The approval's.
    """

    def __init__(self, host: Host, log: EventLog, approval: str) -> None:
        self.state = ApprovalState()
        self._host = host
        self._log = log
        self._approval = approval
        self.stream = codec.stream_of(approval)
        self._ids = EventIds(host.entropy(), host.now())
        self._last = b""

    async def load(self, *, known: bool = True) -> None:
        """Read and fold what is not folded yet.

        Args:
            known: Whether there has to be something.

        Raises:
            UnknownApprovalError: There is nothing at all.
            CorruptEventError, LogFormatError: Something cannot be read.
        """
        after = self.state.cursor
        records = await self._host.read(lambda: self._log.read(self.stream, after=after))
        for record in records:
            self.state = fold(self.state, codec.decode(record))
            self._last = record.event_id
        if known and not self.state.cursor:
            raise UnknownApprovalError(self._approval, self._log.where)

    async def commit(self, *commands: Command) -> list[Event]:
        """Decide the commands one after the other and append all that they lead to, all or nothing.

        When somebody else appended meanwhile, their events are folded and everything is decided again.

        Returns:
            The events appended (also in ``state`` now).

        Raises:
            UsageError: A command is not allowed.
            LogError: The log refused; nothing was written.
        """
        while True:
            events = decide(self.state, commands)
            if not events:
                return []
            news = self._sealed(events)
            append = Append(self.stream, news, expected=self.state.cursor)
            try:
                await self._host.append(self._log, append)
            except VersionConflictError:
                await self.load()
                continue
            self.state = fold_all(events, self.state)
            self._last = news[-1].event_id
            return events

    def _sealed(self, events: Sequence[Event]) -> list[NewEvent]:
        """The events in their envelopes, each naming the one that led to it."""
        cause, news = self._last, []
        origin = fold_all(events, self.state).origin
        belongs = origin.name if origin.kind == "plan" else self._approval
        for event in events:
            new = codec.encode(
                event,
                event_id=self._ids.next(event.at),
                correlation_id=belongs,
                causation_id=cause,
            )
            news.append(new)
            cause = new.event_id
        return news


def decide(state: ApprovalState, commands: Sequence[Command]) -> list[Event]:
    """What the commands lead to, each decided on what the ones before it led to; changes nothing."""
    events: list[Event] = []
    for command in commands:
        new = process(state, command)
        state = fold_all(new, state)
        events += new
    return events
