"""What a running batch hands out: results and failures as they become durable, and how it stands.

Frozen data; knows nothing of flows.
"""

from __future__ import annotations

from typing import Any

import msgspec

from dashflow.batch.archive import ItemFailure, ItemResult
from dashflow.batch.core.state import BatchState, BatchStatus


class Progress(msgspec.Struct, frozen=True):
    """How a batch stands.

    Attributes:
        name: The batch.
        status: Where it stands.
        accepted: How many items are accepted so far.
        ended: Whether these are all.
        completed: How many came to a result.
        failed: How many are dead letters.
        aggregates: What each aggregate comes to so far.
        reason: Why it is paused, stopped or cancelled; empty if it is not.
        owner: Who alive runs it; empty for nobody, None where nobody has looked.
    """

    name: str
    status: BatchStatus
    accepted: int
    ended: bool
    completed: int
    failed: int
    aggregates: dict[str, Any] = {}
    reason: str = ""
    owner: str | None = None

    @property
    def open(self) -> int:
        """How many accepted items are not finished."""
        return self.accepted - self.completed - self.failed


def progress_of(
    state: BatchState, aggregates: dict[str, Any] | None = None, owner: str | None = None
) -> Progress:
    """How a batch stands at ``state``."""
    return Progress(
        name=state.name,
        status=state.status,
        accepted=state.count,
        ended=state.ended,
        completed=state.completed,
        failed=state.failed,
        aggregates=aggregates or {},
        reason=state.reason,
        owner=owner,
    )


Part = ItemResult | ItemFailure | Progress
"""What a batch that runs yields."""
