"""What a consumer group is told once: which records, by which key, how long, how often. Frozen data."""

from __future__ import annotations

from collections.abc import Callable
from random import uniform
from typing import Any, Final

import msgspec

from dashflow.errors import UsageError
from dashflow.log.base import Record
from dashflow.log.groups.core.events import FROM_NOW
from dashflow.types.policies import RetryPolicy

Key = Callable[[Record], str]
"""What a record's messages are kept in order by."""

RETRY: Final = RetryPolicy(
    initial_interval=1.0, backoff_factor=2.0, max_interval=300.0, max_attempts=5, retry_on=Exception
)
"""What becomes of handlers' errors when nothing else is said: five attempts, 1, 2, 4 and 8 seconds apart."""

STARTS: Final = {"beginning": 0, "now": FROM_NOW}


def by_stream(record: Record) -> str:
    """The usual key: one stream's events in order, those of different streams beside each other."""
    return record.stream


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """See ``ConsumerGroup``, whose arguments these are; ``start`` is a position, or ``FROM_NOW``."""

    category: str | None
    types: tuple[str, ...]
    correlation: str
    key: Key
    start: int
    retry: RetryPolicy
    visibility: int
    window: int
    clock: Callable[[], int]

    @property
    def conditions(self) -> dict[str, Any]:
        """Which records, as arguments of ``EventLog.subscribe`` and ``read_all``; those that are set."""
        conditions = {"category": self.category, "types": self.types, "correlation": self.correlation}
        return {name: value for name, value in conditions.items() if value}

    def delay(self, attempt: int) -> int:
        """Nanoseconds to wait after the failed attempt number ``attempt``."""
        seconds = self.retry.interval(attempt)
        return int((seconds + uniform(0, 1) if self.retry.jitter else seconds) * 1e9)


def position_of(start: str | int) -> int:
    """The position behind which a group starts.

    Raises:
        UsageError: Neither a known word nor a position.
    """
    position = STARTS.get(start) if isinstance(start, str) else start
    if position is None or (position < 0 and not isinstance(start, str)):
        raise UsageError(f"A group starts at 'beginning', at 'now', or behind a position; not at {start!r}.")
    return position
