"""DeltaChannel: updates of a step are reduced together, and checkpoints keep the updates. Pure.

DashFlow's log keeps updates for every channel; this one is for LangGraph's savers, where only it does, and
for reducers that take a batch.
"""

from __future__ import annotations

import copy as copying
from collections.abc import Callable, Sequence
from typing import Any, Generic, Self

from dashflow._util.sentinel import MISSING
from dashflow.channels.base import Value, ValueChannel
from dashflow.channels.binop import concrete_type, same_reducer, second_overwrite
from dashflow.types.commands import overwrite_of
from dashflow.types.snapshots import DeltaSnapshot

__all__ = ("DeltaChannel",)


class DeltaChannel(ValueChannel[Any, Any, Any], Generic[Value]):
    """Keeps the value that ``reducer(value, updates)`` gives for the updates of each step.

    The reducer must give the same for the same arguments, and the same whether updates come in one batch
    or in several: ``reducer(reducer(v, a), b) == reducer(v, a + b)``.

    Attributes:
        reducer: ``(value, [update, ...]) -> value``; should not change its arguments.
        snapshot_frequency: Savers store the whole value every so many updates.
    """

    __slots__ = ("reducer", "snapshot_frequency")

    def __init__(
        self,
        reducer: Callable[[Any, Sequence[Any]], Any],
        typ: type[Value] | None = None,
        *,
        snapshot_frequency: int = 100,
    ) -> None:
        """``typ`` may be left out in ``Annotated[typ, DeltaChannel(...)]``: the graph fills it in.

        Raises:
            ValueError: ``snapshot_frequency`` is not positive.
        """
        if snapshot_frequency <= 0:
            raise ValueError(f"snapshot_frequency must be a positive int, got {snapshot_frequency}")
        super().__init__(list if typ is None else concrete_type(typ))
        self.reducer = reducer
        self.snapshot_frequency = snapshot_frequency

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, DeltaChannel)
            and self.snapshot_frequency == other.snapshot_frequency
            and same_reducer(self.reducer, other.reducer)
        )

    __hash__ = None  # type: ignore[assignment]

    @property
    def reduces(self) -> bool:
        """See ``BaseChannel.reduces``."""
        return True

    def _blank(self) -> Self:
        new = self.__class__(self.reducer, self.typ, snapshot_frequency=self.snapshot_frequency)
        new.key = self.key
        return new

    def copy(self) -> Self:
        """An independent channel with a copy of the value."""
        new = self._blank()
        new.value = copying.copy(self.value)
        return new

    def checkpoint(self) -> Any:
        """MISSING: savers keep the updates, and now and then a ``DeltaSnapshot`` made from ``get``."""
        return MISSING

    def snapshot(self) -> Any:
        """The value: the log keeps what changed of it by itself."""
        return self.value

    def from_checkpoint(self, checkpoint: Any) -> Self:
        """A new channel: empty, with a snapshot's value, or with one stored before it was a delta."""
        new = self._blank()
        if checkpoint is MISSING:
            new.value = new.typ()
        elif isinstance(checkpoint, DeltaSnapshot):
            new.value = checkpoint.value
        else:
            new.value = checkpoint
        return new

    def replay_writes(self, writes: Sequence[tuple[str, str, Any]]) -> None:
        """Apply stored updates (task id, channel, value), oldest first, from the last ``Overwrite`` on."""
        value = self.value
        updates: list[Any] = []
        for _, _, update in writes:
            new = overwrite_of(update)
            if new is MISSING:
                updates.append(update)
            else:
                value = self._replacement(new)
                updates.clear()
        self.value = self.reducer(value, updates) if updates else value

    def update(self, values: Sequence[Any]) -> bool:
        """Reduce the updates into the value, or let the one ``Overwrite`` among them replace it.

        Raises:
            InvalidUpdateError: There are several ``Overwrite``.
        """
        if not values:
            return False
        replaced = [new for value in values if (new := overwrite_of(value)) is not MISSING]
        if len(replaced) > 1:
            raise second_overwrite()
        if replaced:
            self.value = self._replacement(replaced[0])
        else:
            base = self.typ() if self.value is MISSING else self.value
            self.value = self.reducer(base, list(values))
        return True

    def _replacement(self, value: Any) -> Any:
        """An ``Overwrite``'s value as a base for reducers: a copy, and empty for None."""
        return self.typ() if value is None else copying.copy(value)
