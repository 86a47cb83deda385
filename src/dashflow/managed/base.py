"""Managed values: keys of a state that the runtime fills in; nobody writes them and nothing stores them."""

from __future__ import annotations

from abc import ABC, abstractmethod
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


class ManagedValue(ABC, Generic[V]):
    """Base of managed values; used as a class, in ``Annotated[type, ManagedValueClass]``."""

    @staticmethod
    @abstractmethod
    def get(scratchpad: Progress) -> V:
        """The value for a task of this step."""


ManagedValueSpec: TypeAlias = type[ManagedValue[Any]]
"""A managed value, as a graph holds it."""

ManagedValueMapping: TypeAlias = dict[str, ManagedValueSpec]
"""Managed values of a graph by key."""


def is_managed_value(value: Any) -> TypeGuard[ManagedValueSpec]:
    """Whether ``value`` is a class of managed values."""
    return isclass(value) and issubclass(value, ManagedValue)
