"""What samples say: medians, paired ratios, how much they scatter, and whether a goal is reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

from benchmarks.rounds import FLOOR, OURS, THEIRS, Samples
from benchmarks.rows import CPU, MB, Row

NOISY = 0.35
"""Spread of paired ratios (middle half over median) from which a row says nothing."""

ENOUGH = 3
"""Rounds from which the spread is known."""

_STEADY = ("calls", "B", "modules", MB)
"""Units that do not depend on how fast the machine is."""


@dataclass(frozen=True)
class Ratio:
    """The median of paired ratios, and their quartiles."""

    value: float
    low: float
    high: float

    @property
    def noisy(self) -> bool:
        """Whether the ratios differ too much to say anything."""
        return self.high - self.low > NOISY * self.value


@dataclass(frozen=True)
class Verdict:
    """A row's figures: medians, our best, how many times better than LangGraph, how many times the floor.

    ``slower`` is how many times slower the machine is than the one that absolute goals were set on.
    """

    ours: float | None
    best: float | None
    theirs: float | None
    floor: float | None
    ratio: Ratio | None
    over: Ratio | None
    slower: float

    def noisy(self, row: Row) -> bool:
        """Whether the row can be judged; by the ratio that its goal is about."""
        judged = self.over if row.over is not None else self.ratio
        return judged is not None and judged.noisy

    def judge(self, row: Row) -> str:
        """``reached``, ``MISSED``, ``unclear`` or "" where there is no goal."""
        if row.times is not None and self.ratio is not None:
            return _within(row.times / self.ratio.high, row.times / self.ratio.low, 1.0)
        if row.over is not None and self.over is not None:
            return _within(self.over.low, self.over.high, row.over)
        if self.ours is None or self.best is None:
            return ""
        if row.least is not None:
            ours, best, most = 1 / self.ours, 1 / self.best, 1 / row.least
        elif row.most is not None:
            ours, best, most = self.ours, self.best, row.most
        else:
            return ""
        if ours <= most:
            return "reached"
        if ours <= most * self.slower:
            return "reached, scaled"
        return "MISSED" if best > most * self.slower else "unclear"


def _within(low: float, high: float, most: float) -> str:
    """Whether a ratio, known to lie between two figures, is at most so much."""
    return "reached" if high <= most else "MISSED" if low > most else "unclear"


def _ratio(of: Sequence[float], to: Sequence[float]) -> Ratio | None:
    """How many times ``to`` the figures ``of`` are, sample by sample."""
    ratios = [a / b for a, b in zip(of, to, strict=False) if a > 0 and b > 0]
    if not ratios:
        return None
    middle = low = high = median(ratios)
    if len(ratios) >= ENOUGH:
        low, _, high = quantiles(ratios, n=4, method="inclusive")
    return Ratio(middle, low, high)


def slowness(samples: Samples, table: Sequence[Row]) -> float:
    """How many times slower the machine is than the one that goals were set on, by LangGraph's figures."""
    found = [
        median(theirs) / row.reference
        for row in table
        if row.reference and row.unit == CPU and (theirs := samples.of(THEIRS, row))
    ]
    return max(1.0, median(found)) if found else 1.0


def verdict(samples: Samples, row: Row, slower: float) -> Verdict:
    """What a row's samples say; ``slower`` is for rows without a reference of their own."""
    ours, theirs, floor = (samples.of(package, row) for package in (OURS, THEIRS, FLOOR))
    if row.unit in _STEADY:
        slower = 1.0
    elif row.reference and theirs:
        now = median(theirs)
        slower = max(1.0, row.reference / now if row.more else now / row.reference)
    return Verdict(
        median(ours) if ours else None,
        (max if row.more else min)(ours, default=None),
        median(theirs) if theirs else None,
        median(floor) if floor else None,
        _ratio(ours, theirs) if row.more else _ratio(theirs, ours),
        _ratio(floor, ours) if row.more else _ratio(ours, floor),
        slower,
    )


def summary(samples: Samples, table: Sequence[Row]) -> list[dict[str, Any]]:
    """The table for programs."""
    slower, found = slowness(samples, table), []
    for row in table:
        result = verdict(samples, row, slower)
        found.append(
            {
                "row": row.label,
                "once": row.work.once,
                "durability": row.durability,
                "unit": row.unit,
                "dashflow": result.ours,
                "langgraph": result.theirs,
                "floor": result.floor,
                "ratio": result.ratio and result.ratio.value,
                "ratio_low": result.ratio and result.ratio.low,
                "ratio_high": result.ratio and result.ratio.high,
                "over": result.over and result.over.value,
                "noisy": result.noisy(row),
                "goal_times": row.times,
                "goal_most": row.most,
                "goal_least": row.least,
                "goal_over": row.over,
                "slower": result.slower,
                "verdict": result.judge(row),
                "problem": samples.problems.get((OURS, row.work), ""),
            }
        )
    return found
