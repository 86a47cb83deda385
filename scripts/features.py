"""Make docs/features.md from docs/features.toml and the `@pytest.mark.feature` marks of the tests.

The page holds no time, count of runs or order of collection: the same tree gives the same bytes.
With ``--check`` nothing is written, and a page that is not current ends with 1.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass

from marks import ROOT, collect_marks

TABLE = ROOT / "docs" / "features.toml"
PAGE = ROOT / "docs" / "features.md"

HEAD = """\
# Features

<!-- Made by scripts/features.py from features.toml and the marks on the tests. Do not edit. -->

Every capability DashFlow is meant to have. *Proven* means that a test marked with the id shows it by
behaviour; *part* that such tests exist and what is still missing; everything else is *open*. The tests
themselves are listed at the end of the page.
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
    table, proofs = load_table(), collect_marks("feature")
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
