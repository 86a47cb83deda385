"""Rounds: workers of all packages side by side, one sample each in turns, again and again.

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
from types import TracebackType
from typing import Self

from benchmarks.environment import ROOT, clean_environment
from benchmarks.processes import NotMeasuredError, demo_run, import_cost
from benchmarks.rows import Row, Work
from benchmarks.workloads import Figures

OURS, THEIRS, FLOOR = "dashflow", "langgraph", "floor"


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
            return {} if self.package != OURS else demo_run(self.python, self.folder, self.environment)
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
    """What was measured: figures by work and package, in turns; and what went wrong."""

    figures: dict[tuple[str, Work], list[Figures]] = field(default_factory=dict)
    problems: dict[tuple[str, Work], str] = field(default_factory=dict)

    def of(self, package: str, row: Row) -> list[float]:
        """All figures of a row, in the order in which they were taken."""
        found = self.figures.get((package, row.work), [])
        return [value for figures in found if (value := figures.get(row.figure)) is not None]


def run_round(
    samples: Samples, works: Sequence[Work], pythons: Mapping[str, str], folder: Path, cache: Path
) -> None:
    """One round: new processes, every work once per package, in turn."""
    with ExitStack() as stack:
        workers = [
            stack.enter_context(Worker(package, python, folder, clean_environment(package, cache)))
            for package, python in pythons.items()
        ]
        for work in works:
            for worker in workers * work.turns:
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
