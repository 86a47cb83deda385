"""A consumer group: competing consumers of one log's events, and what to do with its dead letters."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from threading import Lock

import msgspec

from dashflow._util.drive import drive
from dashflow.errors import UsageError
from dashflow.log.base import EventLog
from dashflow.log.calls import Calls, directly
from dashflow.log.groups.consumer import Consumer
from dashflow.log.groups.core.events import (
    FROM_NOW,
    GroupCreated,
    GroupMoved,
    LettersDropped,
    LettersRequeued,
)
from dashflow.log.groups.core.process import drop, requeue
from dashflow.log.groups.core.state import DeadLetter, Event, GroupState
from dashflow.log.groups.ledger import Ledger
from dashflow.log.groups.settings import RETRY, Key, Settings, by_stream, position_of
from dashflow.types.policies import RetryPolicy

Letters = LettersRequeued | LettersDropped


class GroupStatus(msgspec.Struct, frozen=True):
    """Where a group stands.

    Attributes:
        cursor: Up to this position of the log it has looked.
        waiting: Messages that it has seen and nobody has: to be tried again, or behind others of their key.
        claimed: Messages that consumers have.
        dead: Dead letters.
        acknowledged: How many messages were acknowledged since the group began.
        dropped: How many were given up.
        consumers: Who has messages, and how many.
    """

    cursor: int
    waiting: int
    claimed: int
    dead: int
    acknowledged: int
    dropped: int
    consumers: dict[str, int]


class ConsumerGroup:
    """Consumers, in any number of threads and processes, that share the events of a log among them.

    Every matching event is handled by one of them, at least once: again when its consumer dies, runs out
    of time or fails. Events of one key are handled one after another, in order. All processes that use
    the group name the same filter; what the group has done is in the log, in the stream ``group-NAME``.

    Args:
        log: Where the events are.
        name: The group's.
        category, types, correlation: Which events, as in ``EventLog.subscribe``; without a category, all
            but those of groups themselves.
        key: What order is kept by; the stream without it. All consumers must use the same.
        start: ``beginning``, ``now``, or the position behind which the group starts. Counts once, when
            the group is used for the first time.
        retry: What becomes of messages whose handler raised, and after how many attempts they are dead
            letters. Errors that it does not retry make a dead letter at once.
        visibility: Seconds that a handler has for a message, at least; up to twice that may pass before
            another consumer gets it. A consumer that died is noticed sooner.
        window: How many messages may be seen and not settled before the group looks no further: bounds
            what failing messages and slow keys hold back.
        clock: Nanoseconds since the Unix epoch. Consumers on several machines need clocks that agree to
            a small part of ``visibility``.
    """

    def __init__(
        self,
        log: EventLog,
        name: str,
        *,
        category: str | None = None,
        types: Sequence[str] = (),
        correlation: str = "",
        key: Key = by_stream,
        start: str | int = "beginning",
        retry: RetryPolicy = RETRY,
        visibility: float = 60.0,
        window: int = 4096,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        if not name:
            raise UsageError("A consumer group needs a name, for example 'billing'.")
        if isinstance(types, str):
            raise UsageError(f"types are several; write types=({types!r},).")
        if not visibility > 0:
            raise UsageError(f"A handler needs more than {visibility} seconds; see visibility.")
        self.log = log
        self.name = name
        self._settings = Settings(
            category=category,
            types=tuple(types),
            correlation=correlation,
            key=key,
            start=position_of(start),
            retry=retry,
            visibility=int(visibility * 1e9),
            window=window,
            clock=clock,
        )
        self._turn = Lock()
        self._ledger = Ledger(log, name)

    def consumer(self, *, prefetch: int = 100) -> Consumer:
        """A new consumer; it joins the group with its first ``take``.

        Args:
            prefetch: How many messages it has at most, handed out or not. Larger batches are quicker; with
                1, slow messages spread evenly over consumers.

        Raises:
            UsageError: Less than one message, or more than the group's window.
        """
        if not 0 < prefetch <= self._settings.window:
            raise UsageError(
                f"A consumer has 1 to {self._settings.window} messages at a time (the group's window), "
                f"not {prefetch}."
            )
        return Consumer(self.log, self.name, self._settings, prefetch, self._begin)

    def status(self) -> GroupStatus:
        """Where the group stands now."""
        state = self._state()
        consumers: dict[str, int] = {}
        for entry in state.entries.values():
            if entry.consumer:
                consumers[entry.consumer] = consumers.get(entry.consumer, 0) + 1
        claimed = sum(consumers.values())
        return GroupStatus(
            cursor=state.cursor,
            waiting=len(state.entries) - claimed,
            claimed=claimed,
            dead=len(state.dead),
            acknowledged=state.acknowledged,
            dropped=state.dropped,
            consumers=consumers,
        )

    def dead_letters(self) -> list[DeadLetter]:
        """Messages that were given up, oldest first. Their records are in the log, at their positions."""
        return sorted(self._state().dead.values(), key=lambda letter: (letter.at, letter.position))

    def requeue(self, *positions: int) -> int:
        """Make dead letters messages again, all if none is named; returns how many became."""
        return self._change(requeue, positions)

    def drop(self, *positions: int) -> int:
        """Give dead letters up for good, all if none is named; returns how many were."""
        return self._change(drop, positions)

    def move(self, start: str | int) -> None:
        """Start again at ``start``, whatever was claimed, waiting or dead; as in the constructor.

        What consumers have at that moment they settle too late.
        """
        cursor = position_of(start)
        if cursor == FROM_NOW:
            cursor = self._end()

        def decide(state: GroupState) -> list[Event]:
            return [GroupMoved(self._settings.clock(), cursor)]

        with self._turn:
            drive(self._begin(self._ledger, directly))
            drive(self._ledger.change(directly, decide, self._settings.clock()))

    def _end(self) -> int:
        """The position of the log's last event of any stream."""
        subscription = self.log.subscribe(after=self._state().cursor)
        position = self._ledger.state.cursor
        try:
            while page := subscription.poll(timeout=0):
                position = page[-1].position
        finally:
            subscription.close()
        return position

    def _state(self) -> GroupState:
        with self._turn:
            drive(self._begin(self._ledger, directly))
            drive(self._ledger.catch_up(directly))
            return self._ledger.state

    def _change(
        self,
        decide: Callable[[GroupState, tuple[int, ...], int], Sequence[Letters]],
        positions: tuple[int, ...],
    ) -> int:
        now = self._settings.clock()
        count = 0

        def decided(state: GroupState) -> Sequence[Event]:
            nonlocal count
            events = decide(state, positions or tuple(state.dead), now)
            count = sum(len(event.positions) for event in events)
            return events

        with self._turn:
            drive(self._begin(self._ledger, directly))
            drive(self._ledger.change(directly, decided, now))
        return count

    async def _begin(self, ledger: Ledger, calls: Calls) -> None:
        """See to it that the group exists, and is the same for everybody.

        Raises:
            UsageError: It was created with another filter.
        """
        settings = self._settings
        now = settings.clock()
        created = GroupCreated(now, settings.category, settings.types, settings.correlation, settings.start)
        await ledger.catch_up(calls)
        while not ledger.state.created_at:
            await ledger.change(calls, lambda state: [] if state.created_at else [created], now)
            await ledger.catch_up(calls)
        state = ledger.state
        known = (state.category, set(state.types), state.correlation)
        asked = (settings.category, set(settings.types), settings.correlation)
        if known != asked:
            raise UsageError(
                f"The consumer group {self.name!r} exists with category={state.category!r}, "
                f"types={state.types!r}, correlation={state.correlation!r}, and was asked for with "
                f"category={settings.category!r}, types={settings.types!r}, "
                f"correlation={settings.correlation!r}. Use these, or another name.",
                group=self.name,
            )
