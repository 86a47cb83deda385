"""Reads SQL files: named statements, each with its comment, kept out of the code.

A statement begins at a line ``-- name: something`` and ends before the next one. Knows no database.
"""

from __future__ import annotations

from pkgutil import get_data
from typing import Final

_MARK: Final = "-- name:"


def parse(text: str) -> dict[str, str]:
    """The statements of an SQL text by name, without comments; what precedes the first is skipped."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith(_MARK):
            lines = found.setdefault(line.removeprefix(_MARK).strip(), [])
        elif line.strip() and not line.lstrip().startswith("--"):
            lines.append(line.rstrip())
    return {name: "\n".join(body).removesuffix(";") for name, body in found.items()}


def text_of(package: str, name: str) -> str:
    """The text of a package's file."""
    content = get_data(package, name)
    assert content is not None
    return content.decode()


def numbered(package: str, folder: str) -> dict[int, tuple[str, str]]:
    """The scripts of a package's folder: file name and text by the number that their names begin with."""
    from importlib.resources import files  # slow to load, and rarely needed

    return {
        int(entry.name.partition("_")[0]): (entry.name, entry.read_text(encoding="utf-8"))
        for entry in (files(package) / folder).iterdir()
        if entry.name.endswith(".sql")
    }
