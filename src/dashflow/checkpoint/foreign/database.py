"""What a database of LangGraph's offers to an import, whatever holds its tables."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from dashflow.checkpoint.foreign.packed import Packing, UnreadableError, told_bytes, with_sends
from dashflow.checkpoint.imported import Typed

Marks = Container[tuple[str, Any]]
"""(channel, mark) of values that the log has already."""


class Value(NamedTuple):
    """A channel's value; ``typed`` is None when its mark says that the log has it."""

    channel: str
    label: Any
    mark: Any
    typed: Typed | None


class Lost(NamedTuple):
    """A part of a checkpoint that cannot be brought over."""

    name: str
    problem: UnreadableError


class Taken(NamedTuple):
    """A checkpoint as the tables have it, taken apart; open, not encrypted."""

    id: str
    parent: str
    told: Typed
    metadata: Typed
    values: Sequence[Value]
    lost: Sequence[Lost]


class Write(NamedTuple):
    """A write of a task."""

    task: str
    path: str
    number: int
    channel: str
    tag: str | None
    data: Any


class StoredItem(NamedTuple):
    """An item of a store: texts as a store's file has them, times in UTC."""

    prefix: str
    key: str
    value: str
    created_at: str
    updated_at: str
    expires_at: str | None
    ttl_minutes: float | None


class Database(Protocol):
    """Tables of LangGraph's savers, and of its stores where they are in the same database.

    All is read as it was at one moment. Nothing is changed.
    """

    kind: str
    where: str

    def places(self, threads: Sequence[str]) -> Iterator[tuple[str, str]]:
        """(thread, namespace) of all threads, or of these."""
        ...

    def checkpoints(
        self, thread: str, ns: str, packing: Packing, known: Marks
    ) -> Iterator[Taken | tuple[str, UnreadableError]]:
        """The checkpoints of a place, oldest first; of those that cannot be read the id and why."""
        ...

    def writes(self, thread: str, ns: str, checkpoint: str) -> list[Write]:
        """What tasks wrote at a checkpoint, in the order of tasks and indexes."""
        ...

    def orphans(self, thread: str, ns: str) -> int:
        """How many checkpoints of a place there are writes for, and nothing else."""
        ...

    def count_items(self) -> int:
        """How many items of a store the database has."""
        ...

    def items(self) -> Iterator[StoredItem]:
        """All items of a store."""
        ...

    def close(self) -> None:
        """Close the database."""
        ...


def sends_of(writes: Sequence[Write], packing: Packing, channel: str) -> list[Typed]:
    """The packets among a checkpoint's writes.

    Raises:
        UnreadableError: One cannot be read.
    """
    return [packing.opened(one.tag, one.data) for one in writes if one.channel == channel]


def finished(
    identifier: str,
    parent: str | None,
    told: dict[str, Any],
    opened: dict[str, Typed],
    sends: Callable[[], Sequence[Typed]],
) -> Typed:
    """A checkpoint's own bytes, its packets put where they belong today; adds to ``opened``.

    Args:
        identifier: Its id, as its row has it.
        parent: Id of the one before.
        told: The checkpoint without its values.
        opened: Its values.
        sends: Packets among the writes of the one before; asked for old layouts only.
    """
    if told.get("v", 4) < 4 and parent and not told.get("pending_sends"):
        with_sends(told, opened, sends())
    told["id"] = identifier
    return told_bytes(told)
