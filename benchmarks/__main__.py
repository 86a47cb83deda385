"""``python -m benchmarks``: one table of DashFlow, LangGraph and hand-written loops, side by side."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.environment import UnavailableError, langgraph_python
from benchmarks.rounds import FLOOR, OURS, THEIRS, Samples, run_round, summary
from benchmarks.rows import FULL_TURNS, QUICK_TURNS, rows, works
from benchmarks.table import about, render


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is measured (5)")
    parser.add_argument(
        "--full", action="store_true", help=f"conversations of {FULL_TURNS} turns; takes long"
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="only rows with this text in them")
    parser.add_argument(
        "--without-langgraph", action="store_true", help="measure DashFlow and the floor only"
    )
    parser.add_argument("--folder", type=Path, help="where databases are made (a temporary folder)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    given = parser.parse_args()
    if given.rounds < 1:
        parser.error("--rounds must be at least 1")
    return given


def main() -> int:
    """Measure and print; 0 unless nothing could be measured."""
    given = arguments()
    table = rows(FULL_TURNS if given.full else QUICK_TURNS)
    table = [row for row in table if given.only.lower() in f"{row.label} {row.durability}".lower()]
    if not table:
        print(f"no row has {given.only!r} in it", file=sys.stderr)
        return 2
    pythons = {OURS: sys.executable}
    if not given.without_langgraph:
        try:
            pythons[THEIRS] = str(langgraph_python())
        except UnavailableError as problem:
            print(f"==> {problem}", file=sys.stderr)
    pythons[FLOOR] = sys.executable
    samples, started = Samples(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dashflow-bench-", dir=given.folder) as place:
        print(f"==> {about(pythons, Path(place))}", file=sys.stderr, flush=True)
        for number in range(given.rounds):
            spent = time.monotonic() - started
            print(
                f"==> Round {number + 1} of {given.rounds} ({spent:.0f} s so far)",
                file=sys.stderr,
                flush=True,
            )
            with tempfile.TemporaryDirectory(dir=place) as folder:
                run_round(samples, works(table), pythons, Path(folder), first=number == 0)
        header = about(pythons, Path(place))
    print(header)
    print(render(samples, table, given.rounds))
    if given.json is not None:
        found = {"machine": header, "rounds": given.rounds, "rows": summary(samples, table)}
        given.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0 if samples.figures else 1


if __name__ == "__main__":
    sys.exit(main())
