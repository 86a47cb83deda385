"""Mapped: a channel seen through functions: for what is written and for what is read. Pure if they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, Self

from dashflow._util.sentinel import MISSING
from dashflow.channels.base import BaseChannel, Update, Value
from dashflow.types.commands import overwrite_of

__all__ = ("Mapped",)


class Mapped(BaseChannel[Value, Update, Any], Generic[Value, Update]):
    """Another channel, with updates changed on their way in and the value on its way out.

    What is stored is the inner channel's state. An ``Overwrite`` goes in as it is.

    Args:
        channel: The inner channel.
        write: From an update to the inner channel's update; None: as it is.
        read: From the inner channel's value to this one's; None: as it is.
    """

    __slots__ = ("inner", "mapped", "write")

    def __init__(
        self,
        channel: BaseChannel[Any, Any, Any],
        *,
        write: Callable[[Update], Any] | None = None,
        read: Callable[[Any], Value] | None = None,
    ) -> None:
        self.inner = channel
        self.write = write
        self.mapped = read
        super().__init__(channel.typ)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Mapped)
            and self.inner == other.inner
            and (self.write, self.mapped) == (other.write, other.mapped)
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def key(self) -> str:  # errors of the inner channel name this one
        """Name in the graph's state."""
        return self.inner.key

    @key.setter
    def key(self, name: str) -> None:
        self.inner.key = name

    @property
    def ValueType(self) -> Any:
        """Type of the value: the inner channel's, unless a function changes it."""
        return self.inner.ValueType if self.mapped is None else Any

    @property
    def UpdateType(self) -> Any:
        """Type of an update: the inner channel's, unless a function changes it."""
        return self.inner.UpdateType if self.write is None else Any

    @property
    def reduces(self) -> bool:
        """See ``BaseChannel.reduces``."""
        return self.inner.reduces

    def _with(self, inner: BaseChannel[Any, Any, Any]) -> Self:
        return self.__class__(inner, write=self.write, read=self.mapped)

    def copy(self) -> Self:
        """An independent channel in the same state."""
        return self._with(self.inner.copy())

    def checkpoint(self) -> Any:
        """The inner channel's state."""
        return self.inner.checkpoint()

    def snapshot(self) -> Any:
        """The inner channel's state, whole."""
        return self.inner.snapshot()

    def from_checkpoint(self, checkpoint: Any) -> Self:
        """A new channel whose inner channel has a stored state."""
        return self._with(self.inner.from_checkpoint(checkpoint))

    def get(self) -> Value:
        """The inner channel's value, mapped.

        Raises:
            EmptyChannelError: It has none.
        """
        value = self.inner.get()
        return value if self.mapped is None else self.mapped(value)

    def is_available(self) -> bool:
        """Whether the inner channel has a value."""
        return self.inner.is_available()

    def update(self, values: Sequence[Update]) -> bool:
        """Hand the mapped updates on.

        Raises:
            InvalidUpdateError: The inner channel cannot take these together.
        """
        write = self.write
        if write is not None:
            values = [value if overwrite_of(value) is not MISSING else write(value) for value in values]
        return self.inner.update(values)

    def consume(self) -> bool:
        """See ``BaseChannel.consume``."""
        return self.inner.consume()

    def finish(self) -> bool:
        """See ``BaseChannel.finish``."""
        return self.inner.finish()
