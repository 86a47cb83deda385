"""Topic: all values of a step in a list, or of all steps. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from types import GenericAlias
from typing import Any, Generic, Self

from dashflow._util.sentinel import MISSING
from dashflow.channels.base import BaseChannel, Value
from dashflow.errors import EmptyChannelError

__all__ = ("Topic",)


class Topic(BaseChannel[Sequence[Value], Value | list[Value], list[Value]], Generic[Value]):
    """Keeps a list of values; an update that is a list adds each of its items.

    Attributes:
        accumulate: Keep values across steps; otherwise a step begins with none.
        unique: Leave out a value that equals one in the list.
        values: The list.
    """

    __slots__ = ("accumulate", "unique", "values")

    def __init__(self, typ: Any, accumulate: bool = False, *, unique: bool = False) -> None:
        self.typ = typ
        self.key = ""
        self.accumulate = accumulate
        self.unique = unique
        self.values: list[Value] = []

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Topic) and (other.accumulate, other.unique) == (self.accumulate, self.unique)

    __hash__ = None  # type: ignore[assignment]

    @property
    def ValueType(self) -> Any:
        """A sequence of the type."""
        return GenericAlias(Sequence, (self.typ,))

    @property
    def UpdateType(self) -> Any:
        """The type, or a list of it."""
        return self.typ | GenericAlias(list, (self.typ,))

    @property
    def reduces(self) -> bool:
        """See ``BaseChannel.reduces``."""
        return self.accumulate

    def checkpoint(self) -> list[Value]:
        """The values."""
        return self.values.copy()

    def from_checkpoint(self, checkpoint: Any) -> Self:
        """A new topic with stored values; a pair, as old releases stored, has them in second place."""
        new = self.__class__(self.typ, self.accumulate, **({"unique": True} if self.unique else {}))
        new.key = self.key
        if checkpoint is not MISSING:
            new.values = list(checkpoint[1] if isinstance(checkpoint, tuple) else checkpoint)
        return new

    def update(self, values: Sequence[Value | list[Value]]) -> bool:
        """Add the values, to those of the steps before if they are kept."""
        updated = False
        if not self.accumulate and self.values:
            self.values = []
            updated = True
        before = len(self.values)
        for value in values:
            if isinstance(value, list):
                self.values.extend(value)
            else:
                self.values.append(value)
        if self.unique and len(self.values) != before:
            self.values = _without_repeats(self.values)
        return updated or len(self.values) != before

    def get(self) -> Sequence[Value]:
        """The values, as a list of the caller's own.

        Raises:
            EmptyChannelError: There are none.
        """
        if not self.values:
            raise EmptyChannelError()
        return self.values.copy()

    def is_available(self) -> bool:
        """Whether there are values."""
        return bool(self.values)


def _without_repeats(values: list[Value]) -> list[Value]:
    """The values in their order, each once; those that cannot be hashed are compared one by one."""
    known: set[Any] = set()
    others: list[Value] = []
    kept = []
    for value in values:
        try:
            repeated = value in known
            known.add(value)
        except TypeError:
            repeated = value in others
            others.append(value)
        if not repeated:
            kept.append(value)
    return kept
