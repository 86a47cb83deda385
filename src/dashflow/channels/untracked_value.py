"""UntrackedValue: a value that is never stored, such as a connection or a secret. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, Self

from dashflow._util.sentinel import MISSING
from dashflow.channels.base import Value, ValueChannel
from dashflow.errors import InvalidUpdateError

__all__ = ("UntrackedValue",)


class UntrackedValue(ValueChannel[Value, Value, Value], Generic[Value]):
    """Keeps the last value while the run lasts; no checkpoint has it.

    Attributes:
        guard: Refuse several values in one step; otherwise the last one stays.
    """

    __slots__ = ("guard",)

    def __init__(self, typ: Any, guard: bool = True) -> None:
        self.typ = typ
        self.key = ""
        self.value = MISSING
        self.guard = guard

    def __eq__(self, other: object) -> bool:
        return isinstance(other, UntrackedValue) and other.guard == self.guard

    __hash__ = None  # type: ignore[assignment]

    def _blank(self) -> Self:
        new = self.__class__(self.typ, self.guard)
        new.key = self.key
        return new

    def checkpoint(self) -> Any:
        """MISSING, always."""
        return MISSING

    def from_checkpoint(self, checkpoint: Any) -> Self:
        """A new, empty channel, whatever was stored."""
        return self._blank()

    def update(self, values: Sequence[Value]) -> bool:
        """Take a value.

        Raises:
            InvalidUpdateError: There are several and ``guard`` is on.
        """
        if not values:
            return False
        if self.guard and len(values) != 1:
            raise InvalidUpdateError(
                f"At key '{self.key}': UntrackedValue(guard=True) can receive only one value per step. "
                "Use guard=False if you want to store any one of multiple values."
            )
        self.value = values[-1]
        return True
