"""NamedBarrierValue: available once every name has reported; and its form that waits for the end. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, Self

from dashflow._util.sentinel import MISSING
from dashflow.channels.base import BaseChannel, Value
from dashflow.errors import EmptyChannelError, InvalidUpdateError

__all__ = ("NamedBarrierValue", "NamedBarrierValueAfterFinish")


class _Barrier(BaseChannel[Value, Value, Any], Generic[Value]):
    """What both barriers share: the names, and those that have reported."""

    __slots__ = ("names", "seen")

    def __init__(self, typ: Any, names: set[Value]) -> None:
        self.typ = typ
        self.key = ""
        self.names = names
        self.seen: set[Value] = set()

    @property
    def ValueType(self) -> Any:
        """Type of the names."""
        return self.typ

    @property
    def UpdateType(self) -> Any:
        """Type of the names."""
        return self.typ

    def _blank(self) -> Self:
        new = self.__class__(self.typ, self.names)
        new.key = self.key
        return new

    def update(self, values: Sequence[Value]) -> bool:
        """Note who has reported.

        Raises:
            InvalidUpdateError: A value is none of the names.
        """
        before = len(self.seen)
        for value in values:
            if value not in self.names:
                raise InvalidUpdateError(f"At key '{self.key}': Value {value} not in {self.names}")
            self.seen.add(value)
        return len(self.seen) != before

    def get(self) -> Value:
        """None: the value of a barrier is that it is open.

        Raises:
            EmptyChannelError: It is not.
        """
        if not self.is_available():
            raise EmptyChannelError()
        return None  # type: ignore[return-value]


class NamedBarrierValue(_Barrier[Value], Generic[Value]):
    """Opens once all ``names`` have reported; closes when a task has run through it.

    Attributes:
        names: Who must report.
        seen: Who has.
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NamedBarrierValue) and other.names == self.names

    __hash__ = None  # type: ignore[assignment]

    def checkpoint(self) -> set[Value]:
        """Who has reported."""
        return self.seen.copy()

    def from_checkpoint(self, checkpoint: Any) -> Self:
        """A new barrier in a stored state."""
        new = self._blank()
        if checkpoint is not MISSING:
            new.seen = set(checkpoint)
        return new

    def is_available(self) -> bool:
        """Whether all have reported."""
        return self.seen == self.names

    def consume(self) -> bool:
        """Close an open barrier."""
        if self.seen != self.names:
            return False
        self.seen = set()
        return True


class NamedBarrierValueAfterFinish(_Barrier[Value], Generic[Value]):
    """Opens once all ``names`` have reported and the run is about to end.

    Attributes:
        names: Who must report.
        seen: Who has.
        finished: Whether the run was about to end since.
    """

    __slots__ = ("finished",)

    def __init__(self, typ: Any, names: set[Value]) -> None:
        super().__init__(typ, names)
        self.finished = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, NamedBarrierValueAfterFinish) and other.names == self.names

    __hash__ = None  # type: ignore[assignment]

    def checkpoint(self) -> tuple[set[Value], bool]:
        """Who has reported, and whether the barrier may open."""
        return (self.seen.copy(), self.finished)

    def from_checkpoint(self, checkpoint: Any) -> Self:
        """A new barrier in a stored state."""
        new = self._blank()
        if checkpoint is not MISSING:
            seen, new.finished = checkpoint
            new.seen = set(seen)
        return new

    def is_available(self) -> bool:
        """Whether all have reported and the run was about to end."""
        return self.finished and self.seen == self.names

    def consume(self) -> bool:
        """Close an open barrier."""
        if not self.is_available():
            return False
        self.finished = False
        self.seen = set()
        return True

    def finish(self) -> bool:
        """Open the barrier if all have reported."""
        if self.finished or self.seen != self.names:
            return False
        self.finished = True
        return True
