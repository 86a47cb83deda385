"""LastValue: one value, one writer per step; and its form that waits for the end of the run. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic

from dashflow._util.sentinel import MISSING
from dashflow.channels.base import Value, ValueChannel
from dashflow.errors import EmptyChannelError, ErrorCode, InvalidUpdateError, create_error_message

__all__ = ("LastValue", "LastValueAfterFinish")


class LastValue(ValueChannel[Value, Value, Value], Generic[Value]):
    """Keeps the last value; two in one step are an error."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LastValue)

    __hash__ = None  # type: ignore[assignment]

    def update(self, values: Sequence[Value]) -> bool:
        """Take the one value.

        Raises:
            InvalidUpdateError: There are several.
        """
        if len(values) == 1:
            self.value = values[0]
            return True
        if not values:
            return False
        raise InvalidUpdateError(
            create_error_message(
                message=f"At key '{self.key}': Can receive only one value per step. "
                "Use an Annotated key to handle multiple values.",
                error_code=ErrorCode.INVALID_CONCURRENT_GRAPH_UPDATE,
            )
        )


class LastValueAfterFinish(ValueChannel[Value, Value, tuple[Value, bool]], Generic[Value]):
    """Keeps the last value and shows it once the run is about to end; reading tasks use it up.

    Attributes:
        finished: Whether the value may be read.
    """

    __slots__ = ("finished",)

    def __init__(self, typ: Any, key: str = "") -> None:
        super().__init__(typ, key)
        self.finished = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, LastValueAfterFinish)

    __hash__ = None  # type: ignore[assignment]

    def copy(self) -> LastValueAfterFinish[Value]:
        """An independent channel in the same state."""
        return self.from_checkpoint(self.checkpoint())

    def checkpoint(self) -> Any:
        """The value and whether it may be read; MISSING without a value."""
        return MISSING if self.value is MISSING else (self.value, self.finished)

    def from_checkpoint(self, checkpoint: Any) -> LastValueAfterFinish[Value]:
        """A new channel in a stored state."""
        new = self._blank()
        if checkpoint is not MISSING:
            new.value, new.finished = checkpoint
        return new

    def update(self, values: Sequence[Value]) -> bool:
        """Take the last of the values; it may not be read yet."""
        if not values:
            return False
        self.finished = False
        self.value = values[-1]
        return True

    def consume(self) -> bool:
        """Drop a value that was read."""
        if not self.finished:
            return False
        self.finished = False
        self.value = MISSING
        return True

    def finish(self) -> bool:
        """Let a value be read."""
        if self.finished or self.value is MISSING:
            return False
        self.finished = True
        return True

    def get(self) -> Value:
        """The value.

        Raises:
            EmptyChannelError: There is none, or the run does not end yet.
        """
        if not self.finished:
            raise EmptyChannelError()
        return super().get()

    def is_available(self) -> bool:
        """Whether there is a value that may be read."""
        return self.finished and self.value is not MISSING
