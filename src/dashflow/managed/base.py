"""Managed values: keys of a state that the runtime fills in; nobody writes them and nothing stores them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from inspect import isclass
from typing import Any, Generic, Protocol, TypeAlias, TypeGuard, TypeVar

V = TypeVar("V")

__all__ = ("ManagedValueMapping", "ManagedValueSpec")


class Progress(Protocol):
    """How far a run is.

    ``step`` counts supersteps from where the thread began; the run may not reach ``stop``.
    """

    @property
    def step(self) -> int:
        """Number of the superstep."""
        ...

    @property
    def stop(self) -> int:
        """Number of the superstep at which the recursion limit ends the run."""
        ...

    @property
    def channels(self) -> Mapping[str, Any]:
        """The run's channels, by name."""
        ...

    @property
    def resources(self) -> Mapping[Any, Any]:
        """What each ``Context`` holds for this run."""
        ...


class ManagedValue(ABC, Generic[V]):
    """Base of managed values, in ``Annotated[type, ManagedValueClass]``; or an object of a class that has
    settings, such as ``Context`` and ``Computed``."""

    @staticmethod
    @abstractmethod
    def get(scratchpad: Progress) -> V:
        """The value for a task of this step."""


ManagedValueSpec: TypeAlias = type[ManagedValue[Any]] | ManagedValue[Any]
"""A managed value, as a graph holds it."""

ManagedValueMapping: TypeAlias = dict[str, ManagedValueSpec]
"""Managed values of a graph by key."""


def is_managed_value(value: Any) -> TypeGuard[ManagedValueSpec]:
    """Whether ``value`` is a class of managed values, or such an object."""
    return isinstance(value, ManagedValue) or (isclass(value) and issubclass(value, ManagedValue))


def managed_value(source: Any, channels: Mapping[str, Any], progress: Progress) -> Any:
    """The value of a key that nobody writes, for a reader that sees these channels."""
    computed = getattr(source, "of", None)
    return source.get(progress) if computed is None else computed(channels)
