"""Percentiles of a stream of numbers in bounded memory, with a bounded relative error.

Numbers are counted in buckets whose bounds grow by a fixed factor, as in "DDSketch" (Masson, Rim, Lee; VLDB
2019). The order of the numbers makes no difference.
"""

from __future__ import annotations

from collections import Counter
from math import ceil, exp, log


class Quantiles:
    """Counts numbers by magnitude.

    Args:
        accuracy: The relative error of an answer: 0.01 says 1 %.
    """

    __slots__ = ("_base", "_high", "_low", "_negative", "_positive", "_zeros", "count")

    def __init__(self, accuracy: float = 0.01) -> None:
        self._base = log((1 + accuracy) / (1 - accuracy))
        self._positive: Counter[int] = Counter()
        self._negative: Counter[int] = Counter()
        self._zeros = 0
        self._low = 0.0
        self._high = 0.0
        self.count = 0

    def add(self, number: float) -> None:
        """Count a number."""
        self._low = min(self._low, number) if self.count else number
        self._high = max(self._high, number) if self.count else number
        self.count += 1
        if number > 0:
            self._positive[ceil(log(number) / self._base)] += 1
        elif number < 0:
            self._negative[ceil(log(-number) / self._base)] += 1
        else:
            self._zeros += 1

    def at(self, percent: float) -> float:
        """The number that ``percent`` of the numbers do not exceed. Raises ValueError when there is none."""
        if not self.count:
            raise ValueError("there are no numbers")
        rank = percent / 100 * (self.count - 1)
        seen = 0
        for bucket in sorted(self._negative, reverse=True):
            seen += self._negative[bucket]
            if seen > rank:
                return self._within(-self._middle(bucket))
        seen += self._zeros
        if seen > rank:
            return 0.0
        for bucket in sorted(self._positive):
            seen += self._positive[bucket]
            if seen > rank:
                return self._within(self._middle(bucket))
        return self._high

    def _middle(self, bucket: int) -> float:
        """The number whose relative distance to both bounds of a bucket is the same."""
        return 2 * exp(bucket * self._base) / (exp(self._base) + 1)

    def _within(self, number: float) -> float:
        return min(max(number, self._low), self._high)
