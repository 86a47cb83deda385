"""Loads the package's SQL files."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

from dashflow.log.statements import parse, text_of

__all__ = ("Rows", "Statement", "queries", "script")

Rows = list[tuple[Any, ...]]


class Statement(NamedTuple):
    """A statement and its values by name; None: it has no parameters, and a percent sign is one."""

    text: str
    values: Mapping[str, Any] | None = None


@cache
def queries() -> dict[str, str]:
    """The statements of ``queries.sql``."""
    return parse(text_of(__package__, "queries.sql"))


def script(name: str) -> str:
    """A migration, as it is in its file without the comments that precede the statement."""
    lines = text_of(__package__, f"migrations/{name}.sql").strip().splitlines()
    first = next(number for number, line in enumerate(lines) if not line.startswith("--"))
    return "\n".join(lines[first:])
