"""Channels of a thread that somebody only looks at: each wakes when it is asked for. Pure.

Whoever wants to know what runs next needs none of the conversation.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, Mapping
from typing import Any

from dashflow._util.reserved import TASKS
from dashflow._util.sentinel import MISSING
from dashflow.channels.base import BaseChannel
from dashflow.core.fold import ThreadState
from dashflow.core.plan import GraphPlan
from dashflow.core.superstep import Live

Channel = BaseChannel[Any, Any, Any]


class Asleep(dict[str, Channel]):
    """A graph's channels by name, as ``revive`` makes them.

    Args:
        specs: An empty channel of each name.
        values: What they hold.
    """

    __slots__ = ("_specs", "_values")

    def __init__(self, specs: Mapping[str, Channel], values: Mapping[str, Any]) -> None:
        self._specs = specs
        self._values = values

    def __missing__(self, name: str) -> Channel:
        values = self._values
        value = values.get(name, MISSING)
        return self.setdefault(name, self._specs[name].from_checkpoint(value))

    def __contains__(self, name: object) -> bool:
        return name in self._specs

    def __iter__(self) -> Iterator[str]:
        return iter(self._specs)

    def __len__(self) -> int:
        return len(self._specs)

    def get(self, name: str, default: Any = None) -> Any:
        """The channel, or the default."""
        return self[name] if name in self._specs else default

    def items(self) -> ItemsView[str, Channel]:  # type: ignore[override]  # of another dict
        """All of them."""
        return {name: self[name] for name in self._specs}.items()


def asleep(plan: GraphPlan, state: ThreadState) -> Live:
    """The channels at a state, to be asked what runs next and what they hold. Nothing is applied to them."""
    channels = Asleep(plan.channels, state.values)
    live = Live(channels, state.versions, state.seen, None, state.step + 1)
    if TASKS in state.values and TASKS in channels and channels[TASKS].is_available():
        live.warm.add(TASKS)
    return live
