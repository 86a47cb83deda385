"""The package's SQL: the statements that the program runs, and the scripts that make and change tables."""

from __future__ import annotations

from functools import cache

from dashflow.log.base import LOG_FORMAT
from dashflow.log.statements import numbered, parse, text_of


@cache
def queries() -> dict[str, str]:
    """The statements of ``queries.sql``."""
    return parse(text_of(__package__, "queries.sql"))


def schema() -> str:
    """The script that makes the tables of a fresh log."""
    return parse(text_of(__package__, "schema.sql"))["tables"]


def migrations(found: int, known: int = LOG_FORMAT) -> list[str]:
    """The scripts that bring a log from format ``found`` to format ``known``, in order."""
    scripts = numbered(__package__, "migrations")
    return [scripts[number][1] for number in range(found + 1, known + 1)]


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
