"""Names that savers meet: keys of special writes, and the shapes of channels and packets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, Self, TypeVar, runtime_checkable

from dashflow._util.reserved import ERROR, INTERRUPT, RESUME, SCHEDULED, TASKS
from dashflow.types.snapshots import DeltaSnapshot

__all__ = (
    "ERROR",
    "INTERRUPT",
    "RESUME",
    "SCHEDULED",
    "TASKS",
    "ChannelProtocol",
    "SendProtocol",
)

_DeltaSnapshot = DeltaSnapshot
"""The name under which savers of other packages know it."""

Value = TypeVar("Value", covariant=True)
Update = TypeVar("Update", contravariant=True)
C = TypeVar("C")


class ChannelProtocol(Protocol[Value, Update, C]):
    """A channel, as far as a saver or ``create_checkpoint`` needs to know one."""

    @property
    def ValueType(self) -> Any:
        """The type of its value."""
        ...

    @property
    def UpdateType(self) -> Any:
        """The type of its updates."""
        ...

    def checkpoint(self) -> C | None:
        """What to store of it."""
        ...

    def from_checkpoint(self, checkpoint: C | None) -> Self:
        """A channel with the stored value."""
        ...

    def update(self, values: Sequence[Update]) -> bool:
        """Apply a step's updates; whether anything changed."""
        ...

    def get(self) -> Value:
        """The value."""
        ...

    def consume(self) -> bool:
        """The value was used; whether that changed anything."""
        ...


@runtime_checkable
class SendProtocol(Protocol):
    """A packet for a node: ``dashflow.types.Send``, or another package's."""

    node: str
    arg: Any

    def __hash__(self) -> int: ...

    def __repr__(self) -> str: ...

    def __eq__(self, value: object) -> bool: ...
