"""Runs whose owner died: which there are, what is to become of each, and the record of that.

Runs nothing: whoever has the graph does. What is decided here is appended at the version it was decided
on, so of several who look at the same time one wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from dashflow.checkpoint.events import to_new
from dashflow.checkpoint.thread import CATEGORY, ThreadReader, stream_of, thread_of
from dashflow.core.events import Event, RunDeadLettered, RunRequeued, StepCompleted, TaskCompleted
from dashflow.core.fold import ThreadState
from dashflow.engine.ports import Host
from dashflow.errors import RunStateError
from dashflow.log.base import Append
from dashflow.log.ids import EventIds

MAX_ATTEMPTS: Final = 5
"""How often a run is tried, the first time included, before it is a dead letter."""

Verdict = Literal["continue", "bury", "release"]

_PAGE: Final = 500


class Orphan(msgspec.Struct, frozen=True):
    """A thread whose run nobody owns any more; ``state`` is where it stands."""

    thread: str
    state: ThreadState

    @property
    def attempt(self) -> int:
        """Number of the next takeover."""
        return self.state.attempt + 1


class DeadLetter(msgspec.Struct, frozen=True):
    """A run that is not tried any more.

    Attributes:
        thread: Its thread.
        run: Its id.
        graph: Name of its graph; "" when it was given none.
        attempts: How often it was tried.
        reason: Why it ended here.
        at: When, nanoseconds since the Unix epoch.
    """

    thread: str
    run: str
    graph: str
    attempts: int
    reason: str
    at: int


def verdict(state: ThreadState, max_attempts: int) -> Verdict:
    """What is to become of an orphan: a run is continued, or buried when it was tried too often; a thread
    whose run had ended is only given back."""
    if state.status != "running":
        return "release"
    return "continue" if state.attempt + 1 < max_attempts else "bury"


class Recovery:
    """The orphans of one log.

    Args:
        host: The world.
        reader: The log's threads.
        max_attempts: After so many attempts without anything completed, a run is a dead letter.
    """

    def __init__(self, host: Host, reader: ThreadReader, *, max_attempts: int = MAX_ATTEMPTS) -> None:
        self._host = host
        self._reader = reader
        self._max_attempts = max_attempts
        self._seen = 0
        self._requeued: set[str] = set()

    async def orphans(self) -> list[Orphan]:
        """Threads whose owner died, the oldest first, then those that somebody put back."""
        return await self._host.read(self._orphans)

    def _orphans(self) -> list[Orphan]:
        reader, log = self._reader, self._reader.log
        names = [info.stream for info in log.abandoned(category=CATEGORY)]
        found = [Orphan(thread, reader.head(thread)) for thread, _ in map(thread_of, names)]
        self._look_for_requeued()
        if self._requeued:
            owned = {info.stream: info.owner for info in log.streams(category=CATEGORY)}
            for stream in sorted(self._requeued):
                thread, _ = thread_of(stream)
                state = reader.head(thread)
                if state.status != "running":
                    self._requeued.discard(stream)
                elif not owned.get(stream) and stream not in names:
                    found.append(Orphan(thread, state))
        return found

    def _look_for_requeued(self) -> None:
        log = self._reader.log
        while page := log.read_all(
            after=self._seen, category=CATEGORY, types=(RunRequeued.type,), limit=_PAGE
        ):
            self._requeued.update(record.stream for record in page)
            self._seen = page[-1].position

    async def verdict(self, orphan: Orphan) -> Verdict:
        """What is to become of it; what graphs inside of its graph completed counts too."""
        found = verdict(orphan.state, self._max_attempts)
        if found == "bury" and await self._host.read(lambda: self._advanced(orphan)):
            return "continue"
        return found

    def _advanced(self, orphan: Orphan) -> bool:
        """Whether a graph inside completed anything since the run was last taken over."""
        reader, log = self._reader, self._reader.log
        stream = stream_of(orphan.thread)
        last = log.read(stream, after=orphan.state.version - 1, limit=1)
        return any(
            record.position > last[0].position and record.type in (StepCompleted.type, TaskCompleted.type)
            for ns in reader.namespaces(orphan.thread)
            if ns and last
            for record in log.read(stream_of(orphan.thread, ns))
        )

    async def release(self, orphan: Orphan) -> None:
        """Give back a thread whose run had ended.

        Raises:
            OwnershipConflictError, VersionConflictError: Somebody was faster.
        """
        await self._append(orphan, ())

    async def bury(self, orphan: Orphan) -> DeadLetter:
        """Record that the run is not tried again; it is given new attempts by ``requeue`` only.

        Raises:
            OwnershipConflictError, VersionConflictError: Somebody was faster.
        """
        state, attempts = orphan.state, orphan.state.attempt + 1
        reason = (
            f"The process that ran it died {attempts} times in a row, each time before another step or task "
            f"was completed{_where(state)}."
        )
        await self._append(orphan, (RunDeadLettered(state.run, attempts, reason),))
        return DeadLetter(orphan.thread, state.run, state.graph, attempts, reason, self._host.now())

    async def requeue(self, thread: str) -> None:
        """Give a dead letter as many attempts as a new run has.

        Raises:
            RunStateError: The thread's last run is no dead letter.
            OwnershipConflictError, VersionConflictError: Somebody did something with the thread meanwhile.
        """
        state = await self._host.read(lambda: self._reader.head(thread))
        if state.status != "dead":
            raise RunStateError(thread, state.status, "requeued; only dead letters are")
        await self._append(Orphan(thread, state), (RunRequeued(state.run),))

    async def put_back(self, thread: str) -> None:
        """Let somebody else go on with a run that was stopped here, between two steps.

        Raises:
            OwnershipConflictError, VersionConflictError: Somebody did something with the thread meanwhile.
        """
        state = await self._host.read(lambda: self._reader.head(thread))
        await self._append(Orphan(thread, state), (RunRequeued(state.run),))

    async def status(self, thread: str) -> str:
        """How a thread stands, see ``ThreadState.status``."""
        return (await self._host.read(lambda: self._reader.head(thread))).status

    async def dead_letters(self) -> list[DeadLetter]:
        """Runs that are not tried any more, the oldest first."""
        return await self._host.read(self._dead_letters)

    def _dead_letters(self) -> list[DeadLetter]:
        log, reader = self._reader.log, self._reader
        after, found = 0, dict[str, DeadLetter]()
        while page := log.read_all(
            after=after, category=CATEGORY, types=(RunDeadLettered.type,), limit=_PAGE
        ):
            after = page[-1].position
            for record in page:
                thread, _ = thread_of(record.stream)
                state = reader.head(thread)
                event = reader.event(record)
                if state.status == "dead" and isinstance(event, RunDeadLettered) and event.run == state.run:
                    found[thread] = DeadLetter(
                        thread, event.run, state.graph, event.attempts, event.reason, record.at
                    )
        return list(found.values())

    async def _append(self, orphan: Orphan, events: Sequence[Event]) -> None:
        host, log, state = self._host, self._reader.log, orphan.state
        now = host.now()
        ids = EventIds(host.entropy(), now)
        news = [to_new(event, ids.next(), now, state.run, b"", "") for event in events]
        owner = f"{log.instance}/recovery"
        append = Append(stream_of(orphan.thread), news, state.version, owner=owner, claim=True, release=True)
        await host.append(log, append)


def _where(state: ThreadState) -> str:
    return f" after step {state.step}" if state.step >= 0 else ""
