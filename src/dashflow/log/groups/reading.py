"""The records that a consumer works on: those its group has not seen yet, and those it holds.

Reads ahead by at most two batches. A wait that is cancelled loses nothing: what was read last is read
again. Decides nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from dashflow.log.base import EventLog, Record, Subscription
from dashflow.log.calls import Calls
from dashflow.log.groups import codec, members
from dashflow.log.groups.core.state import GroupState
from dashflow.log.groups.settings import Settings

_OWN: Final = frozenset({codec.CATEGORY, members.CATEGORY})
"""What groups write about themselves is no message for a group of everything."""

_PAGE: Final = 256


class Reading:
    """Records behind the group's cursor, and by position those that are claimed or held back.

    Attributes:
        records: By position; all that ``fresh`` names, and what was found of the group's entries.
    """

    def __init__(self, log: EventLog, settings: Settings, batch: int) -> None:
        self._log = log
        self._settings = settings
        self._ahead = 2 * batch
        self._fresh: deque[tuple[int, str]] = deque()
        self._subscription: Subscription | None = None
        self._from = 0
        """Behind this position, and up to ``_seen``, ``_fresh`` is without a gap."""
        self._seen = 0
        self._closed = False
        self.records: dict[int, Record] = {}

    @property
    def fresh(self) -> tuple[tuple[int, str], ...]:
        """What the group has not seen: (position, key), in order, without a gap behind the cursor."""
        return tuple(self._fresh)

    async def fill(self, calls: Calls, state: GroupState, within: float) -> None:
        """Read on; wait up to ``within`` seconds for something, unless something is there already."""
        self._follow(state)
        if len(self._fresh) * 2 > self._ahead:
            return
        subscription, self._subscription = self._subscription, None
        try:
            if subscription is None:
                subscription = self._subscribe()
            self._waiting = subscription
            found = await calls(subscription.poll, 0 if self._fresh else within, self._ahead)
        except BaseException:
            # Its cursor may be ahead of what arrived here.
            if subscription is not None:
                subscription.close()
            raise
        self._subscription = subscription
        for record in found:
            self._seen = record.position
            if record.category not in _OWN or record.category == self._settings.category:
                self._fresh.append((record.position, self._settings.key(record)))
                self.records[record.position] = record

    async def load(self, calls: Calls, positions: Iterable[int]) -> list[int]:
        """Find records that others had read for the group.

        Returns:
            The positions whose records the log does not have any more.
        """
        wanted = sorted(position for position in positions if position not in self.records)
        vanished: list[int] = []
        after = wanted[0] - 1 if wanted else 0
        while wanted:
            found = {record.position: record for record in await calls(self._page, after)}
            after = max(found, default=wanted[-1])
            for position in [one for one in wanted if one <= after]:
                if position in found:
                    self.records[position] = found[position]
                else:
                    vanished.append(position)
            wanted = [one for one in wanted if one > after]
        return vanished

    def close(self) -> None:
        """End a wait, now and later."""
        self._closed = True
        for subscription in (self._subscription, self._waiting):
            if subscription is not None:
                subscription.close()

    _waiting: Subscription | None = None

    def _follow(self, state: GroupState) -> None:
        """Go along with the group's cursor, and let go of records that nobody needs."""
        cursor = state.cursor
        if cursor < self._from or (cursor > self._seen and self._subscription is not None):
            # It was moved back, or others are far ahead.
            if self._subscription is not None:
                self._subscription.close()
                self._subscription = None
            if cursor < self._from:
                self._fresh.clear()
                self._seen = cursor
        self._from = cursor
        self._seen = max(self._seen, cursor)
        while self._fresh and self._fresh[0][0] <= cursor:
            self._fresh.popleft()
        if len(self.records) > 2 * (len(state.entries) + self._ahead):
            entries, seen = state.entries, cursor
            self.records = {
                position: record
                for position, record in self.records.items()
                if position > seen or position in entries
            }

    def _subscribe(self) -> Subscription:
        subscription = self._log.subscribe(after=self._seen, **self._settings.conditions)
        if self._closed:
            subscription.close()
        return subscription

    def _page(self, after: int) -> list[Record]:
        return self._log.read_all(after=after, limit=_PAGE, **self._settings.conditions)
