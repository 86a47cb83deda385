"""Views: entries by key, and the position of the log that they have seen, changed in one transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from struct import error as StructError
from typing import Any, Final

from dashflow.errors import CorruptViewError, VersionConflictError
from dashflow.log.sqlite.places import of_entry, of_view
from dashflow.log.sqlite.reader import Reader
from dashflow.log.sqlite.statements import queries

_LAST_TEXT: Final = 0x10FFFF
_BEFORE_SURROGATES: Final = 0xD7FF
_AFTER_SURROGATES: Final = 0xE000


def project(
    cursor: sqlite3.Cursor,
    where: str,
    view: str,
    position: int,
    changes: Mapping[str, bytes | None],
    expected: int,
) -> None:
    """Change a view that is at ``expected``; see ``EventLog.project``."""
    sql = queries()
    row = cursor.execute(sql["view_by_name"], (view,)).fetchone()
    number, found = _checked(row, where, view)
    if found != expected:
        raise VersionConflictError(view, expected, found)
    if row is None:
        cursor.execute(sql["add_view"], (view,))
        number = cursor.lastrowid or 0
    cursor.execute(sql["move_view"], (position, of_view(number, view, position), number))
    gone = [(number, key) for key, data in changes.items() if data is None]
    cursor.executemany(sql["remove_entry"], gone)
    kept = [
        (number, key, data, of_entry(number, key, data)) for key, data in changes.items() if data is not None
    ]
    cursor.executemany(sql["put_entry"], kept)


def drop(cursor: sqlite3.Cursor, view: str) -> None:
    """Remove a view whole."""
    sql = queries()
    row = cursor.execute(sql["view_by_name"], (view,)).fetchone()
    if row is not None:
        cursor.execute(sql["remove_entries"], (row[0],))
        cursor.execute(sql["drop_view"], (row[0],))


def place(reader: Reader, view: str) -> tuple[int, int]:
    """A view's number and position; zeros for one that is not there.

    Raises:
        CorruptViewError: Its row is not what was written.
    """
    rows = reader.rows("view_by_name", view)
    return _checked(rows[0] if rows else None, reader.where, view)


def entries(reader: Reader, view: str, prefix: str, after: str, limit: int) -> dict[str, bytes]:
    """A view's entries; see ``EventLog.view``.

    Raises:
        CorruptViewError: One of them is not what was written.
    """
    number, _ = place(reader, view)
    start, without = max(prefix, after), after or None
    found: dict[str, bytes] = {}
    for key, data, crc in reader.rows("entries", number, start, without, without, end_of(prefix), limit):
        try:
            good = of_entry(number, key, data) == crc
        except (TypeError, AttributeError):
            good = False
        if not good:
            raise CorruptViewError(reader.where, view, str(key), "it does not match its checksum")
        found[key] = data
    return found


def _checked(row: Any, where: str, view: str) -> tuple[int, int]:
    """A view's number and position out of its row."""
    if row is None:
        return 0, 0
    number, position, crc = row
    try:
        good = of_view(number, view, position) == crc
    except (TypeError, StructError):
        good = False
    if not good:
        raise CorruptViewError(where, view, "", "its row does not match its checksum")
    return number, position


def end_of(prefix: str) -> str | bytes:
    """What comes after every key that begins with ``prefix``; a blob, after all texts, if nothing else does.

    SQLite compares texts by their UTF-8 bytes, which is the order of code points.
    """
    short = prefix.rstrip(chr(_LAST_TEXT))
    if not short:
        return b""
    last = ord(short[-1])
    return short[:-1] + chr(_AFTER_SURROGATES if last == _BEFORE_SURROGATES else last + 1)
