"""What is known of a consumer group: the state, and ``fold(state, event)`` which builds it. Pure.

Every message that matched is in exactly one place: behind the cursor (not seen yet), in ``entries``
(waiting, or claimed by one consumer), in ``dead``, or settled and only counted. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import msgspec

from dashflow.log.groups.core.events import (
    ClaimsExtended,
    GroupCreated,
    GroupMoved,
    LettersDropped,
    LettersRequeued,
    MessagesBuried,
    MessagesClaimed,
    MessagesLost,
    MessagesSettled,
    MessagesVanished,
)


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """A message that the group has seen and not settled.

    Attributes:
        position: Of its record in the log.
        key: Messages of one key are handled one after another.
        consumer: Who has it; "" while it waits.
        until: When that claim ends, nanoseconds.
        attempts: How many attempts have failed.
        ready_at: Not to be claimed before this time, nanoseconds.
        suspect: Whether it was with a consumer that was lost together with others: it is claimed alone.
        reason: Why the last attempt failed.
    """

    position: int
    key: str
    consumer: str = ""
    until: int = 0
    attempts: int = 0
    ready_at: int = 0
    suspect: bool = False
    reason: str = ""


class DeadLetter(msgspec.Struct, frozen=True, array_like=True):
    """A message that was given up: its key, attempts that failed, the last reason, and since when."""

    position: int
    key: str
    attempts: int
    reason: str
    at: int


class GroupState(msgspec.Struct, frozen=True):
    """A consumer group after some events.

    Attributes:
        created_at: When it began; 0: it has not.
        category, types, correlation: Which records it is about, as in ``EventLog.subscribe``.
        start: Behind which position it started.
        cursor: Up to here it has looked at the log.
        entries: What it has seen and not settled, by position, in order of positions.
        dead: Its dead letters, by position.
        acknowledged: How many messages were.
        dropped: How many dead letters were given up, or vanished from the log.
    """

    created_at: int = 0
    category: str | None = None
    types: tuple[str, ...] = ()
    correlation: str = ""
    start: int = 0
    cursor: int = 0
    entries: dict[int, Entry] = {}
    dead: dict[int, DeadLetter] = {}
    acknowledged: int = 0
    dropped: int = 0

    def claimed_by(self, consumer: str) -> list[Entry]:
        """What a consumer has, in order of positions."""
        return [entry for entry in self.entries.values() if entry.consumer == consumer]


class GroupSummarized(msgspec.Struct, frozen=True, array_like=True):
    """What the events before this one came to; they may be forgotten."""

    type: ClassVar[str] = "GroupSummarized"
    at: int
    state: GroupState


Event = (
    GroupCreated
    | MessagesClaimed
    | MessagesSettled
    | MessagesLost
    | ClaimsExtended
    | MessagesBuried
    | LettersRequeued
    | LettersDropped
    | MessagesVanished
    | GroupMoved
    | GroupSummarized
)

replace = msgspec.structs.replace


def fold(state: GroupState, event: Event) -> GroupState:
    """The state after ``event``; the one given is left as it is."""
    return _CHANGES[type(event)](state, event)


def fold_all(events: Iterable[Event], state: GroupState | None = None) -> GroupState:
    """The state after all of ``events``, from ``state`` or from nothing."""
    state = GroupState() if state is None else state
    for event in events:
        state = fold(state, event)
    return state


def _created(state: GroupState, event: GroupCreated) -> GroupState:
    return GroupState(
        created_at=event.at,
        category=event.category,
        types=event.types,
        correlation=event.correlation,
        start=event.start,
        cursor=event.start,
    )


def _claimed(state: GroupState, event: MessagesClaimed) -> GroupState:
    entries = dict(state.entries)
    consumer, until = event.consumer, event.until
    for position in event.again:
        entries[position] = replace(entries[position], consumer=consumer, until=until, ready_at=0)
    # Both lists go on behind the cursor; together in order, so that `entries` stays in order.
    new = [Entry(position, key, consumer, until) for position, key in event.fresh]
    if event.held:
        new += [Entry(position, key) for position, key in event.held]
        new.sort(key=_position)
    for entry in new:
        entries[entry.position] = entry
    return replace(state, entries=entries, cursor=max(state.cursor, event.cursor))


def _settled(state: GroupState, event: MessagesSettled) -> GroupState:
    entries = dict(state.entries)
    for position in event.acknowledged:
        del entries[position]
    for failed in event.failed:
        entry = entries[failed.position]
        entries[failed.position] = replace(
            entry,
            consumer="",
            until=0,
            attempts=entry.attempts + 1,
            ready_at=failed.ready_at,
            reason=failed.reason,
        )
    for position in event.released:
        entries[position] = replace(entries[position], consumer="", until=0)
    return replace(state, entries=entries, acknowledged=state.acknowledged + len(event.acknowledged))


def _lost(state: GroupState, event: MessagesLost) -> GroupState:
    entries = dict(state.entries)
    for position in event.counted:
        entry = entries[position]
        reason = f"its consumer {entry.consumer} died or ran out of time"
        entries[position] = replace(
            entry, consumer="", until=0, suspect=True, attempts=entry.attempts + 1, reason=reason
        )
    for position in event.suspected:
        entries[position] = replace(entries[position], consumer="", until=0, suspect=True)
    return replace(state, entries=entries)


def _extended(state: GroupState, event: ClaimsExtended) -> GroupState:
    entries = dict(state.entries)
    for position in event.positions:
        entries[position] = replace(entries[position], until=event.until)
    return replace(state, entries=entries)


def _buried(state: GroupState, event: MessagesBuried) -> GroupState:
    entries, dead = dict(state.entries), dict(state.dead)
    for position, reason in event.letters:
        entry = entries.pop(position)
        dead[position] = DeadLetter(position, entry.key, entry.attempts, reason, event.at)
    return replace(state, entries=entries, dead=dead)


def _requeued(state: GroupState, event: LettersRequeued) -> GroupState:
    entries, dead = dict(state.entries), dict(state.dead)
    for position in event.positions:
        entries[position] = Entry(position, dead.pop(position).key)
    return replace(state, entries=dict(sorted(entries.items())), dead=dead)


def _dropped(state: GroupState, event: LettersDropped) -> GroupState:
    dead = {position: letter for position, letter in state.dead.items() if position not in event.positions}
    return replace(state, dead=dead, dropped=state.dropped + len(event.positions))


def _vanished(state: GroupState, event: MessagesVanished) -> GroupState:
    entries = dict(state.entries)
    for position in event.positions:
        del entries[position]
    return replace(state, entries=entries, dropped=state.dropped + len(event.positions))


def _moved(state: GroupState, event: GroupMoved) -> GroupState:
    return replace(state, cursor=event.cursor, entries={}, dead={})


def _summarized(state: GroupState, event: GroupSummarized) -> GroupState:
    return event.state


def _position(entry: Entry) -> int:
    return entry.position


_CHANGES: dict[type, Callable[[GroupState, Any], GroupState]] = {
    GroupCreated: _created,
    MessagesClaimed: _claimed,
    MessagesSettled: _settled,
    MessagesLost: _lost,
    ClaimsExtended: _extended,
    MessagesBuried: _buried,
    LettersRequeued: _requeued,
    LettersDropped: _dropped,
    MessagesVanished: _vanished,
    GroupMoved: _moved,
    GroupSummarized: _summarized,
}
