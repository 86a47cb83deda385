"""What is known about a batch: the state that ``fold`` builds from events. Frozen data; decides nothing.

Holds no values: one byte for each item, one row for each chunk of them, and what concerns unfinished ones.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import msgspec

from dashflow.batch.core.items import ItemStates
from dashflow.batch.core.settings import BatchSettings


class BatchStatus(StrEnum):
    """Where a batch stands."""

    RUNNING = "running"
    """Items run, or would if somebody ran the batch."""
    PAUSED = "paused"
    """Somebody paused it."""
    STOPPED = "stopped"
    """Too many items failed."""
    CANCELLED = "cancelled"
    """Ended for good."""
    COMPLETED = "completed"
    """Every item has come to a result or was given up."""


class Chunk(NamedTuple):
    """Where in the stream items are: ``first`` and those that follow are in its event number ``version``."""

    first: int
    version: int


class BatchState(msgspec.Struct, frozen=True):
    """One batch, after ``cursor`` events.

    Attributes:
        name: The batch; empty before anything happened.
        work, settings, target, source, key, priority: As recorded when it was started.
        status: Where it stands.
        items: Where each item stands.
        chunks: Where in the stream their inputs are, ascending.
        ended: Whether all items of the source are accepted.
        digest: Of all accepted items.
        keyed: Whether items have keys of their own.
        attempts: Of items that are begun and not finished: how many attempts began.
        lost: Of unfinished items: how many processes died while they ran.
        completed, failed: How many items came to a result, or are dead letters.
        failed_here, finished_here: The same since the batch was last started or resumed; ``finished_here``
            counts both.
        left: Whether the last owner left in good order.
        interrupted: Whether the owner before this one did not.
        reason: Why it is paused, stopped or cancelled.
        cursor: How many events were folded: the version of the stream.
        created_at, updated_at, ended_at: Nanoseconds since the Unix epoch; 0: not yet.
    """

    name: str = ""
    work: str = ""
    settings: BatchSettings = BatchSettings()
    target: str = ""
    source: str = ""
    key: str = ""
    priority: str = ""
    status: BatchStatus = BatchStatus.RUNNING
    items: ItemStates = ItemStates()
    chunks: tuple[Chunk, ...] = ()
    ended: bool = False
    digest: int = 0
    keyed: bool = False
    attempts: dict[int, int] = {}
    lost: dict[int, int] = {}
    completed: int = 0
    failed: int = 0
    failed_here: int = 0
    finished_here: int = 0
    left: bool = True
    interrupted: bool = False
    reason: str = ""
    cursor: int = 0
    created_at: int = 0
    updated_at: int = 0
    ended_at: int = 0

    @property
    def count(self) -> int:
        """How many items are accepted."""
        return self.items.count

    @property
    def open(self) -> int:
        """How many accepted items are not finished."""
        return self.items.count - self.completed - self.failed

    @property
    def over(self) -> bool:
        """Whether nothing is left to do, unless dead letters are requeued."""
        return self.status in (BatchStatus.COMPLETED, BatchStatus.CANCELLED)
