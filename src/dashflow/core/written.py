"""What a task wrote, told in few bytes: what the channels' new values tell already is not repeated.

Pure. A step's record says what became of the channels. People who look at the step want to see what its
tasks returned; mostly that is a channel's new value, or the end of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from dashflow.core.kept import tail_of

Told = list[Any]
"""A write: [channel] (its new value), [channel, None, n] (the last n items of it) or [channel, value]."""


def tell(
    writes: Sequence[tuple[str, Any]], shown: Collection[str], value_of: Callable[[str], Any]
) -> list[Told]:
    """The writes to channels that are shown, short where the channel's new value has them.

    Args:
        writes: (channel, value), in order.
        shown: Channels whose writes anybody sees.
        value_of: The new value of a channel.
    """
    return [_told(chan, value, value_of(chan)) for chan, value in writes if chan in shown]


def _told(chan: str, value: Any, new: Any) -> Told:
    if new is value:
        return [chan]
    if type(value) is list and type(new) is list and value:
        tail = new[-len(value) :]
        if len(tail) == len(value) and all(map(_same, tail, value)):
            return [chan, None, len(value)]
    return [chan, value]


def _same(one: Any, other: Any) -> bool:
    return one is other


def resolve(told: Sequence[Told], values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """The writes that ``tell`` told.

    Args:
        told: What it returned.
        values: The channels' new values.
    """
    return [(write[0], _value(write, values)) for write in told]


def _value(write: Told, values: Mapping[str, Any]) -> Any:
    if len(write) == 2:
        return write[1]
    return values.get(write[0]) if len(write) == 1 else tail_of(values, write[0], write[2])
