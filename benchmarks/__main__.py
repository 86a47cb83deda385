"""``python -m benchmarks``: one table of DashFlow, LangGraph and hand-written loops, side by side."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks.environment import UnavailableError, langgraph_python
from benchmarks.places import about_server
from benchmarks.rounds import FLOOR, OURS, THEIRS, Samples, run_round
from benchmarks.rows import FULL, QUICK, Row, rows, works
from benchmarks.server import server
from benchmarks.table import about, load, render
from benchmarks.verdicts import ENOUGH, summary

ROUNDS = 5
BUDGET = 150.0
"""Seconds that the rounds may take together unless their number is given; three are always done."""


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--rounds",
        type=int,
        help=f"how often everything is measured ({ROUNDS}; {ENOUGH} or more when they take long)",
    )
    parser.add_argument(
        "--full",
        action="store_true",
        help=f"conversations of {FULL.turns:,} turns, {FULL.runs:,} concurrent runs on disks; takes long",
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="only rows with this text in them")
    parser.add_argument(
        "--without-langgraph", action="store_true", help="measure DashFlow and the floor only"
    )
    parser.add_argument("--folder", type=Path, help="where databases are made (a temporary folder)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    given = parser.parse_args()
    if given.rounds is not None and given.rounds < 1:
        parser.error("--rounds must be at least 1")
    return given


def measure(
    samples: Samples, table: Sequence[Row], pythons: Mapping[str, str], place: Path, wanted: int | None
) -> int:
    """Run the rounds: as many as wanted, or as fit into the budget; returns how many that were."""
    todo = [work for work in works(table) if (OURS, work) not in samples.problems]
    again, once = ([work for work in todo if work.once is said] for said in (False, True))
    started, done = time.monotonic(), 0
    while again and done < (wanted or ROUNDS):
        spent = time.monotonic() - started
        if wanted is None and done >= ENOUGH and spent * (done + 1) / done > BUDGET:
            break
        say(f"Round {done + 1} of {wanted or ROUNDS} ({spent:.0f} s so far)")
        with tempfile.TemporaryDirectory(dir=place) as folder:
            run_round(samples, again, pythons, Path(folder), place / "cache")
        done += 1
    if once:
        say(f"What is done once ({time.monotonic() - started:.0f} s so far)")
        run_round(samples, once, pythons, place, place / "cache")
    return done


def say(text: str) -> None:
    """Tell a person how far it is."""
    print(f"==> {text}", file=sys.stderr, flush=True)


def main() -> int:
    """Measure and print; 0 unless nothing could be measured."""
    given = arguments()
    table = rows(FULL if given.full else QUICK)
    table = [row for row in table if given.only.lower() in f"{row.title} {row.durability}".lower()]
    if not table:
        print(f"no row has {given.only!r} in it", file=sys.stderr)
        return 2
    pythons = {OURS: sys.executable}
    if not given.without_langgraph:
        try:
            pythons[THEIRS] = str(langgraph_python())
        except UnavailableError as problem:
            say(str(problem))
    pythons[FLOOR] = sys.executable
    samples = Samples()
    with ExitStack() as stack:
        place = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="dashflow-bench-", dir=given.folder))
        )
        header = about(pythons, place)
        if needing := [work for work in works(table) if work.on_postgres]:
            try:
                header += f"; {about_server(stack.enter_context(server(given.folder)))}"
            except UnavailableError as problem:
                say(str(problem))
                samples.problems.update({(OURS, work): str(problem) for work in needing})
        say(header)
        done = measure(samples, table, pythons, place, given.rounds)
        header += f"; at the end {load()}"
    print(header)
    print(render(samples, table, done))
    if given.json is not None:
        found = {"machine": header, "rounds": done, "rows": summary(samples, table)}
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0 if samples.figures else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("stopped; nothing was written", file=sys.stderr)
        sys.exit(130)
