"""Whether a stretch of a stream is whole. Pure; for every backend.

Versions follow each other without a gap, so that an event which is not found where it should be is damage: an
index that lost its row, or a row that was changed. Without this, a thread without its last event would look
like a thread that never came that far.
"""

from __future__ import annotations

from collections.abc import Sequence

from dashflow.log.base import Record


def missing_from(records: Sequence[Record], first: int, last: int, limit: int | None) -> int:
    """The first version that should be among a stream's events and is not; 0 for none.

    Args:
        records: What was found, in order.
        first: The version before the first one.
        last: The version up to which they must go; there may be newer ones.
        limit: How many were asked for at most; None: all.
    """
    found = len(records)
    end = records[-1].version if records else first
    if end - first == found:
        return end + 1 if end < last and (limit is None or found < limit) else 0
    expected = first
    for record in records:
        expected += 1
        if record.version != expected:
            return expected
    return 0
