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
class Verdict:
    """A row's figures: medians, our best, the median of paired ratios (theirs over ours), its quartiles.

    ``slower`` is how many times slower the machine is than the one that absolute goals were set on.
    """

    ours: float | None
    best: float | None
    theirs: float | None
    floor: float | None
    ratio: float | None
    low: float | None
    high: float | None
    slower: float

    @property
    def noisy(self) -> bool:
        """Whether the ratios differ too much to say anything."""
        return self.ratio is not None and (self.high or 0) - (self.low or 0) > NOISY * self.ratio

    def judge(self, row: Row) -> str:
        """``reached``, ``MISSED``, ``unclear`` or "" where there is no goal."""
        if row.times is not None and self.ratio is not None:
            low, high = self.low or self.ratio, self.high or self.ratio
            return "reached" if low >= row.times else "MISSED" if high < row.times else "unclear"
        if row.most is None or self.ours is None or self.best is None:
            return ""
        if self.ours <= row.most:
            return "reached"
        if self.ours <= row.most * self.slower:
            return "reached, scaled"
        return "MISSED" if self.best > row.most * self.slower else "unclear"


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
    ratios = [b / a for a, b in zip(ours, theirs, strict=False) if a]
    low = high = median(ratios) if ratios else None
    if len(ratios) >= ENOUGH:
        low, _, high = quantiles(ratios, n=4, method="inclusive")
    if row.unit in _STEADY:
        slower = 1.0
    elif row.reference and theirs:
        slower = max(1.0, median(theirs) / row.reference)
    return Verdict(
        median(ours) if ours else None,
        min(ours, default=None),
        median(theirs) if theirs else None,
        median(floor) if floor else None,
        median(ratios) if ratios else None,
        low,
        high,
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
                "durability": row.durability,
                "unit": row.unit,
                "dashflow": result.ours,
                "langgraph": result.theirs,
                "floor": result.floor,
                "ratio": result.ratio,
                "ratio_low": result.low,
                "ratio_high": result.high,
                "noisy": result.noisy,
                "goal_times": row.times,
                "goal_most": row.most,
                "slower": result.slower,
                "verdict": result.judge(row),
                "problem": samples.problems.get((OURS, row.work), ""),
            }
        )
    return found
