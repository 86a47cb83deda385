"""``python -m benchmarks.reliability``: the same faults for DashFlow and LangGraph, one table.

Not a test: tests are in ``tests/``. This shows what the same program comes to on both when things go wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from random import Random

from benchmarks.environment import ROOT, UnavailableError, clean_environment, langgraph_python
from benchmarks.reliability.scenarios import Counts, scenarios
from benchmarks.reliability.victims import Victims
from benchmarks.table import versions

PAGE = ROOT / "docs" / "reliability.md"
BEGIN = "<!-- figures: made by python -m benchmarks.reliability --page -->"
END = "<!-- end of figures -->"


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability", description=__doc__)
    parser.add_argument("--full", action="store_true", help="more trials; takes long")
    parser.add_argument("--only", default="", metavar="TEXT", help="only faults with this text in them")
    parser.add_argument("--seed", type=int, default=1, help="of the moments at which processes are killed")
    parser.add_argument("--page", action="store_true", help=f"write the table into {PAGE.name}")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the counts there, too")
    return parser.parse_args()


def main() -> int:
    """Measure and print."""
    given = arguments()
    pythons = {"dashflow": sys.executable}
    try:
        pythons["langgraph"] = str(langgraph_python())
    except UnavailableError as problem:
        print(f"==> {problem}", file=sys.stderr)
    found: list[tuple[str, dict[str, Counts]]] = []
    with tempfile.TemporaryDirectory(prefix="dashflow-faults-") as place:
        for title, fault, more, trials in scenarios(given.full):
            if given.only.lower() not in title.lower():
                continue
            counts: dict[str, Counts] = {}
            for package, python in pythons.items():
                print(f"==> {title}: {package}", file=sys.stderr, flush=True)
                environment = clean_environment(package, Path(place) / "cache")
                folder = Path(place) / f"{len(found)}"
                victims = Victims(package, python, environment, folder)
                counts[package] = fault(victims, trials, Random(given.seed), **more)
            found.append((title, counts))
    if not found:
        print(f"no fault has {given.only!r} in its name", file=sys.stderr)
        return 2
    text = f"{versions(pythons)}, Python {sys.version.split()[0]}\n\n{table(found)}"
    print(text)
    if given.json is not None:
        given.json.write_text(json.dumps(dict(found), indent=1) + "\n", encoding="utf-8")
    if given.page:
        page = PAGE.read_text(encoding="utf-8")
        head, _, rest = page.partition(BEGIN)
        _, _, tail = rest.partition(END)
        PAGE.write_text(f"{head}{BEGIN}\n\n{text}\n\n{END}{tail}", encoding="utf-8")
    return 0


def table(found: list[tuple[str, dict[str, Counts]]]) -> str:
    """One line per count, with both packages side by side."""
    lines = ["| fault | counted | DashFlow | LangGraph |", "|---|---|---|---|"]
    for title, counts in found:
        ours, theirs = counts["dashflow"], counts.get("langgraph", {})
        for number, (name, count) in enumerate(ours.items()):
            lines.append(f"| {title if not number else ''} | {name} | {count} | {theirs.get(name, '')} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
