"""What may be asked of a batch: its commands. Frozen data; no behaviour.

Every command has ``now``, nanoseconds since the Unix epoch: the handler asks no clock.
"""

from __future__ import annotations

import msgspec

from dashflow.batch.core.events import Failure
from dashflow.batch.core.settings import BatchSettings


class BatchCommand(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the commands of batches. ``now``: nanoseconds since the Unix epoch."""

    now: int


class Start(BatchCommand, frozen=True, kw_only=True):
    """Name a batch; fields as in ``events.BatchStarted``."""

    name: str
    work: str
    settings: BatchSettings
    target: str = ""
    source: str = ""
    key: str = ""
    priority: str = ""


class Resume(BatchCommand, frozen=True, kw_only=True):
    """A new owner goes on, whatever it was that ended the work of the last one.

    Attributes:
        settings: How the batch is worked on from now on; None: as before.
    """

    settings: BatchSettings | None = None


class Accept(BatchCommand, frozen=True, kw_only=True):
    """Take further items in; fields as in ``events.ItemsAdded``."""

    first: int
    count: int
    inputs: bytes
    digest: int
    keys: tuple[str, ...] = ()
    priorities: tuple[float, ...] = ()


class EndInput(BatchCommand, frozen=True, kw_only=True):
    """There are no more items."""


class Begin(BatchCommand, frozen=True, kw_only=True):
    """Attempts at these items begin."""

    items: tuple[int, ...]


class Complete(BatchCommand, frozen=True, kw_only=True):
    """Items came to these results: (index, attempts, encoded result)."""

    results: tuple[tuple[int, int, bytes], ...]


class Fail(BatchCommand, frozen=True, kw_only=True):
    """Items failed and are not tried again."""

    failures: tuple[Failure, ...]


class Settle(BatchCommand, frozen=True, kw_only=True):
    """Come to an end if nothing is left, or stop if too much has failed."""


class Requeue(BatchCommand, frozen=True, kw_only=True):
    """Try dead letters again: these, or with None all of them."""

    items: tuple[int, ...] | None = None


class Pause(BatchCommand, frozen=True, kw_only=True):
    """Start no further item until somebody resumes."""

    reason: str = ""


class Suspend(BatchCommand, frozen=True, kw_only=True):
    """The owner leaves in good order."""


class Cancel(BatchCommand, frozen=True, kw_only=True):
    """End the batch for good."""

    reason: str = ""


Command = (
    Start | Resume | Accept | EndInput | Begin | Complete | Fail | Settle | Requeue | Pause | Suspend | Cancel
)
"""Every command of a batch; ``process`` has a row for each."""
