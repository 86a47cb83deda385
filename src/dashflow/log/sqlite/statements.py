"""Loads the package's SQL files: named statements, each with its comment, kept out of the code.

A statement begins at a line ``-- name: something`` and ends before the next one.
"""

from __future__ import annotations

from functools import cache
from pkgutil import get_data
from typing import Final

from dashflow.log.base import LOG_FORMAT

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


@cache
def queries() -> dict[str, str]:
    """The statements of ``queries.sql``."""
    return parse(_text("queries.sql"))


def schema() -> str:
    """The script that makes the tables of a fresh log."""
    return parse(_text("schema.sql"))["tables"]


def migrations(found: int, known: int = LOG_FORMAT) -> list[str]:
    """The scripts that bring a log from format ``found`` to format ``known``, in order."""
    from importlib.resources import files  # slow to load, and rarely needed

    scripts = {
        int(entry.name.partition("_")[0]): entry.read_text(encoding="utf-8")
        for entry in (files(__package__) / "migrations").iterdir()
        if entry.name.endswith(".sql")
    }
    return [scripts[number] for number in range(found + 1, known + 1)]


def statements_of(script: str) -> tuple[str, list[str]]:
    """A script's first comment, as one line, and its statements without comments, in order."""
    lines = script.splitlines()
    why: list[str] = []
    for line in lines:
        if not line.startswith("--"):
            break
        why.append(line.removeprefix("--").strip())
    code = "\n".join(line.rstrip() for line in lines if line.strip() and not line.lstrip().startswith("--"))
    return " ".join(why), [statement for statement in code.removesuffix(";").split(";\n") if statement]


def _text(name: str) -> str:
    content = get_data(__package__, name)
    assert content is not None
    return content.decode()
