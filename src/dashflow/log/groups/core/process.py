"""``process(state, command) -> events``: who gets which message, and what becomes of it. Pure.

The rules, in one place:

* A message is claimed by one consumer at a time, and settled only by the one that has it.
* Messages of one key are claimed in order of positions, and only by a consumer that has the earlier
  ones; when one fails or is lost, the later ones that its consumer has go back with it.
* A lost message counts as an attempt when it was all that its consumer had. Otherwise nobody knows which
  of them was at fault: each is claimed alone from then on, until one is lost alone.
* A message that failed ``max_attempts`` times becomes a dead letter, and its key goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from dashflow.log.groups.core.events import (
    ClaimsExtended,
    Failed,
    LettersDropped,
    LettersRequeued,
    MessagesBuried,
    MessagesClaimed,
    MessagesLost,
    MessagesSettled,
    MessagesVanished,
)
from dashflow.log.groups.core.state import Entry, Event, GroupState, fold


class Settlement(msgspec.Struct, frozen=True):
    """What a consumer wants to become of messages that it has.

    Attributes:
        acknowledged: Positions that are done.
        failed: Those to be tried again, while they have attempts left.
        buried: Those to become dead letters at once, and why.
        released: Positions to give back untouched.
    """

    acknowledged: tuple[int, ...] = ()
    failed: tuple[Failed, ...] = ()
    buried: Mapping[int, str] = {}
    released: tuple[int, ...] = ()


class Advance(msgspec.Struct, frozen=True):
    """A consumer settles what it has done and asks for more; one commit for both.

    Attributes:
        consumer: Who asks.
        now: Nanoseconds since the Unix epoch.
        until: When its claims of this command end.
        max_attempts: After how many failed attempts a message becomes a dead letter.
        settlement: What it has done.
        fresh: Matching records behind the cursor, without a gap: (position, key).
        limit: How many messages it wants to have at most, those that it has included.
        window: How many messages the group may have seen and not settled, before it looks no further.
        dead: Consumers that are known to have died.
        keep: Positions that it has and needs until ``until``, too.
        vanished: Positions whose records are no longer in the log.
    """

    consumer: str
    now: int
    until: int
    max_attempts: int
    settlement: Settlement = Settlement()
    fresh: tuple[tuple[int, str], ...] = ()
    limit: int = 0
    window: int = 0
    dead: frozenset[str] = frozenset()
    keep: tuple[int, ...] = ()
    vanished: tuple[int, ...] = ()


def advance(state: GroupState, command: Advance) -> list[Event]:
    """The events that the command leads to, in order; none when it changes nothing."""
    events: list[Event] = []
    for decide in (_vanish, _settle, _keep, _lose, _bury, _claim):
        for event in decide(state, command):
            events.append(event)
            state = fold(state, event)
    return events


def late(state: GroupState, consumer: str, settlement: Settlement) -> list[int]:
    """Which of the messages in ``settlement`` the consumer does not have any more."""
    wanted = (
        *settlement.acknowledged,
        *(failed.position for failed in settlement.failed),
        *settlement.buried,
    )
    return [position for position in wanted if not _has(state, consumer, position)]


def requeue(state: GroupState, positions: Iterable[int], now: int) -> list[LettersRequeued]:
    """Make dead letters messages again; those that are none are left out."""
    theirs = tuple(sorted(position for position in set(positions) if position in state.dead))
    return [LettersRequeued(now, theirs)] if theirs else []


def drop(state: GroupState, positions: Iterable[int], now: int) -> list[LettersDropped]:
    """Give dead letters up for good; those that are none are left out."""
    theirs = tuple(sorted(position for position in set(positions) if position in state.dead))
    return [LettersDropped(now, theirs)] if theirs else []


def due(state: GroupState, consumer: str) -> int | None:
    """When something becomes claimable by time alone: a wait or another's claim ends. None: never."""
    times = [
        entry.until if entry.consumer else entry.ready_at
        for entry in state.entries.values()
        if (entry.consumer != consumer if entry.consumer else entry.ready_at)
    ]
    return min(times, default=None)


# -- the decisions ----------------------------------------------------------------------------


def _has(state: GroupState, consumer: str, position: int) -> bool:
    entry = state.entries.get(position)
    return entry is not None and entry.consumer == consumer


def _vanish(state: GroupState, command: Advance) -> list[Event]:
    gone = tuple(sorted(position for position in command.vanished if position in state.entries))
    return [MessagesVanished(command.now, gone)] if gone else []


