"""The table as text, and the notes under it. Plain characters only, so that it survives any terminal."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.rounds import FLOOR, OURS, THEIRS, Samples
from benchmarks.rows import Row
from benchmarks.verdicts import ENOUGH, NOISY, Verdict, slowness, verdict

HEAD = (
    "work",
    "durability",
    "DashFlow",
    "LangGraph",
    "floor",
    "unit",
    "ratio",
    "middle half",
    "over floor",
    "goal",
    "",
)


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
    if row.over is not None:
        return f"<= {row.over:g}x floor"
    if row.least is not None:
        return f">= {row.least:,g} {row.unit}"
    return f"<= {row.most:g} {row.unit}" if row.most is not None else ""


def line(row: Row, result: Verdict, problem: str) -> tuple[str, ...]:
    """One row's cells."""
    said = result.judge(row)
    if problem:
        said = "see below"
    elif result.noisy(row):
        said = f"{said}, noisy" if said.startswith("reached") else "too noisy to judge"
    ratio, over = (f"{number(found.value)}x" if found else "-" for found in (result.ratio, result.over))
    if row.durability not in ("sync", "async"):
        over = ""  # computing by hand takes next to nothing
    spread = f"{number(result.ratio.low)}-{number(result.ratio.high)}" if result.ratio else ""
    return (
        row.title,
        row.durability,
        number(result.ours),
        number(result.theirs),
        number(result.floor),
        row.unit,
        ratio,
        spread,
        over,
        goal(row),
        said,
    )


def render(samples: Samples, table: Sequence[Row], rounds: int) -> str:
    """The whole table and its notes."""
    cells: list[tuple[str, ...]] = [HEAD]
    slower = slowness(samples, table)
    noisy: list[str] = []
    problems: dict[tuple[str, str], list[str]] = {}
    for row in table:
        result = verdict(samples, row, slower)
        cells.append(line(row, result, samples.problems.get((OURS, row.work), "")))
        if result.noisy(row):
            noisy.append(f"{row.title} ({row.durability})")
        for package in (OURS, THEIRS, FLOOR):
            text = samples.problems.get((package, row.work))
            if text:
                problems.setdefault((package, text), []).append(row.title)
    widths = [max(len(row[i]) for row in cells) for i in range(len(HEAD))]
    left = {0, 1, 5, 9, 10}
    lines = [
        "  ".join(
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]
    lines.insert(1, "-" * max(map(len, lines)))
    failed = [f"{package}: {text} ({'; '.join(labels)})" for (package, text), labels in problems.items()]
    return "\n".join([*lines, "", *_notes(noisy, failed, rounds, slower)])


def _notes(noisy: Sequence[str], failed: Sequence[str], rounds: int, slower: float) -> list[str]:
    notes = [
        f"Medians; rounds: {rounds}; packages take turns, sample by sample, in processes of their own.",
        "ratio: how many times better than LangGraph, median of paired samples; middle half: the quartiles.",
        "over floor: how many times what the same work by hand takes, where it is recorded on a disk.",
        "us cpu: microseconds of processor time, all threads; us, ms, s and what is per second: elapsed.",
        "SQLite: WAL, synchronous=FULL for all. Bytes: handed to write calls until the file is closed.",
        "(once): measured once, after the rounds.",
    ]
    if slower > 1:
        notes += [
            f"Absolute goals were set on a machine that was {slower:.1f} times faster than this one is now,",
            "by LangGraph's figures; scaled: reached when that is taken into account; unclear: only at best.",
        ]
    if 0 < rounds < ENOUGH:
        notes.append(f"Fewer than {ENOUGH} rounds say nothing about noise: use --rounds 5 or more.")
    if noisy:
        notes.append(
            f"Too noisy to judge (middle half wider than {NOISY:.0%} of the median): {'; '.join(noisy)}.\n"
            "Run again on a quieter machine, or with more rounds."
        )
    return [*notes, *(f"Not measured, {problem}" for problem in failed)]


def about(pythons: dict[str, str], folder: Path) -> str:
    """The machine, in one line."""
    return (
        f"{versions(pythons)}; {platform.python_implementation()} {platform.python_version()}, "
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores; files on {_file_system(folder)}; "
        f"{load()}"
    )


def load() -> str:
    """How busy the machine is with everything that runs on it."""
    try:
        return f"load {os.getloadavg()[0]:.1f}"
    except OSError:
        return "load unknown"


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
