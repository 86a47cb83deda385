"""The table as text, and the notes under it. Plain characters only, so that it survives any terminal."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.rounds import FLOOR, NOISY, OURS, THEIRS, Samples, Verdict, verdict
from benchmarks.rows import Row

HEAD = ("work", "durability", "DashFlow", "LangGraph", "floor", "unit", "ratio", "middle half", "goal", "")


def number(value: float | None) -> str:
    """Three significant digits; "-" for none."""
    if value is None:
        return "-"
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def goal(row: Row) -> str:
    """What the row has to reach."""
    if row.times is not None:
        return f">= {row.times:g}x less"
    return f"<= {row.most:g} {row.unit}" if row.most is not None else ""


def line(row: Row, result: Verdict, problem: str) -> tuple[str, ...]:
    """One row's cells."""
    said = result.judge(row)
    if problem:
        said = "see below"
    elif result.noisy:
        said = f"{said}, noisy" if said == "reached" else "too noisy to judge"
    ratio = f"{number(result.ratio)}x" if result.ratio is not None else "-"
    spread = f"{number(result.low)}-{number(result.high)}" if result.ratio is not None else ""
    return (
        row.label,
        row.durability,
        number(result.ours),
        number(result.theirs),
        number(result.floor),
        row.unit,
        ratio,
        spread,
        goal(row),
        said,
    )


def render(samples: Samples, table: Sequence[Row], rounds: int) -> str:
    """The whole table and its notes."""
    cells = [HEAD]
    noisy: list[str] = []
    problems: dict[str, None] = {}
    for row in table:
        result = verdict(samples, row)
        problem = samples.problems.get((OURS, row.work), "")
        cells.append(line(row, result, problem))
        if result.noisy:
            noisy.append(f"{row.label} ({row.durability})")
        for package in (OURS, THEIRS, FLOOR):
            text = samples.problems.get((package, row.work))
            if text:
                problems[f"{package}, {row.label.partition(':')[0]}: {text}"] = None
    widths = [max(len(row[i]) for row in cells) for i in range(len(HEAD))]
    left = {0, 1, 5, 8, 9}
    lines = [
        "  ".join(
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
    lines.insert(1, "-" * max(map(len, lines)))
    return "\n".join([*lines, "", *_notes(noisy, list(problems), rounds)])


def _notes(noisy: Sequence[str], problems: Sequence[str], rounds: int) -> list[str]:
    notes = [
        f"Medians of {rounds} rounds; packages take turns, sample by sample, in processes of their own.",
        "ratio: LangGraph over DashFlow, median of paired samples; middle half: their quartiles.",
        "us cpu: microseconds of processor time, all threads; us, s: elapsed. A goal in absolute figures is for a "
        "quiet machine: unclear means that only the best round reached it.",
        "SQLite: WAL, synchronous=FULL for all. Bytes: handed to write calls until the file is closed.",
    ]
    if noisy:
        notes.append(
            f"Too noisy to judge (middle half wider than {NOISY:.0%} of the median): {'; '.join(noisy)}. "
            "Run again on a quieter machine, or with more rounds."
        )
    notes += [f"Not measured: {problem}" for problem in problems]
    return notes


def about(pythons: dict[str, str], folder: Path) -> str:
    """The machine, in one line."""
    try:
        load = f", load {os.getloadavg()[0]:.1f}"
    except OSError:
        load = ""
    return (
        f"{platform.python_implementation()} {platform.python_version()}, {platform.system()} "
        f"{platform.machine()}, {os.cpu_count()} cores{load}; files on {_file_system(folder)}; "
        f"{versions(pythons)}"
    )


def versions(pythons: dict[str, str]) -> str:
    """What is installed where."""
    said = []
    for package, python in pythons.items():
        if package != FLOOR:
            look = f"from importlib.metadata import version; print(version({package!r}))"
            done = subprocess.run([python, "-c", look], capture_output=True, text=True, check=False)
            said.append(f"{package} {done.stdout.strip() or 'unknown'}")
    return ", ".join(said)


def _file_system(folder: Path) -> str:
    if sys.platform != "linux":
        return str(folder)
    done = subprocess.run(
        ["stat", "-f", "-c", "%T", str(folder)], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"
