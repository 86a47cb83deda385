"""Make docs/reference/chaos-points.md from the points themselves.

With ``--check`` nothing is written, and a page that is not current ends with 1.
"""

from __future__ import annotations

import sys
from pathlib import Path

from dashflow.testing.chaos_points import POINTS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference" / "chaos-points.md"

HEAD = """\
# Chaos points

<!-- Made by scripts/chaos_reference.py from dashflow.testing.chaos_points. Do not edit: `make features`. -->

Where `dashflow.testing.chaos` can put a fault; how is told in
[Crash a graph on purpose](../how-to/crash-testing.md).
Each point has two sides: `append.before` strikes before it happens, `append.after` when it has happened.
Points on a thread of the log know no `crash`: use `kill` or `error` there. `drop` is for those that talk to a
server.

| Point | What happens there | On whose thread | Functions |
|---|---|---|---|
"""


def render() -> str:
    """The page."""
    rows = []
    for point in POINTS.values():
        where = "the log's" if point.background else "the caller's"
        places = ", ".join(f"`{place.partition(':')[2]}`" for place in point.places)
        only = f" that {point.only}s" if point.only else ""
        rows.append(f"| `{point.name}` | {point.means} | {where} | {places}{only} |")
    return HEAD + "\n".join(rows) + "\n"


def main(arguments: list[str]) -> int:
    """Write the page, or with ``--check`` say whether it is current."""
    text = render()
    if arguments == ["--check"]:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            print("chaos_reference: docs/reference/chaos-points.md is not current; run `make features`.")
            return 1
        print("chaos_reference: docs/reference/chaos-points.md is current.")
        return 0
    PAGE.write_text(text, encoding="utf-8")
    print("chaos_reference: wrote docs/reference/chaos-points.md.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
