"""What a change to a graph does to threads in flight, on DashFlow and on LangGraph: one catalogue for both.

``python -m benchmarks.changed_graphs`` prints the table; ``--write`` puts it into its page.
LangGraph runs in an environment of its own. Nothing is timed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from benchmarks.environment import PINNED, ROOT, UnavailableError, langgraph_python

PAGE = ROOT / "docs" / "explanation" / "changed-graphs.md"
BEGIN, END = "<!-- made by python -m benchmarks.changed_graphs --write -->", "<!-- end -->"


def outcomes(python: str | Path, package: str) -> dict[str, str]:
    """What a package does with every row of the catalogue."""
    done = subprocess.run(
        [str(python), "-m", "tests.behaviour.changes", package],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT / "src") if package == "dashflow" else "", "LANGSMITH_TRACING": "false"},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


def table() -> str:
    """The table as Markdown.

    Raises:
        UnavailableError: LangGraph cannot be had.
    """
    from tests.behaviour.changes import ROWS

    ours = outcomes(sys.executable, "dashflow")
    theirs = outcomes(langgraph_python(), "langgraph")
    lines = [
        f"| change | DashFlow | declared | {PINNED[0].replace('==', ' ')} |",
        "|---|---|---|---|",
    ]
    for row in ROWS:
        kind = row.outcome.removeprefix("refused: ")
        refused = "" if ours[row.name] == "right" else f"refused ({kind})"
        mine = refused or ("goes on" if row.outcome == "continues" else row.outcome)
        declared = "migrated" if row.declared is not None else ""
        lines.append(f"| {row.name} | {mine} | {declared} | {_told(theirs[row.name])} |")
    silent = sum(one.startswith("silently") for one in theirs.values())
    mine = sum(one.startswith("silently") for one in ours.values())
    lines.append(f"| **silently wrong, of {len(ROWS)}** | **{mine}** | | **{silent}** |")
    return "\n".join(lines)


def _told(outcome: str) -> str:
    if outcome == "right":
        return "goes on"
    kind, _, ending = outcome.partition(": ")
    return f"**{kind}**: ends with `{ending}`" if ending else outcome


def main() -> int:
    """Print or write the table."""
    try:
        made = table()
    except UnavailableError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if "--write" not in sys.argv[1:]:
        sys.stdout.write(f"{made}\n")
        return 0
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{made}\n\n{END}{after}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
