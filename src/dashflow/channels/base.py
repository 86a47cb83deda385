"""What every channel is: a cell of the state with a rule for updates. Pure; on the hottest path.

A channel is stateful: ``update`` changes it in place. What ``checkpoint`` returned is never changed
afterwards, and what ``from_checkpoint`` was given is never changed by the new channel.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, Self, TypeVar

from dashflow._util.sentinel import MISSING
from dashflow.errors import EmptyChannelError

Value = TypeVar("Value")
Update = TypeVar("Update")
Checkpoint = TypeVar("Checkpoint")

__all__ = ("BaseChannel",)


class BaseChannel(ABC, Generic[Value, Update, Checkpoint]):
    """Base of all channels.

    Attributes:
        typ: Type of the value.
        key: Name in the graph's state; the graph sets it, errors name it.
    """

    __slots__ = ("key", "typ")

    def __init__(self, typ: Any, key: str = "") -> None:
        self.typ = typ
        self.key = key

    @property
    @abstractmethod
    def ValueType(self) -> Any:
        """Type of the value that ``get`` returns."""

    @property
    @abstractmethod
    def UpdateType(self) -> Any:
        """Type of what ``update`` takes a sequence of."""

    @property
    def reduces(self) -> bool:
        """Whether an update is joined with the value; else it takes the value's place."""
        return False

    def copy(self) -> Self:
        """An independent channel with the same value."""
        return self.from_checkpoint(self.checkpoint())

    def checkpoint(self) -> Checkpoint | Any:
        """The state as a value to store; MISSING when there is none."""
        try:
            return self.get()
        except EmptyChannelError:
            return MISSING

    def snapshot(self) -> Any:
        """The whole state, for DashFlow's log, which finds out what changed of it; MISSING: none.

        ``from_checkpoint`` takes it. Differs from ``checkpoint`` where savers keep something else.
        """
        return self.checkpoint()

    @abstractmethod
    def from_checkpoint(self, checkpoint: Checkpoint | Any) -> Self:
        """A new channel of the same kind with a stored state; MISSING: an empty one."""

    @abstractmethod
    def get(self) -> Value:
        """The value.

        Raises:
            EmptyChannelError: There is none.
        """

    def is_available(self) -> bool:
        """Whether ``get`` would return a value."""
        try:
            self.get()
        except EmptyChannelError:
            return False
        return True

    @abstractmethod
    def update(self, values: Sequence[Update]) -> bool:
        """Take the updates of one step, in an order that tasks do not choose; () ends a step without any.

        Returns:
            Whether the channel changed.

        Raises:
            InvalidUpdateError: The channel cannot take these together.
        """

    def consume(self) -> bool:
        """A task that the channel triggered has run. Returns whether the channel changed."""
        return False

    def finish(self) -> bool:
        """The run is about to end. Returns whether the channel changed, which keeps the run going."""
        return False


class ValueChannel(BaseChannel[Value, Update, Checkpoint]):
    """Base of the channels whose state is one value or none.

    Attributes:
        value: The value, or MISSING.
    """

    __slots__ = ("value",)

    value: Any

    def __init__(self, typ: Any, key: str = "") -> None:
        self.typ = typ
        self.key = key
        self.value = MISSING

    @property
    def ValueType(self) -> Any:
        """Type of the value."""
        return self.typ

    @property
    def UpdateType(self) -> Any:
        """Type of an update."""
        return self.typ

    def _blank(self) -> Self:
        """A new channel of the same kind, without a value."""
        return self.__class__(self.typ, self.key)

    def copy(self) -> Self:
        """An independent channel with the same value."""
        new = self._blank()
        new.value = self.value
        return new

    def checkpoint(self) -> Any:
        """The value, or MISSING."""
        return self.value

    def from_checkpoint(self, checkpoint: Any) -> Self:
        """A new channel with a stored value."""
        new = self._blank()
        if checkpoint is not MISSING:
            new.value = checkpoint
        return new

    def get(self) -> Value:
        """The value.

        Raises:
            EmptyChannelError: There is none.
        """
        if self.value is MISSING:
            raise EmptyChannelError()
        value: Value = self.value
        return value

    def is_available(self) -> bool:
        """Whether there is a value."""
        return self.value is not MISSING
