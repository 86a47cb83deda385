"""What one consumer has in its hand: which message its user gets next, and what is to be recorded. Pure.

Knows no record and no log, and is not for several threads at once; its owner sees to that.
"""

from __future__ import annotations

from collections.abc import Iterable

from dashflow.log.groups.core.events import Failed
from dashflow.log.groups.core.process import Settlement
from dashflow.log.groups.core.state import Entry, GroupState


class Hand:
    """The messages of one consumer between claim and settlement.

    A message is handed out when no earlier one of its key is. A key whose message failed gives out
    nothing until that is recorded: what comes later of it goes back together with the failed one.

    Attributes:
        name: The consumer's, as the group's state has it.
        until: When the first claim of those that were not handed out ends.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.until = 0
        self._waiting: dict[int, Entry] = {}
        self._out: dict[int, Entry] = {}
        self._busy: dict[str, int] = {}
        """By key: the position that is out, or has failed."""
        self._acknowledged: list[int] = []
        self._failed: list[Failed] = []
        self._buried: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._waiting) + len(self._out)

    @property
    def unsettled(self) -> bool:
        """Whether anything is to be recorded."""
        return bool(self._acknowledged or self._failed or self._buried)

    @property
    def more(self) -> bool:
        """Whether anything has not been handed out yet."""
        return bool(self._waiting)

    @property
    def waiting(self) -> list[int]:
        """All that has not been handed out yet."""
        return list(self._waiting)

    @property
    def free(self) -> bool:
        """Whether there is something to hand out now."""
        return any(entry.key not in self._busy for entry in self._waiting.values())

    @property
    def out(self) -> list[int]:
        """What was handed out and not settled."""
        return list(self._out)

    def next(self) -> Entry | None:
        """The next message for the user, handed out from now on; None when there is none."""
        for position, entry in self._waiting.items():
            if entry.key not in self._busy:
                del self._waiting[position]
                self._out[position] = entry
                self._busy[entry.key] = position
                return entry
        return None

    def acknowledge(self, position: int) -> bool:
        """It is done; False when it is not out (any more)."""
        entry = self._out.pop(position, None)
        if entry is None:
            return False
        del self._busy[entry.key]
        self._acknowledged.append(position)
        return True

    def fail(self, position: int, ready_at: int, reason: str) -> bool:
        """Its handling failed; False when it is not out (any more)."""
        if self._out.pop(position, None) is None:
            return False
        self._failed.append(Failed(position, ready_at, reason))
        return True

    def bury(self, position: int, reason: str) -> bool:
        """It becomes a dead letter; False when it is not out (any more)."""
        entry = self._out.pop(position, None)
        if entry is None:
            return False
        del self._busy[entry.key]
        self._buried[position] = reason
        return True

    def settlement(self, released: Iterable[int] = ()) -> Settlement:
        """What is to be recorded now."""
        return Settlement(tuple(self._acknowledged), tuple(self._failed), dict(self._buried), tuple(released))

    def settled(self, settlement: Settlement, state: GroupState, vanished: Iterable[int] = ()) -> int:
        """``settlement`` was recorded, and the group's state is now this; take over what is ours in it.

        ``vanished`` are messages that the group gave up because their records are gone.

        Returns:
            How many messages were taken away: no time left, or taken for dead.
        """
        # What was settled meanwhile, by other threads, stays for the next time.
        self._acknowledged = self._acknowledged[len(settlement.acknowledged) :]
        self._failed = self._failed[len(settlement.failed) :]
        for position in settlement.buried:
            self._buried.pop(position, None)
        pending = {*self._acknowledged, *(failed.position for failed in self._failed), *self._buried}
        theirs = {entry.position: entry for entry in state.claimed_by(self.name)}
        before = {**self._out, **self._waiting}
        self._out = {position: theirs[position] for position in self._out if position in theirs}
        self._waiting = {
            position: entry
            for position, entry in theirs.items()
            if position not in self._out and position not in pending
        }
        self.until = min((entry.until for entry in self._waiting.values()), default=0)
        self._busy = {entry.key: position for position, entry in self._out.items()}
        for failed in self._failed:
            if failed.position in theirs:
                self._busy[theirs[failed.position].key] = failed.position
        # Behind a failed message of the same key, others went back with it: nobody took those away.
        given_up = {*settlement.released, *vanished}
        keys = {state.entries[one.position].key for one in settlement.failed if one.position in state.entries}
        return sum(
            position not in theirs and position not in given_up and entry.key not in keys
            for position, entry in before.items()
        )
