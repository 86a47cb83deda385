"""Many rows with few statements: each one lets other threads run, and waits for its turn among them.

Inside a transaction of the writer, or a reading of the reader. Knows the statements' shape: the line after
VALUES is a row, which is repeated, and ``(?)`` a list of names.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterator, Sequence
from functools import cache
from typing import Any, Final

from dashflow.log.sqlite.statements import queries

_ROWS: Final = 64
"""Rows per INSERT at most; they stay below the 999 parameters of old SQLite builds."""

_NAMES: Final = 500
"""Names in a list at most, for the same reason."""


def insert(cursor: sqlite3.Cursor, query: str, values: Sequence[Any], columns: int) -> None:
    """Insert rows of so many columns, whose values stand one behind the other."""
    start, left = 0, len(values) // columns
    while left:
        # Few different statements, so that each stays prepared: 64 rows, 32, 16, ...
        count = min(1 << (left.bit_length() - 1), _ROWS)
        end = start + count * columns
        cursor.execute(_inserting(query, count), values[start:end])
        start = end
        left -= count


def find(cursor: sqlite3.Cursor, query: str, names: Collection[str]) -> Iterator[Any]:
    """The rows of a query with a list of names in it."""
    listed = [*names]
    for start in range(0, len(listed), _NAMES):
        some = listed[start : start + _NAMES]
        yield from cursor.execute(_asking(query, len(some)), some).fetchall()


@cache
def _inserting(query: str, rows: int) -> str:
    head, values, rest = queries()[query].partition("\nVALUES\n")
    row, newline, conflict = rest.partition("\n")
    return head + values + ",".join([row] * rows) + newline + conflict


@cache
def _asking(query: str, names: int) -> str:
    return queries()[query].replace("(?)", f"({', '.join('?' * names)})")
