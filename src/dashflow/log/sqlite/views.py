"""Views: entries by key, and the position of the log that they have seen, changed in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from typing import Final

from dashflow.errors import VersionConflictError
from dashflow.log.sqlite.statements import queries

_LAST_TEXT: Final = 0x10FFFF
_BEFORE_SURROGATES: Final = 0xD7FF
_AFTER_SURROGATES: Final = 0xE000


def project(
    cursor: sqlite3.Cursor, view: str, position: int, changes: Mapping[str, bytes | None], expected: int
) -> None:
    """Change a view that is at ``expected``; see ``EventLog.project``."""
    sql = queries()
    row = cursor.execute(sql["view_by_name"], (view,)).fetchone()
    number, found = row or (0, 0)
    if found != expected:
        raise VersionConflictError(view, expected, found)
    if row is None:
        cursor.execute(sql["add_view"], (view, position))
        number = cursor.lastrowid
    else:
        cursor.execute(sql["move_view"], (position, number))
    gone = [(number, key) for key, data in changes.items() if data is None]
    cursor.executemany(sql["remove_entry"], gone)
    kept = [(number, key, data) for key, data in changes.items() if data is not None]
    cursor.executemany(sql["put_entry"], kept)


def drop(cursor: sqlite3.Cursor, view: str) -> None:
    """Remove a view whole."""
    sql = queries()
    row = cursor.execute(sql["view_by_name"], (view,)).fetchone()
    if row is not None:
        cursor.execute(sql["remove_entries"], (row[0],))
        cursor.execute(sql["drop_view"], (row[0],))


def end_of(prefix: str) -> str | bytes:
    """What comes after every key that begins with ``prefix``; a blob, after all texts, if nothing else does.

    SQLite compares texts by their UTF-8 bytes, which is the order of code points.
    """
    short = prefix.rstrip(chr(_LAST_TEXT))
    if not short:
        return b""
    last = ord(short[-1])
    return short[:-1] + chr(_AFTER_SURROGATES if last == _BEFORE_SURROGATES else last + 1)
