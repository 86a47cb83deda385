"""A log in memory whose process can die at any commit, and loses then what it had only handed over."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from dashflow.hosts.simulated import PendingAppend, SimulatedCrash
from dashflow.log.base import Append, Appended
from dashflow.log.memory import MemoryLog, MemoryStore


class HandedOver(PendingAppend):
    """Becomes durable when somebody waits for it, or at the next append that does."""

    def on_done(self, callback: Callable[[], None]) -> None:
        """See ``Ticket.on_done``: whoever asks waits for it."""
        self._flush(self)
        callback()


class DyingLog(MemoryLog):
    """One process's log.

    Args:
        store: What outlives the process.
        dies: At which commit, from 1; 0: at none.
        how: ``before``: the commit does not happen. ``after``: it does. ``lost``: it does not, and neither do
            those that were handed over before and that nobody waited for.
        on_commit: Called with the number of each commit and its append, before it.

    Attributes:
        commits: How many there were.
        dead: Whether the process died.
    """

    def __init__(
        self,
        store: MemoryStore,
        dies: int = 0,
        how: str = "before",
        on_commit: Callable[[int, Append, int], None] | None = None,
    ) -> None:
        super().__init__(store)
        self._dies = dies
        self._how = how
        self._on_commit = on_commit
        self._waiting: deque[PendingAppend] = deque()
        self.commits = 0
        self.dead = False

    def check(self) -> None:
        """Raise ``SimulatedCrash`` once the process is dead."""
        if self.dead:
            raise SimulatedCrash

    def die(self) -> None:
        """The process is dead from now on."""
        if not self.dead:
            self.dead = True
            self._waiting.clear()
            self.abandon()

    def append(self, append: Append) -> Appended:
        """See ``EventLog.append``."""
        self._count(append)
        self.flush()
        result = self.commit(append)
        self._survive()
        return result

    def submit(self, append: Append) -> Any:
        """See ``EventLog.submit``."""
        self._count(append)
        ticket = HandedOver(self.commit, self.flush, append)
        self._waiting.append(ticket)
        self._survive()
        return ticket

    def commit(self, append: Append) -> Appended:
        """Append it now."""
        return super().append(append)

    def flush(self, upto: PendingAppend | None = None) -> None:
        """Make what was handed over durable: whoever waits for one waits for all."""
        while self._waiting:
            self._waiting.popleft().commit()

    def _count(self, append: Append) -> None:
        self.check()
        self.commits += 1
        if self._on_commit is not None:
            self._on_commit(self.commits, append, len(self._waiting))
        if self.commits == self._dies and self._how != "after":
            if self._how == "before":
                self.flush()
            self.die()
            raise SimulatedCrash

    def _survive(self) -> None:
        if self.commits == self._dies and self._how == "after":
            self.flush()
            self.die()
            raise SimulatedCrash

    def _check_open(self) -> None:
        self.check()
        super()._check_open()
