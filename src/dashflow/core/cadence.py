"""When LangGraph's savers hold a delta channel's whole value, and when only its updates. Pure counting.

The log keeps what changed of every value; this is for who looks at a thread with a saver's methods.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from dashflow._util.sentinel import MISSING
from dashflow.types.commands import overwrite_of

LIMIT = 5000
"""Supersteps after which a whole value is shown, whether there were updates or not (LangGraph's number)."""

Counters = Mapping[str, tuple[int, int, int]]
"""Per delta channel: its snapshot frequency; the updates and supersteps since its value was shown whole."""


def is_whole(counter: tuple[int, int, int]) -> bool:
    """Whether the channel's value is shown whole at the checkpoint that the counter is of."""
    frequency, updates, steps = counter
    return not steps or updates >= frequency or steps >= LIMIT


def joined(counters: Counters, frequencies: Mapping[str, int]) -> dict[str, tuple[int, int, int]]:
    """The counters of the delta channels that the graph has which runs now."""
    known = {name: counters.get(name, (frequencies[name], 0, 0)) for name in frequencies}
    return {
        name: (frequencies[name], 0, 0) if is_whole(counter) else (frequencies[name], *counter[1:])
        for name, counter in known.items()
    }


def counted(
    counters: Counters, changed: Collection[str], replaced: Collection[str], *, once: bool = False
) -> dict[str, tuple[int, int, int]]:
    """The counters after a superstep.

    Args:
        counters: Those before it.
        changed: Channels that it changed.
        replaced: Channels whose value was overwritten: they are shown whole.
        once: Of a run only the end is shown, so nothing starts anew before the next run does.
    """
    after = {}
    for name, (frequency, updates, steps) in counters.items():
        updates = max(frequency, updates + 1) if name in replaced else updates + (name in changed)
        counter = frequency, updates, steps + 1
        after[name] = (frequency, 0, 0) if is_whole(counter) and not once else counter
    return after


def overwritten(writes: Iterable[tuple[str, Any]]) -> set[str]:
    """The channels that some of these writes overwrite."""
    return {name for name, value in writes if overwrite_of(value) is not MISSING}
