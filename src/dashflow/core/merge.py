"""Merging one thread's state into another's: three states, key by key, and the writes of the one. Pure.

A value that only one side changed is taken as it is. Where both did, what the merged side wrote goes through
the channel's reducer; a key without one is a conflict, which the caller's function decides on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from dashflow._util.sentinel import MISSING
from dashflow.channels.base import BaseChannel
from dashflow.types.commands import overwrite_of

Resolve = Callable[[str, Any, Any, Any], Any]
"""Given a key, its value at the common checkpoint, the target's and the merged one's (None for none): the
value to have."""


class Contribution(msgspec.Struct):
    """What one step of the merged side did.

    Attributes:
        writes: (channel, value), in order.
        opaque: Channels that it changed in ways that no write tells.
    """

    writes: Sequence[tuple[str, Any]]
    opaque: frozenset[str] = frozenset()


class Merged(msgspec.Struct):
    """What a merge comes to; the three lists are those of ``BranchMerge``.

    Attributes:
        values: Keys to be changed and what they hold then; MISSING: nothing.
        conflicts: Keys that nobody decided on.
    """

    values: dict[str, Any]
    taken: list[str]
    reduced: list[str]
    resolved: list[str]
    conflicts: list[str]


def merge(
    keys: Iterable[str],
    base: Mapping[str, Any],
    ours: Mapping[str, Any],
    theirs: Mapping[str, Any],
    *,
    steps: Sequence[Contribution],
    channels: Mapping[str, BaseChannel[Any, Any, Any]],
    same: Callable[[Any, Any], bool],
    resolve: Resolve | None,
) -> Merged:
    """Merge ``theirs`` into ``ours``.

    Args:
        keys: Which keys of the state count.
        base: What both come from: what channels held there.
        ours: What they hold where the merge goes.
        theirs: What they hold in what is merged.
        steps: What was done there and is not part of ``ours``, oldest first.
        channels: An empty channel per key, whose reducer counts; none where the graph is not known.
        same: Whether two values are the same.
        resolve: Decides on conflicts.
    """
    merged = Merged({}, [], [], [], [])
    opaque = frozenset().union(*(step.opaque for step in steps))
    for key in keys:
        was, have, come = base.get(key, MISSING), ours.get(key, MISSING), theirs.get(key, MISSING)
        if _equal(was, come, same):
            continue
        if _equal(was, have, same):
            merged.values[key] = come
            merged.taken.append(key)
            continue
        writes = [found for step in steps if (found := [v for chan, v in step.writes if chan == key])]
        channel = channels.get(key)
        if channel is not None and channel.reduces and _replayable(writes) and key not in opaque:
            merged.values[key] = _reduced(channel, have, writes)
            merged.reduced.append(key)
        elif channel is not None and _equal(have, come, same):
            continue  # both came to the same; of a channel that is not known, nobody can say what that means
        elif resolve is not None:
            merged.values[key] = resolve(key, *(None if v is MISSING else v for v in (was, have, come)))
            merged.resolved.append(key)
        else:
            merged.conflicts.append(key)
    values = {k: v for k, v in merged.values.items() if not _equal(v, ours.get(k, MISSING), same)}
    taken, reduced, resolved = (
        [key for key in told if key in values] for told in (merged.taken, merged.reduced, merged.resolved)
    )
    return Merged(values, taken, reduced, resolved, merged.conflicts)


def _equal(one: Any, other: Any, same: Callable[[Any, Any], bool]) -> bool:
    if one is MISSING or other is MISSING:
        return one is other
    return same(one, other)


def _replayable(writes: Sequence[Sequence[Any]]) -> bool:
    """Whether there are writes, and none of them would throw away what the other side did."""
    return bool(writes) and all(overwrite_of(value) is MISSING for step in writes for value in step)


def _reduced(channel: BaseChannel[Any, Any, Any], value: Any, writes: Sequence[Sequence[Any]]) -> Any:
    own = channel.from_checkpoint(value)
    for step in writes:
        own.update(step)
    return own.snapshot()
