"""Make docs/features.md from docs/features.toml and the `@pytest.mark.feature` marks of the tests.

The marks are read from pytest's own collection, so that inherited contract tests and module-wide marks
count. The page holds no time, count of runs or order of collection: the same tree gives the same bytes.
With ``--check`` nothing is written, and a page that is not current ends with 1.
"""

from __future__ import annotations

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "docs" / "features.toml"
PAGE = ROOT / "docs" / "features.md"

HEAD = """\
# Features

<!-- Made by scripts/features.py from features.toml and the marks on the tests. Do not edit. -->

Every capability DashFlow is meant to have. *Proven* means that a test marked with the id shows it by
behaviour; *part* that such tests exist and what is still missing; everything else is *open*. The tests
themselves are listed at the end of the page.
"""

COLLECTOR = """
import sys
import pytest

class Collector:
    def pytest_collection_finish(self, session):
        for item in session.items:
            for mark in item.iter_markers("feature"):
                for name in mark.args:
                    print("feature", name, item.nodeid.split("[")[0], sep="\\t")

quiet = ["--collect-only", "-qq", "-p", "no:cacheprovider", "-p", "no:xdist"]
sys.exit(pytest.main([*quiet, "tests"], [Collector()]))
"""


@dataclass(frozen=True)
class Row:
    """One capability as features.toml has it."""

    id: str
    does: str
    code: str = ""
    guide: str = ""
    open: str = ""


def load_table() -> dict[str, list[Row]]:
    """Rows by section title, in the file's order."""
    sections = tomllib.loads(TABLE.read_text(encoding="utf-8"))["section"]
    return {
        section["title"]: [
            Row(name, **({"does": row} if isinstance(row, str) else row))
            for name, row in section["rows"].items()
        ]
        for section in sections
    }


def collect_marks() -> dict[str, list[str]]:
    """Ids of tests by feature id; raises SystemExit with pytest's words when collecting fails."""
    done = subprocess.run(
        [sys.executable, "-c", COLLECTOR], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 5):
        sys.exit(f"features: the tests cannot be collected:\n{done.stdout}{done.stderr}")
    proofs: dict[str, set[str]] = {}
    for line in done.stdout.splitlines():
        if line.startswith("feature\t"):
            _, name, test = line.split("\t")
            proofs.setdefault(name, set()).add(test)
    return {name: sorted(tests) for name, tests in proofs.items()}


def render(table: dict[str, list[Row]], proofs: dict[str, list[str]]) -> str:
    """The page's text."""
    return "\n".join([HEAD, *_summary(table, proofs), *_proofs(table, proofs)]) + "\n"


def _summary(table: dict[str, list[Row]], proofs: dict[str, list[str]]) -> Iterator[str]:
    for title, rows in table.items():
        yield f"## {title}\n"
        yield "| ID | Capability | State |\n|---|---|---|"
        for row in rows:
            yield f"| {_name(row, proofs)} | {row.does} | {_state(row, proofs)} |"
        yield ""


def _name(row: Row, proofs: dict[str, list[str]]) -> str:
    return f"[{row.id}](#{row.id.lower()})" if row.id in proofs else row.id


def _state(row: Row, proofs: dict[str, list[str]]) -> str:
    if row.id not in proofs:
        return "open"
    if row.open or not row.code:
        return f"part; open: {row.open or 'no test shows the whole yet'}"
    return "proven"


def _proofs(table: dict[str, list[Row]], proofs: dict[str, list[str]]) -> Iterator[str]:
    yield "## What proves them\n"
    for row in (row for rows in table.values() for row in rows if row.id in proofs):
        yield f"### {row.id}\n"
        yield f"{row.does}.\n"
        places = [f"code: `{row.code}`"] if row.code else []
        places += [f"guide: [{row.guide}]({row.guide})"] if row.guide else []
        if places:
            yield f"{'; '.join(places)}\n"
        yield from (f"- `{test}`" for test in proofs[row.id])
        yield ""


def main(arguments: list[str]) -> int:
    """Write the page, or with ``--check`` say whether it is current."""
    table, proofs = load_table(), collect_marks()
    known = {row.id for rows in table.values() for row in rows}
    if unknown := sorted(proofs.keys() - known):
        print(f"features: tests are marked with ids that docs/features.toml does not have: {unknown}")
        return 1
    text = render(table, proofs)
    if arguments == ["--check"]:
        if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
            print("features: docs/features.md is not current; run `make features` and commit it.")
            return 1
        print(f"features: docs/features.md is current ({len(proofs)} of {len(known)} rows have tests).")
        return 0
    PAGE.write_text(text, encoding="utf-8")
    print(f"features: wrote docs/features.md ({len(proofs)} of {len(known)} rows have tests).")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
