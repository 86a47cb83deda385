"""A group's stream as one reader keeps up with it: fold what came, decide, append, again on a conflict.

The only place that appends to a group's stream. Keeps the stream short: from time to time an append
begins with a summary and forgets what was before it. Not for several threads at once.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Final

from dashflow.errors import VersionConflictError
from dashflow.log.base import EVERYTHING, Append, EventLog, Record
from dashflow.log.calls import Calls
from dashflow.log.groups.codec import decode, encode, stream_of
from dashflow.log.groups.core.state import Event, GroupState, GroupSummarized, fold
from dashflow.log.ids import EventIds

_SUMMARY_BYTES: Final = 32_768
"""So many bytes of events are kept before a summary is worth its own bytes."""


class Ledger:
    """The state of one group, as far as this reader has read it, and the way to change it."""

    def __init__(self, log: EventLog, group: str) -> None:
        self.log = log
        self.stream = stream_of(group)
        self.state = GroupState()
        self.version = 0
        self._ids = EventIds(int.from_bytes(os.urandom(8), "big"), time.time_ns())
        self._bytes = 0
        self._summary = 0

    async def catch_up(self, calls: Calls) -> None:
        """Fold what others have appended."""
        for record in await calls(self._read):
            event = decode(record)
            self.state = fold(self.state, event)
            self.version = record.version
            self._count(event, len(record.data))

    async def change(
        self, calls: Calls, decide: Callable[[GroupState], Sequence[Event]], now: int
    ) -> Sequence[Event]:
        """Append what ``decide`` says to the present state; it is asked again when somebody was quicker.

        Returns:
            The events that were appended.
        """
        while True:
            if not self.version:
                await self.catch_up(calls)
            events = decide(self.state)
            if not events:
                return events
            try:
                await self._append(calls, events, now)
            except VersionConflictError:
                await self.catch_up(calls)
            else:
                return events

    async def _append(self, calls: Calls, events: Sequence[Event], now: int) -> None:
        new = [encode(event, self._ids.next(now)) for event in events]
        forget = 0
        if self._bytes > _SUMMARY_BYTES + 4 * self._summary:
            summary = GroupSummarized(now, self.state)
            new.insert(0, encode(summary, self._ids.next(now)))
            forget = EVERYTHING
        expected = self.version
        appended = await calls(self.log.append, Append(self.stream, new, expected, forget=forget))
        if forget:
            self._bytes, self._summary = 0, len(new[0].data)
        if not expected:
            return  # the first event's meaning may depend on where it stands: it is read back
        for event in events:
            self.state = fold(self.state, event)
        self._bytes += sum(len(event.data) for event in new)
        self.version = appended.version

    def _read(self) -> list[Record]:
        return self.log.read(self.stream, after=self.version)

    def _count(self, event: Event, size: int) -> None:
        if isinstance(event, GroupSummarized):
            self._bytes, self._summary = 0, size
        else:
            self._bytes += size
