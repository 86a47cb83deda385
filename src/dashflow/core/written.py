"""What a task wrote, told in few bytes: what the channels' new values tell already is not repeated.

Pure. A step's record says what became of the channels. People who look at the step want to see what its
tasks returned; mostly that is a channel's new value, or the end of it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Protocol

from dashflow.core.kept import part_of, tail_of

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


class _Folded(Protocol):
    """A folded thread."""

    @property
    def wrote(self) -> dict[str, list[Told]]:
        """See ``ThreadState``."""
        ...

    @property
    def values(self) -> dict[str, Any]:
        """See ``ThreadState``."""
        ...


def wrote_of(state: _Folded) -> dict[str, list[tuple[str, Any]]]:
    """What tasks of the step before a state's checkpoint wrote, by task key: (channel, value)."""
    return {key: resolve(writes, state.values) for key, writes in state.wrote.items()}


def wrote_kept(state: _Folded) -> dict[str, list[tuple[str, Any]]]:
    """``wrote_of``, with whole values of channels as they are kept: nobody may look at them."""
    values = state.values
    return {
        key: [
            (write[0], part_of(values, write[0])) if len(write) == 1 else resolve((write,), values)[0]
            for write in writes
        ]
        for key, writes in state.wrote.items()
    }


def values_told(state: _Folded) -> list[list[tuple[str, Any]]]:
    """The writes that are told by a value of their own; what replaces a whole value is among them."""
    return [[(write[0], write[1]) for write in writes if len(write) == 2] for writes in state.wrote.values()]


def told_fields(wrote: list[list[Any]]) -> dict[str, Any]:
    """Fields of a state that say what tasks wrote to get there."""
    if not wrote:
        return {}
    return {
        "wrote": {key: writes for key, _, writes in wrote},
        "wrote_names": {key: name or key for key, name, _ in wrote},
    }
