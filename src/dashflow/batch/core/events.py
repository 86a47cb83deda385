"""What can happen to a batch: its event types. Frozen data; no behaviour.

Values (inputs, results) are inside as bytes of the log's codec, many to one ``bytes`` (see ``codec.pack``):
whoever folds a large batch need not look into them.
"""

from __future__ import annotations

import msgspec

from dashflow.batch.core.settings import BatchSettings


class Failure(msgspec.Struct, frozen=True):
    """Why an item was given up.

    Attributes:
        item: Its index.
        attempts: How many attempts were made.
        kind: The last error's stable code, or the name of its class.
        message: What it said, cut to a bounded length.
    """

    item: int
    attempts: int
    kind: str
    message: str


class BatchEvent(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Base of the events of batches. ``at``: nanoseconds since the Unix epoch."""

    at: int


class BatchStarted(BatchEvent, frozen=True, tag=True, kw_only=True):
    """A batch was named; nothing is accepted yet.

    Attributes:
        name: The batch.
        work: What runs its items: ``graph``, ``plan``, ``function`` or another port's kind.
        settings: How it is worked on, unless a later process is told otherwise.
        target: Where a command line finds the graph again (``module:name``); empty if it cannot.
        source: Where a command line finds the items again; empty if it cannot.
        key: The field that is an item's key, for a command line; empty: the index.
        priority: The field that is an item's priority, for a command line; empty: all have the same.
    """

    name: str
    work: str
    settings: BatchSettings
    target: str = ""
    source: str = ""
    key: str = ""
    priority: str = ""


class ItemsAdded(BatchEvent, frozen=True, tag=True, kw_only=True):
    """Items were accepted: from here on they are run, whatever happens to the process.

    Attributes:
        first: Index of the first one; the others follow.
        count: How many.
        inputs: Their values, packed.
        keys: Their keys; empty where the index is the key.
        priorities: Their priorities; empty where all are 0.
        digest: Of all items of the batch up to the last of these: tells whether a source is the same again.
    """

    first: int
    count: int
    inputs: bytes
    digest: int
    keys: tuple[str, ...] = ()
    priorities: tuple[float, ...] = ()


class InputEnded(BatchEvent, frozen=True, tag=True, kw_only=True):
    """The source of items came to its end: there are ``count`` and there will be no more."""

    count: int


class ItemsStarted(BatchEvent, frozen=True, tag=True, kw_only=True):
    """Attempts at these items began. Without an end of them in the log they were lost with their process."""

    items: tuple[int, ...]


class ItemsCompleted(BatchEvent, frozen=True, tag=True, kw_only=True):
    """Items came to a result: ``items`` with their ``attempts``, in the order of the packed ``results``."""

    items: tuple[int, ...]
    attempts: tuple[int, ...]
    results: bytes


class ItemsFailed(BatchEvent, frozen=True, tag=True, kw_only=True):
    """Items were given up and are dead letters now."""

    failures: tuple[Failure, ...]


class ItemsRequeued(BatchEvent, frozen=True, tag=True, kw_only=True):
    """Dead letters are to be tried again, with fresh attempts: these, or without any named, all of them."""

    items: tuple[int, ...] = ()


class BatchPaused(BatchEvent, frozen=True, tag=True, kw_only=True):
    """No further item is started until somebody resumes the batch."""

    reason: str = ""


class BatchStopped(BatchEvent, frozen=True, tag=True, kw_only=True):
    """Too many items failed; no further item is started until somebody resumes the batch."""

    reason: str


class BatchSuspended(BatchEvent, frozen=True, tag=True, kw_only=True):
    """The owner left in good order; items that it had begun count as not begun."""


class BatchResumed(BatchEvent, frozen=True, tag=True, kw_only=True):
    """An owner goes on.

    Attributes:
        lost: Items that ran when the last owner died; they begin again.
        settings: How the batch is worked on from now on; None: as before.
    """

    lost: tuple[int, ...] = ()
    settings: BatchSettings | None = None


class BatchCancelled(BatchEvent, frozen=True, tag=True, kw_only=True):
    """Somebody ended the batch for good; results that still arrive are not taken."""

    reason: str = ""


class BatchCompleted(BatchEvent, frozen=True, tag=True, kw_only=True):
    """Every item has come to a result or was given up."""

    completed: int
    failed: int


Event = (
    BatchStarted
    | ItemsAdded
    | InputEnded
    | ItemsStarted
    | ItemsCompleted
    | ItemsFailed
    | ItemsRequeued
    | BatchPaused
    | BatchStopped
    | BatchSuspended
    | BatchResumed
    | BatchCancelled
    | BatchCompleted
)
"""Every event of a batch; ``codec`` knows how each is stored."""
