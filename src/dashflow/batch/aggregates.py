"""What can be made of a batch's results while they arrive: reduce, count, statistics, groups.

Results are taken in the order in which the log has them. That order is recorded once and for all, so a batch
that goes on after a crash folds its results again and comes to the same value: none is missed, none is
counted twice. An aggregate that must see the items in their own order says so (``ordered``).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable, Sequence
from math import fsum, isfinite
from typing import Any, Protocol

import msgspec

from dashflow.batch.quantiles import Quantiles
from dashflow.errors import UsageError


class Aggregate(Protocol):
    """Makes one value of many results."""

    @property
    def ordered(self) -> bool:
        """Whether results must come in the order of their items."""
        ...

    def start(self) -> Any:
        """An accumulator that has seen nothing."""
        ...

    def add(self, accumulator: Any, result: Any) -> Any:
        """The accumulator after one more result; it may be the same object."""
        ...

    def value(self, accumulator: Any) -> Any:
        """What the accumulator comes to; a value of its own, which later results leave alone."""
        ...


class Reduce:
    """Combines results with a function.

    Args:
        function: From the value so far and a result to the next value. May change the value it is given.
        initial: The value before the first result; copied.
        ordered: Take results in the order of the items: for functions whose value depends on it. Partial
            values are then of the items before the first one that is not finished.
    """

    def __init__(self, function: Callable[[Any, Any], Any], initial: Any, *, ordered: bool = False) -> None:
        self._function = function
        self._initial = initial
        self.ordered = ordered

    def start(self) -> Any:
        """See ``Aggregate.start``."""
        return copy.deepcopy(self._initial)

    def add(self, accumulator: Any, result: Any) -> Any:
        """See ``Aggregate.add``."""
        return self._function(accumulator, result)

    def value(self, accumulator: Any) -> Any:
        """See ``Aggregate.value``."""
        return copy.deepcopy(accumulator)


class Count:
    """Counts results.

    Args:
        where: Only those for which this is true.
    """

    ordered = False

    def __init__(self, where: Callable[[Any], bool] | None = None) -> None:
        self._where = where

    def start(self) -> int:
        """See ``Aggregate.start``."""
        return 0

    def add(self, accumulator: int, result: Any) -> int:
        """See ``Aggregate.add``."""
        return accumulator + (self._where is None or bool(self._where(result)))

    def value(self, accumulator: int) -> int:
        """See ``Aggregate.value``."""
        return accumulator


class Summary(msgspec.Struct, frozen=True):
    """Statistics of numbers.

    Attributes:
        count: How many numbers.
        sum, mean: Exact as far as a float can be, whatever the order; ``mean`` is None without numbers.
        min, max: None without numbers.
        percentiles: By percent, each with a relative error of at most what ``Stats`` was told.
    """

    count: int = 0
    sum: float = 0.0
    mean: float | None = None
    min: float | None = None
    max: float | None = None
    percentiles: dict[float, float] = {}


class _Numbers:
    """Numbers seen so far. ``parts`` add up to their exact sum."""

    __slots__ = ("high", "low", "parts", "quantiles")

    def __init__(self, accuracy: float) -> None:
        self.quantiles = Quantiles(accuracy)
        self.parts: list[float] = []
        self.low: float | None = None
        self.high: float | None = None

    def add(self, number: float) -> None:
        self.quantiles.add(number)
        self.low = number if self.low is None else min(self.low, number)
        self.high = number if self.high is None else max(self.high, number)
        # Parts that do not overlap: "Adaptive Precision Floating-Point Arithmetic" (Shewchuk, 1997).
        parts = []
        for part in self.parts:
            if abs(number) < abs(part):
                number, part = part, number
            total = number + part
            if rest := part - (total - number):
                parts.append(rest)
            number = total
        self.parts = [*parts, number]


class Stats:
    """Count, sum, mean, smallest, largest and percentiles of a number in each result.

    Args:
        value: Takes the number out of a result; None: the result is the number.
        percentiles: Which ones, in percent.
        accuracy: Relative error of the percentiles; memory grows as it shrinks.
    """

    ordered = False

    def __init__(
        self,
        value: Callable[[Any], float] | None = None,
        *,
        percentiles: Sequence[float] = (50, 90, 95, 99),
        accuracy: float = 0.01,
    ) -> None:
        if not 0 < accuracy < 1 or not all(0 <= percent <= 100 for percent in percentiles):
            raise UsageError("accuracy is between 0 and 1, and every percentile between 0 and 100.")
        self._of = value
        self._percentiles = tuple(percentiles)
        self._accuracy = accuracy

    def start(self) -> Any:
        """See ``Aggregate.start``."""
        return _Numbers(self._accuracy)

    def add(self, accumulator: Any, result: Any) -> Any:
        """See ``Aggregate.add``.

        Raises:
            ValueError: Not a finite number.
        """
        number = float(result if self._of is None else self._of(result))
        if not isfinite(number):
            raise ValueError(f"{number} is no number to make statistics of")
        accumulator.add(number)
        return accumulator

    def value(self, accumulator: Any) -> Summary:
        """See ``Aggregate.value``."""
        count = accumulator.quantiles.count
        if not count:
            return Summary()
        total = fsum(accumulator.parts)
        return Summary(
            count=count,
            sum=total,
            mean=total / count,
            min=accumulator.low,
            max=accumulator.high,
            percentiles={percent: accumulator.quantiles.at(percent) for percent in self._percentiles},
        )


class GroupBy:
    """Another aggregate for each group of results.

    Args:
        key: Makes a result's group.
        of: What is made of each group; None: counts it.

    The value is a dict from group to value. Memory grows with the number of groups.
    """

    def __init__(self, key: Callable[[Any], Hashable], of: Aggregate | None = None) -> None:
        self._key = key
        self._of: Aggregate = Count() if of is None else of

    @property
    def ordered(self) -> bool:
        """Whether what is made of each group is."""
        return self._of.ordered

    def start(self) -> dict[Hashable, Any]:
        """See ``Aggregate.start``."""
        return {}

    def add(self, accumulator: dict[Hashable, Any], result: Any) -> dict[Hashable, Any]:
        """See ``Aggregate.add``."""
        group = self._key(result)
        before = accumulator[group] if group in accumulator else self._of.start()
        accumulator[group] = self._of.add(before, result)
        return accumulator

    def value(self, accumulator: dict[Hashable, Any]) -> dict[Hashable, Any]:
        """See ``Aggregate.value``."""
        return {group: self._of.value(of) for group, of in accumulator.items()}
