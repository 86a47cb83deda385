"""AnyValue: several writers that are taken to agree. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic

from dashflow._util.sentinel import MISSING
from dashflow.channels.base import Value, ValueChannel

__all__ = ("AnyValue",)


class AnyValue(ValueChannel[Value, Value, Value], Generic[Value]):
    """Keeps the last of the values of a step, for one step; they are taken to be equal."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AnyValue)

    __hash__ = None  # type: ignore[assignment]

    def update(self, values: Sequence[Value]) -> bool:
        """Take the last value, or lose the one there was."""
        if values:
            self.value = values[-1]
            return True
        if self.value is MISSING:
            return False
        self.value = MISSING
        return True
