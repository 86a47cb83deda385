"""How a batch is to be worked on: limits, rate, retries, thresholds. Frozen data that is recorded with it."""

from __future__ import annotations

from math import ceil, isfinite
from typing import Final

import msgspec

from dashflow.errors import UsageError

_SECONDS: Final = {"s": 1.0, "sec": 1.0, "second": 1.0, "m": 60.0, "min": 60.0, "minute": 60.0,
                   "h": 3600.0, "hour": 3600.0}  # fmt: skip

MAX_LOST: Final = 3
"""How many processes may die while an item runs before it is given up."""


class Rate(msgspec.Struct, frozen=True):
    """How many attempts may begin in a time.

    Attributes:
        count: Attempts in ``per`` seconds on average.
        per: Seconds.
        burst: How many may begin at once after a quiet time; 1 spaces them evenly.
    """

    count: float
    per: float = 1.0
    burst: int = 1

    @classmethod
    def parse(cls, text: str) -> Rate:
        """A rate written as ``10/s``, ``100/min`` or ``5000/hour``.

        Raises:
            UsageError: Written in another way.
        """
        count, _, unit = text.partition("/")
        try:
            return cls(float(count), _SECONDS[unit.strip().lower()])
        except (ValueError, KeyError):
            raise UsageError(f"{text!r} is no rate. Write one as 10/s, 100/min or 5000/hour.") from None


class BatchSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is recorded of how a batch is worked on.

    Attributes:
        concurrency: How many items run at a time.
        rate: How many attempts may begin in a time; None: as fast as they come.
        timeout: Seconds that an attempt may take; None: as long as it takes.
        max_attempts: Attempts in all for an item, the first one included.
        stop_count: Stop when more items than this failed; None: never for their number.
        stop_share: Stop when more than this share of the finished items failed; None: never.
        ahead: How many accepted items may wait. Priorities are compared among these.
        max_lost: How many processes may die while an item runs before it is given up.
    """

    concurrency: int = 8
    rate: Rate | None = None
    timeout: float | None = None
    max_attempts: int = 1
    stop_count: int | None = None
    stop_share: float | None = None
    ahead: int = 10_000
    max_lost: int = MAX_LOST

    def check(self) -> None:
        """Refuse what cannot be.

        Raises:
            UsageError: A number is out of its range; the message names it.
        """
        if not 1 <= self.concurrency <= 10_000:
            raise UsageError(f"concurrency is {self.concurrency}; it has to be between 1 and 10,000.")
        if self.ahead < 1:
            raise UsageError(f"ahead is {self.ahead}; at least one item has to be accepted at a time.")
        if self.timeout is not None and not self.timeout > 0:
            raise UsageError(f"timeout is {self.timeout}; it has to be more than 0 seconds.")
        if self.max_attempts < 1:
            raise UsageError(f"{self.max_attempts} attempts can do nothing. Ask for at least 1.")
        if self.max_lost < 1:
            raise UsageError(f"max_lost is {self.max_lost}; it has to be at least 1.")
        if self.stop_count is not None and self.stop_count < 0:
            raise UsageError(f"failure_threshold is {self.stop_count}; a number of items is 0 or more.")
        if self.stop_share is not None and not 0 < self.stop_share < 1:
            raise UsageError(f"failure_threshold is {self.stop_share}; a share is between 0 and 1.")
        rate = self.rate
        if rate is not None and not (
            rate.count > 0 and rate.per > 0 and rate.burst >= 1 and isfinite(rate.count / rate.per)
        ):
            raise UsageError(
                f"{rate.count:g} in {rate.per:g} s with bursts of {rate.burst} is no rate; all have to be "
                "above 0."
            )

    def too_many(self, failed: int, finished: int) -> str:
        """Why a batch with so many failed among its finished items has to stop; empty if it has not.

        A share is looked at once so many items have finished that a single failure would not exceed it.
        """
        if self.stop_count is not None and failed > self.stop_count:
            return f"{failed} items failed, more than {self.stop_count}"
        share = self.stop_share
        if share is not None and finished >= ceil(1 / share) and failed > share * finished:
            return f"{failed} of {finished} finished items failed, more than {share:.3g} of them"
        return ""
