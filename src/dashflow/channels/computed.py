"""Computed: a key of the state that follows from other keys; nobody writes it and nothing stores it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from dashflow.channels.base import BaseChannel
from dashflow.managed.base import ManagedValue, Progress

__all__ = ("Computed",)

V = TypeVar("V")


class Computed(ManagedValue[V], Generic[V]):
    """What a function makes of the values of other keys, in ``Annotated[int, Computed(function, "a", "b")]``.

    Nodes and conditional edges read it like any key. It is no part of a graph's input and output.

    Args:
        function: Of the values, in the order of ``keys``.
        keys: Which keys; one that has no value yet gives None.
    """

    def __init__(self, function: Callable[..., V], *keys: str) -> None:
        self.function = function
        self.keys = keys

    def get(self, scratchpad: Progress) -> V:  # type: ignore[override]  # of an object, not of the class
        """The value as the run's channels are now."""
        return self.of(scratchpad.channels)

    def of(self, channels: Mapping[str, BaseChannel[Any, Any, Any]]) -> V:
        """The value for these channels.

        Raises:
            KeyError: A key that the graph does not have.
        """
        found = (channels[key] for key in self.keys)
        return self.function(*(channel.get() if channel.is_available() else None for channel in found))
