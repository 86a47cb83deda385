"""``python -m benchmarks.curves``: how cost grows with state, history and graph; a table and drawings.

A growth exponent of 0 says that the cost does not depend on the size, 1 that it grows in proportion.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.drawing import Curve, draw
from benchmarks.environment import ROOT, UnavailableError, langgraph_python
from benchmarks.rounds import OURS, THEIRS, Samples, run_round
from benchmarks.rows import CPU, Row, Work
from benchmarks.table import about

FIGURES = ROOT / "docs" / "figures"


@dataclass(frozen=True)
class Growth:
    """One curve: what grows, and what is looked at meanwhile.

    Attributes:
        name: Of the drawing's file.
        title: What is shown.
        work: Of ``benchmarks.scaling``; ``argument`` is what grows.
        figure: Its name in what the work returns.
        unit: Of the figure.
        across: What the sizes are.
        sizes: For both packages; ``more`` only with ``--full``.
    """

    name: str
    title: str
    work: str
    argument: str
    figure: str
    unit: str
    across: str
    sizes: tuple[int, ...]
    more: tuple[int, ...] = ()


GROWTHS = (
    Growth("state-time", "A step beside a value that nobody touches", "state_size", "kilobytes", "step",
           CPU, "size of the value, kB", (1, 10, 100, 1000), (10_000,)),
    Growth("state-bytes", "Growth of the file per step beside a value that nobody touches", "state_size",
           "kilobytes", "growth", "B", "size of the value, kB", (1, 10, 100, 1000), (10_000,)),
    Growth("history-run", "A run of five steps on a long thread", "history_length", "steps", "run",
           CPU, "steps before", (10, 100, 1000), (10_000, 100_000)),
    Growth("history-look", "A look at the latest state of a long thread", "history_length", "steps", "look",
           CPU, "steps before", (10, 100, 1000), (10_000, 100_000)),
    Growth("graph-run", "A step of a chain", "graph_size", "nodes", "step", CPU, "nodes", (10, 100, 1000)),
    Growth("graph-compile", "Compiling a chain, per node", "graph_size", "nodes", "compile", CPU, "nodes",
           (10, 100, 1000)),
)  # fmt: skip


def exponent(points: list[tuple[float, float]]) -> float:
    """The slope of a line through the points, both axes in logarithms (least squares)."""
    xs, ys = [math.log(x) for x, _ in points], [math.log(y) for _, y in points]
    middle, height = sum(xs) / len(xs), sum(ys) / len(ys)
    spread = sum((x - middle) ** 2 for x in xs)
    return sum((x - middle) * (y - height) for x, y in zip(xs, ys, strict=True)) / spread


def main() -> int:
    """Measure, print and draw."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.curves", description=__doc__)
    parser.add_argument("--full", action="store_true", help="larger sizes, too; takes long")
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured (3)")
    parser.add_argument("--draw", action="store_true", help=f"draw them into {FIGURES.relative_to(ROOT)}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    given = parser.parse_args()
    pythons = {OURS: sys.executable}
    try:
        pythons[THEIRS] = str(langgraph_python())
    except UnavailableError as problem:
        print(f"==> {problem}", file=sys.stderr)
    rows = {
        (growth.name, size): _row(growth, size)
        for growth in GROWTHS
        for size in growth.sizes + (growth.more if given.full else ())
    }
    works = list(dict.fromkeys(row.work for row in rows.values()))
    samples = Samples()
    with tempfile.TemporaryDirectory(prefix="dashflow-curves-") as place:
        header = about(pythons, Path(place))
        for number in range(given.rounds):
            print(f"==> Round {number + 1} of {given.rounds}", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory(dir=place) as folder:
                run_round(samples, works, pythons, Path(folder), Path(place) / "cache")
    print(header)
    curves = {growth.name: _curves(growth, rows, samples, list(pythons)) for growth in GROWTHS}
    for growth in GROWTHS:
        _tell(growth, curves[growth.name])
        if given.draw:
            FIGURES.mkdir(exist_ok=True)
            picture = draw(growth.title, growth.across, growth.unit, curves[growth.name])
            (FIGURES / f"{growth.name}.svg").write_text(picture, encoding="utf-8")
    for (package, work), text in samples.problems.items():
        print(f"not measured, {package}, {work.name} {dict(work.given)}: {text}")
    if given.json is not None:
        told = {name: {curve.label: curve.points for curve in found} for name, found in curves.items()}
        given.json.write_text(
            json.dumps({"machine": header, "curves": told}, indent=1) + "\n", encoding="utf-8"
        )
    return 0


def _row(growth: Growth, size: int) -> Row:
    return Row(
        growth.title, "async", Work(growth.work, ((growth.argument, size),)), growth.figure, growth.unit
    )


def _curves(
    growth: Growth, rows: dict[tuple[str, int], Row], samples: Samples, packages: list[str]
) -> list[Curve]:
    found = []
    for package, label in ((OURS, "DashFlow"), (THEIRS, "LangGraph")):
        if package not in packages:
            continue
        points = []
        for (name, size), row in rows.items():
            values = samples.of(package, row) if name == growth.name else []
            if values:
                # The least: whatever else the machine does only adds.
                points.append((float(size), max(min(values), 1e-3)))
        found.append(Curve(label, points))
    return found


def _tell(growth: Growth, curves: list[Curve]) -> None:
    print(f"\n{growth.title} ({growth.unit})")
    print(f"{growth.across:>24}  " + "  ".join(f"{curve.label:>12}" for curve in curves))
    for number, (size, _) in enumerate(curves[0].points):
        cells = [f"{c.points[number][1]:>12,.1f}" if number < len(c.points) else " " * 12 for c in curves]
        print(f"{size:>24,.0f}  " + "  ".join(cells))
    exponents = [f"{exponent(c.points):>12.2f}" if len(c.points) > 1 else " " * 12 for c in curves]
    print(f"{'growth exponent':>24}  " + "  ".join(exponents))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        sys.exit(130)
