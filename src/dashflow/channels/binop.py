"""BinaryOperatorAggregate: updates are reduced into the value, one by one. Pure, if the reducer is."""

from __future__ import annotations

import collections.abc
from collections.abc import Callable, Sequence
from typing import Any, Generic, NotRequired, Required, Self

from dashflow._util.sentinel import MISSING
from dashflow.channels.base import Value, ValueChannel
from dashflow.errors import ErrorCode, InvalidUpdateError, create_error_message
from dashflow.types.commands import Overwrite, overwrite_of
from dashflow.types.snapshots import DeltaSnapshot

__all__ = ("BinaryOperatorAggregate",)

_CONCRETE: dict[Any, type] = {
    collections.abc.Sequence: list,
    collections.abc.MutableSequence: list,
    collections.abc.Set: set,
    collections.abc.MutableSet: set,
    collections.abc.Mapping: dict,
    collections.abc.MutableMapping: dict,
}
"""What stands for an abstract type when an empty value of it is needed."""

_MAY_OVERWRITE = (Overwrite, dict)


class BinaryOperatorAggregate(ValueChannel[Value, Value, Value], Generic[Value]):
    """Keeps the value that ``operator(value, update)`` gives for each update in turn.

    Starts with an empty value of its type (``int()`` is 0, ``list()`` is []) when there is one; otherwise
    the first update is the first value.

    Attributes:
        operator: The reducer, ``(value, update) -> value``; should not change its arguments.
    """

    __slots__ = ("operator",)

    def __init__(self, typ: Any, operator: Callable[[Value, Value], Value]) -> None:
        self.typ = typ
        self.key = ""
        self.operator = operator
        try:
            self.value = concrete_type(typ)()
        except Exception:
            # Not every type can be made from nothing, and a user's class may raise anything.
            self.value = MISSING

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BinaryOperatorAggregate) and same_reducer(self.operator, other.operator)

    __hash__ = None  # type: ignore[assignment]

    @property
    def reduces(self) -> bool:
        """See ``BaseChannel.reduces``."""
        return True

    def _blank(self) -> Self:
        new = self.__class__(self.typ, self.operator)
        new.key = self.key
        return new

    def from_checkpoint(self, checkpoint: Any) -> Self:
        """A new channel with a stored value, or with the one that a ``DeltaChannel`` of this key stored."""
        new = self._blank()
        if isinstance(checkpoint, DeltaSnapshot):
            new.value = checkpoint.value
        elif checkpoint is not MISSING:
            new.value = checkpoint
        return new

    def update(self, values: Sequence[Value]) -> bool:
        """Reduce the updates into the value, or let the one ``Overwrite`` among them replace it.

        Raises:
            InvalidUpdateError: There are several ``Overwrite``.
        """
        if not values:
            return False
        value = self.value
        overwritten = False
        for update in values:
            if isinstance(update, _MAY_OVERWRITE) and (new := overwrite_of(update)) is not MISSING:
                if overwritten:
                    raise second_overwrite()
                value = new
                overwritten = True
            elif value is MISSING:
                value = update
            elif not overwritten:
                value = self.operator(value, update)
        self.value = value
        return True


def concrete_type(typ: Any) -> Any:
    """The class to make an empty value of ``typ`` with: no ``Annotated``, no parameters, not abstract."""
    while (origin := getattr(typ, "__origin__", None)) is not None:
        typ = typ.__args__[0] if origin in (Required, NotRequired) else origin
    return _CONCRETE.get(typ, typ)


def same_reducer(one: Callable[..., Any], other: Callable[..., Any]) -> bool:
    """Whether two reducers are the same as far as can be told: two lambdas never look different."""
    if "<lambda>" in (getattr(one, "__name__", ""), getattr(other, "__name__", "")):
        return True
    return one is other


def second_overwrite() -> InvalidUpdateError:
    """The error for two ``Overwrite`` in one step."""
    return InvalidUpdateError(
        create_error_message(
            message="Can receive only one Overwrite value per super-step.",
            error_code=ErrorCode.INVALID_CONCURRENT_GRAPH_UPDATE,
        )
    )
