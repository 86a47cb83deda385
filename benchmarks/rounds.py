"""Rounds: workers of all packages side by side, one sample each in turn, again and again.

A sample of one package is followed at once by the next package's, so that whatever the machine does
meanwhile happens to both; only the ratios of such neighbours are compared.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from types import TracebackType
from typing import Any, Self

from benchmarks.environment import ROOT, clean_environment
from benchmarks.processes import NotMeasuredError, demo_run, import_cost
from benchmarks.rows import Row, Work
from benchmarks.workloads import Figures

OURS, THEIRS, FLOOR = "dashflow", "langgraph", "floor"
NOISY = 0.35
"""Spread of paired ratios (middle half over median) from which a row says nothing."""


class Worker:
    """A process that measures one package."""

    def __init__(self, package: str, python: str, folder: Path, environment: Mapping[str, str]) -> None:
        self.package = package
        self.python = python
        self.environment = environment
        self.folder = folder
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.worker", package, str(folder)],
            cwd=ROOT,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def measure(self, work: Work) -> Figures:
        """One sample.

        Raises:
            NotMeasuredError: The work failed there, or the process ended.
        """
        if work.name == "import":
            return import_cost(self.python, self.package, self.environment)
        if work.name == "demo":
            return demo_run(self.python, self.folder, self.environment)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({"work": work.name, "given": dict(work.given)}) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            _, said = self._process.communicate()
            raise NotMeasuredError((said.strip().splitlines() or ["the worker ended"])[-1])
        answer = json.loads(line)
        if "error" in answer:
            raise NotMeasuredError(answer["error"])
        figures: Figures = answer["figures"]
        return figures

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()


@dataclass
class Samples:
    """What was measured: figures by work and package, one per round; and what went wrong."""

    figures: dict[tuple[str, Work], list[Figures]] = field(default_factory=dict)
    problems: dict[tuple[str, Work], str] = field(default_factory=dict)

    def of(self, package: str, row: Row) -> list[float]:
        """All figures of a row, in the order of rounds."""
        found = self.figures.get((package, row.work), [])
        return [value for figures in found if (value := figures.get(row.figure)) is not None]


@dataclass(frozen=True)
class Verdict:
    """A row's figures: medians, our best, the median of paired ratios (theirs over ours), its quartiles."""

    ours: float | None
    best: float | None
    theirs: float | None
    floor: float | None
    ratio: float | None
    low: float | None
    high: float | None

    @property
    def noisy(self) -> bool:
        """Whether the ratios differ too much to say anything."""
        return self.ratio is not None and (self.high or 0) - (self.low or 0) > NOISY * self.ratio

    def judge(self, row: Row) -> str:
        """``reached``, ``MISSED``, ``unclear`` or "" where there is no goal."""
        if row.times is not None and self.ratio is not None:
            low, high = self.low or self.ratio, self.high or self.ratio
            return "reached" if low >= row.times else "MISSED" if high < row.times else "unclear"
        if row.most is not None and self.ours is not None and self.best is not None:
            return "reached" if self.ours <= row.most else "MISSED" if self.best > row.most else "unclear"
        return ""


def verdict(samples: Samples, row: Row) -> Verdict:
    """What a row's samples say."""
    ours, theirs, floor = (samples.of(package, row) for package in (OURS, THEIRS, FLOOR))
    ratios = [b / a for a, b in zip(ours, theirs, strict=False) if a]
    low = high = median(ratios) if ratios else None
    if len(ratios) > 2:
        low, _, high = quantiles(ratios, n=4, method="inclusive")
    return Verdict(
        median(ours) if ours else None,
        min(ours, default=None),
        median(theirs) if theirs else None,
        median(floor) if floor else None,
        median(ratios) if ratios else None,
        low,
        high,
    )


def run_round(
    samples: Samples, works: Sequence[Work], pythons: Mapping[str, str], folder: Path, first: bool
) -> None:
    """One round: new processes, every work once per package, in turn."""
    with ExitStack() as stack:
        workers = [
            stack.enter_context(
                Worker(package, python, folder, clean_environment(package, folder.parent / "cache"))
            )
            for package, python in pythons.items()
        ]
        for work in works:
            if not work.everybody and not first:
                continue  # a single package's figure without a ratio gains little from repetition
            for worker in workers if work.everybody else workers[:1]:
                _take(samples, worker, work)


def _take(samples: Samples, worker: Worker, work: Work) -> None:
    key = (worker.package, work)
    if key in samples.problems:
        return
    try:
        samples.figures.setdefault(key, []).append(worker.measure(work))
    except NotMeasuredError as problem:
        samples.problems[key] = str(problem)
    except (KeyError, ValueError, OSError) as problem:
        samples.problems[key] = f"{type(problem).__name__}: {problem}"


def summary(samples: Samples, table: Sequence[Row]) -> list[dict[str, Any]]:
    """The table for programs."""
    found = []
    for row in table:
        result = verdict(samples, row)
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
                "problem": samples.problems.get((OURS, row.work), ""),
            }
        )
    return found
