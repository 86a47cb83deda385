"""Make the matrix of guarantees on docs/index.md from docs/guarantees.toml and the tests' `guarantee` marks.

Boundary, promise, test: a promise without a test is an error, and so is a mark that no row has. With
``--check`` nothing is written, and a page that is not current ends with 1.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass

from marks import ROOT, collect_marks

TABLE = ROOT / "docs" / "guarantees.toml"
PAGE = ROOT / "docs" / "index.md"
BEGIN = "<!-- guarantees: made by scripts/guarantees.py from guarantees.toml and the marks on the tests -->"
END = "<!-- end of guarantees -->"


@dataclass(frozen=True)
class Row:
    """One promise."""

    id: str
    promise: str
    guide: str
    foreign: str = ""


def load_table() -> dict[str, list[Row]]:
    """Rows by boundary, in the file's order."""
    sections = tomllib.loads(TABLE.read_text(encoding="utf-8"))["section"]
    return {
        section["title"]: [Row(name, **row) for name, row in section["rows"].items()] for section in sections
    }


def render(table: dict[str, list[Row]], proofs: dict[str, list[str]]) -> str:
    """What stands between the two comments."""
    return "\n".join([BEGIN, "", *_matrix(table, proofs), *_tests(table, proofs), END])


def _matrix(table: dict[str, list[Row]], proofs: dict[str, list[str]]) -> Iterator[str]:
    for title, rows in table.items():
        yield f"### {title}\n"
        yield "| Promise | With savers of others | Tests |\n|---|---|---|"
        for row in rows:
            tests = f"[{len(proofs[row.id])}](#{row.id})"
            yield f"| {row.promise} [More]({row.guide}) | {row.foreign or 'the same'} | {tests} |"
        yield ""


def _tests(table: dict[str, list[Row]], proofs: dict[str, list[str]]) -> Iterator[str]:
    yield "### What holds it to that\n"
    for row in (row for rows in table.values() for row in rows):
        yield f"#### {row.id}\n"
        yield from (f"- `{test}`" for test in proofs[row.id])
        yield ""


def main(arguments: list[str]) -> int:
    """Write the matrix, or with ``--check`` say whether it is current."""
    table, proofs = load_table(), collect_marks("guarantee")
    known = {row.id for rows in table.values() for row in rows}
    if unknown := sorted(proofs.keys() - known):
        print(f"guarantees: tests are marked with ids that docs/guarantees.toml does not have: {unknown}")
        return 1
    if bare := sorted(known - proofs.keys()):
        print(f"guarantees: no test holds the product to {bare}; mark one, or promise less.")
        return 1
    page = PAGE.read_text(encoding="utf-8")
    head, _, rest = page.partition(BEGIN)
    _, there, tail = rest.partition(END)
    if not there:
        print(f"guarantees: {PAGE.name} has no place for them, between {BEGIN!r} and {END!r}.")
        return 1
    text = f"{head}{render(table, proofs)}{tail}"
    if arguments == ["--check"]:
        if page != text:
            print("guarantees: docs/index.md is not current; run `make features` and commit it.")
            return 1
        print(f"guarantees: docs/index.md is current ({len(known)} promises).")
        return 0
    PAGE.write_text(text, encoding="utf-8")
    print(f"guarantees: wrote docs/index.md ({len(known)} promises).")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
