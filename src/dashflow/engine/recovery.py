"""Runs whose owner died: which there are, what is to become of each, and the record of that.

Runs nothing: whoever has the graph does. What is decided here is appended at the version it was decided
on, so of several who look at the same time one wins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Final, Literal

import msgspec

from dashflow.checkpoint.events import to_new
from dashflow.checkpoint.inbox import INBOX, WAITER, WORKER, Inbox, dead, living
from dashflow.checkpoint.thread import CATEGORY, ThreadReader, stream_of, thread_of
from dashflow.core.events import Event, RunDeadLettered, RunRequeued, StepCompleted, TaskCompleted
from dashflow.core.fold import ThreadState
from dashflow.core.inbox import InputQueued, ProcessReady
from dashflow.engine.ports import Host
from dashflow.errors import (
    CorruptLogError,
    LogError,
    OwnershipConflictError,
    RunStateError,
    ValueCodecError,
    VersionConflictError,
)
from dashflow.log.base import EVERYTHING, Append
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


class Stray(msgspec.Struct, frozen=True):
    """An input that was accepted and waits, and whose caller is dead."""

    thread: str
    queued: InputQueued


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

    Attributes:
        unreadable: Threads that were left alone since something in them cannot be read, and why.
    """

    def __init__(self, host: Host, reader: ThreadReader, *, max_attempts: int = MAX_ATTEMPTS) -> None:
        self._host = host
        self._reader = reader.lenient()
        self._max_attempts = max_attempts
        self._presence: Append | None = None
        self._seen = {CATEGORY: 0, INBOX: 0}
        self._requeued: set[str] = set()
        self._waited_for: set[str] = set()
        self.unreadable: dict[str, LogError] = {}

    # -- being there ----------------------------------------------------------------------------

    async def arrive(self, graphs: Sequence[str]) -> None:
        """Say that a worker is here for these graphs ("" for one without a name), and sweep up behind others
        that are gone."""
        host, log = self._host, self._reader.log
        stream = f"{WORKER}-{log.instance}-{host.entropy():016x}"
        owner = f"{log.instance}/{stream}"
        now = host.now()
        event = to_new(ProcessReady([*graphs]), EventIds(host.entropy(), now).next(), now, "", b"", "")
        claimed = await host.append(log, Append(stream, (event,), owner=owner, claim=True))
        self._presence = Append(stream, owner=owner, epoch=claimed.epoch, release=True, forget=EVERYTHING)
        for gone in await host.read(lambda: dead(self._reader, WORKER)):
            with suppress(OwnershipConflictError):  # somebody else sweeps
                await host.append(log, Append(gone, owner=owner, claim=True, release=True, forget=EVERYTHING))

    async def leave(self) -> None:
        """The worker is gone."""
        presence, self._presence = self._presence, None
        if presence is not None:
            await self._host.append(self._reader.log, presence)

    # -- looking --------------------------------------------------------------------------------

    async def look(self) -> tuple[list[Orphan], list[Stray]]:
        """Threads whose run lost its owner, the oldest first; and inputs whose caller died, one of each
        thread that is free for it. Runs that ended here since the log could not be written are put back
        first."""
        await self.put_back_left()
        return await self._host.read(self._look)

    def _look(self) -> tuple[list[Orphan], list[Stray]]:
        reader, log = self._reader, self._reader.log
        names = [info.stream for info in log.abandoned(category=CATEGORY)]
        orphans: list[Orphan] = []
        for thread, _ in map(thread_of, names):
            with self._reading(thread):
                orphans.append(Orphan(thread, reader.head(thread)))
        strays: list[Stray] = []
        self._requeued.update(self._new_streams(CATEGORY, RunRequeued.type))
        self._waited_for.update(
            stream.removeprefix(f"{INBOX}-") for stream in self._new_streams(INBOX, InputQueued.type)
        )
        if not (self._requeued or self._waited_for):
            return orphans, strays
        owned = {info.stream for info in log.streams(category=CATEGORY) if info.owner} | {*names}
        for stream in sorted(self._requeued - owned):
            thread, _ = thread_of(stream)
            with self._reading(thread):
                state = reader.head(thread)
                if state.status == "running":
                    orphans.append(Orphan(thread, state))
                else:
                    self._requeued.discard(stream)
        known = {orphan.thread for orphan in orphans}
        for thread in sorted(self._waited_for - known):
            if stream_of(thread) not in owned:
                with self._reading(thread):
                    self._look_into(thread, orphans, strays)
        return orphans, strays

    @contextmanager
    def _reading(self, thread: str) -> Iterator[None]:
        """One thread that cannot be read does not keep the others from being looked at."""
        try:
            yield
        except (CorruptLogError, ValueCodecError) as error:
            self.unreadable[thread] = error

    def _look_into(self, thread: str, orphans: list[Orphan], strays: list[Stray]) -> None:
        """What is to be done about the inbox of a thread that nobody owns."""
        left, _ = Inbox(self._reader, thread).waiting()
        state = self._reader.head(thread)
        if not left:
            self._waited_for.discard(thread)
        elif state.status == "running":  # its log was closed under it
            orphans.append(Orphan(thread, state))
        elif left[0].waiter not in living(self._reader, WAITER):
            strays.append(Stray(thread, left[0]))

    def _new_streams(self, category: str, kind: str) -> set[str]:
        """Streams that got an event of a type since the last look."""
        found: set[str] = set()
        while page := self._reader.log.read_all(
            after=self._seen[category], category=category, types=(kind,), limit=_PAGE
        ):
            found.update(record.stream for record in page)
            self._seen[category] = page[-1].position
        return found

    # -- deciding -------------------------------------------------------------------------------

    async def verdict(self, orphan: Orphan) -> Verdict:
        """What is to become of it; what graphs inside of its graph completed counts too."""
        found = verdict(orphan.state, self._max_attempts)
        if found == "bury" and await self._host.read(lambda: self._advanced(orphan)):
            return "continue"
        return found

    def _advanced(self, orphan: Orphan) -> bool:
        """Whether a graph inside completed anything since the run was last taken over."""
        reader, log = self._reader, self._reader.lines
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

    async def put_back_left(self) -> None:
        """Let anybody go on with the runs of this process that could not go on since the log could not be
        written; this process has these threads until then. An attempt that came to nothing counts.

        Raises:
            LogError: It still cannot be.
        """
        left = self._reader.left
        for stream, owner in [*left.items()]:
            if not stream.startswith(f"{CATEGORY}-"):
                continue  # part of another one
            thread, _ = thread_of(stream)
            with self._reading(thread):
                state = await self._host.read(partial(self._reader.head, thread))
                news = (RunRequeued(state.run, state.attempt),) if state.status == "running" else ()
                try:
                    with suppress(OwnershipConflictError):  # somebody else has it by now
                        await self._append(Orphan(thread, state), news, owner)
                except VersionConflictError:
                    continue  # somebody is doing something with it at this moment
                if left.get(stream) == owner:
                    del left[stream]

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
                with self._reading(thread):
                    state, event = reader.head(thread), reader.event(record, record.stream)
                    if not isinstance(event, RunDeadLettered) or (state.status, state.run) != (
                        "dead",
                        event.run,
                    ):
                        continue
                    found[thread] = DeadLetter(
                        thread, event.run, state.graph, event.attempts, event.reason, record.at
                    )
        return list(found.values())

    async def _append(self, orphan: Orphan, events: Sequence[Event], owner: str = "") -> None:
        host, log, state = self._host, self._reader.log, orphan.state
        now = host.now()
        ids = EventIds(host.entropy(), now)
        news = [to_new(event, ids.next(), now, state.run, b"", "") for event in events]
        owner = owner or f"{log.instance}/recovery"
        append = Append(stream_of(orphan.thread), news, state.version, owner=owner, claim=True, release=True)
        await host.append(self._reader.lines, append)


def _where(state: ThreadState) -> str:
    return f" after step {state.step}" if state.step >= 0 else ""
