"""A token bucket: when the next attempt may begin. Asks no clock; its caller brings the time."""

from __future__ import annotations

from dashflow.batch.core.settings import Rate


class TokenBucket:
    """Counts attempts against a rate. Full at first.

    Args:
        rate: None lets everything through.
    """

    __slots__ = ("_at", "_burst", "_fills", "_tokens")

    def __init__(self, rate: Rate | None) -> None:
        self._fills = 0.0 if rate is None else rate.count / rate.per
        self._burst = 1.0 if rate is None else float(rate.burst)
        self._tokens = self._burst
        self._at: float | None = None

    def wait(self, now: float) -> float:
        """Seconds from ``now`` (of any clock that only measures) until an attempt may begin; 0: at once."""
        if not self._fills:
            return 0.0
        missing = 1.0 - self._level(now)
        return missing / self._fills if missing > 1e-9 else 0.0

    def take(self, now: float) -> None:
        """Count an attempt that begins ``now``; only when ``wait(now)`` is 0."""
        if self._fills:
            self._tokens = self._level(now) - 1.0
            self._at = now

    def _level(self, now: float) -> float:
        if self._at is None:
            return self._tokens
        return min(self._burst, self._tokens + (now - self._at) * self._fills)