def _settle(state: GroupState, command: Advance) -> list[Event]:
    """What the consumer did, as far as it still has the messages."""
    consumer, wanted = command.consumer, command.settlement
    acknowledged = tuple(one for one in wanted.acknowledged if _has(state, consumer, one))
    failed = tuple(one for one in wanted.failed if _has(state, consumer, one.position))
    buried = tuple(one for one in wanted.buried.items() if _has(state, consumer, one[0]))
    touched = {*acknowledged, *(one.position for one in failed), *(position for position, _ in buried)}
    released = [one for one in wanted.released if one not in touched and _has(state, consumer, one)]
    if failed:
        starts = [one.position for one in failed]
        taken = touched | set(released)
        released += [entry.position for entry in _behind(state, starts) if entry.position not in taken]
    events: list[Event] = []
    if acknowledged or failed or released:
        released.sort()
        events.append(MessagesSettled(command.now, consumer, acknowledged, failed, tuple(released)))
    if buried:
        events.append(MessagesBuried(command.now, buried))
    return events


def _keep(state: GroupState, command: Advance) -> list[Event]:
    consumer, until = command.consumer, command.until
    kept = tuple(
        position
        for position in command.keep
        if _has(state, consumer, position) and state.entries[position].until < until
    )
    return [ClaimsExtended(command.now, consumer, until, kept)] if kept else []


def _behind(state: GroupState, positions: Iterable[int]) -> list[Entry]:
    """Later messages of the same keys that the same consumers have."""
    firsts: dict[tuple[str, str], int] = {}
    for position in positions:
        entry = state.entries[position]
        name = entry.consumer, entry.key
        firsts[name] = min(position, firsts.get(name, position))
    return [
        entry
        for entry in state.entries.values()
        if entry.consumer and entry.position > firsts.get((entry.consumer, entry.key), entry.position)
    ]


def _lose(state: GroupState, command: Advance) -> list[Event]:
    """Take away what dead consumers have, and what is overdue."""
    had: dict[str, int] = {}
    gone: list[int] = []
    for entry in state.entries.values():
        if entry.consumer:
            had[entry.consumer] = had.get(entry.consumer, 0) + 1
            if entry.until <= command.now or entry.consumer in command.dead:
                gone.append(entry.position)
    if not gone:
        return []
    lost = sorted({*gone, *(entry.position for entry in _behind(state, gone))})
    alone = [position for position in lost if had[state.entries[position].consumer] == 1]
    others = [position for position in lost if had[state.entries[position].consumer] > 1]
    return [MessagesLost(command.now, tuple(alone), tuple(others))]


def _bury(state: GroupState, command: Advance) -> list[Event]:
    letters = tuple(
        (entry.position, entry.reason)
        for entry in state.entries.values()
        if entry.attempts >= command.max_attempts and not entry.consumer
    )
    return [MessagesBuried(command.now, letters)] if letters else []


def _claim(state: GroupState, command: Advance) -> list[Event]:
    """The next messages for the consumer, in order of positions."""
    mine = state.claimed_by(command.consumer)
    room = command.limit - len(mine)
    if room <= 0 or any(entry.suspect for entry in mine):
        return []
    again, blocked, room = _waiting(state, command, room, empty=not mine)
    fresh: list[tuple[int, str]] = []
    held: list[tuple[int, str]] = []
    cursor = state.cursor
    left = command.window - len(state.entries)
    for position, key in command.fresh:
        if len(again) + len(fresh) >= room or left <= 0:
            break
        if position <= state.cursor:
            continue  # somebody has been quicker
        (held if key in blocked else fresh).append((position, key))
        cursor = position
        left -= 1
    if not (again or fresh or held):
        return []
    return [
        MessagesClaimed(
            command.now, command.consumer, command.until, cursor, tuple(fresh), tuple(again), tuple(held)
        )
    ]


def _waiting(
    state: GroupState, command: Advance, room: int, *, empty: bool
) -> tuple[list[int], set[str], int]:
    """Which waiting messages the consumer gets, the keys it may not get, and how many it may have in all.

    ``empty``: whether it has none now.
    """
    consumer = command.consumer
    blocked = {entry.key for entry in state.entries.values() if entry.consumer not in ("", consumer)}
    again: list[int] = []
    for entry in state.entries.values():
        if entry.consumer or entry.key in blocked:
            continue
        if entry.suspect and (again or not empty):
            room = len(again)  # it comes alone, and nothing behind it before
        if len(again) >= room or entry.ready_at > command.now:
            blocked.add(entry.key)
            continue
        again.append(entry.position)
        if entry.suspect:
            room = 1
    return again, blocked, room
