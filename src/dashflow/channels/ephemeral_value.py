"""EphemeralValue: a value for the next step only, such as a trigger or an input. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, Self

from dashflow._util.sentinel import MISSING
from dashflow.channels.base import Value, ValueChannel
from dashflow.errors import InvalidUpdateError

__all__ = ("EphemeralValue",)


class EphemeralValue(ValueChannel[Value, Value, Value], Generic[Value]):
    """Keeps a value until the end of the next step.

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
        return isinstance(other, EphemeralValue) and other.guard == self.guard

    __hash__ = None  # type: ignore[assignment]

    def _blank(self) -> Self:
        new = self.__class__(self.typ, self.guard)
        new.key = self.key
        return new

    def update(self, values: Sequence[Value]) -> bool:
        """Take a value, or lose the one there was.

        Raises:
            InvalidUpdateError: There are several and ``guard`` is on.
        """
        if not values:
            if self.value is MISSING:
                return False
            self.value = MISSING
            return True
        if self.guard and len(values) != 1:
            raise InvalidUpdateError(
                f"At key '{self.key}': EphemeralValue(guard=True) can receive only one value per step. "
                "Use guard=False if you want to store any one of multiple values."
            )
        self.value = values[-1]
        return True
