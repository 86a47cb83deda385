"""What SQLite's errors mean to the owner of a log. Decides nothing else and touches no file."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from dashflow._util.database import code_of
from dashflow.errors import (
    CorruptLogError,
    LogClosedError,
    LogError,
    NotALogError,
    StorageUnavailableError,
)

_PROBLEMS: Final = {
    sqlite3.SQLITE_FULL: "the disk is full; make room",
    sqlite3.SQLITE_IOERR: "reading or writing the file failed; look at the disk and its file system",
    sqlite3.SQLITE_READONLY: "it is read-only; make the file and its folder writable for this user",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened; the folder must exist and be writable for this user",
    sqlite3.SQLITE_PERM: "this user may not open it",
    sqlite3.SQLITE_TOOBIG: "an event is larger than SQLite can store",
    sqlite3.SQLITE_NOMEM: "there is no memory left",
}

_DAMAGE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FORMAT})
"""The file is not what SQLite wrote."""


def busy(where: str, seconds: float, by: Sequence[str] = ()) -> StorageUnavailableError:
    """Somebody else kept the log locked for too long; ``by``: who that is, where it is known."""
    who = " and ".join(by) or "another process"
    have = "have" if len(by) > 1 else "has"
    return StorageUnavailableError(
        where,
        f"{who} {have} kept it locked for {seconds:g} s; see who has the file open "
        "(a backup, an SQLite shell with an open transaction?)",
    )


def fault(where: str, error: sqlite3.Error | UnicodeDecodeError) -> LogError:
    """The error to raise for what SQLite reported; a message or a text that is no UTF-8 is a report too."""
    if isinstance(error, UnicodeDecodeError):
        return CorruptLogError(where, f"SQLite: {error.object.decode(errors='replace')}")
    code = code_of(error)
    if code == sqlite3.SQLITE_NOTADB:
        return NotALogError(where, "it is not an SQLite database")
    if code == 0 and "closed database" in str(error):
        return LogClosedError(where)
    if code in _DAMAGE or (code == sqlite3.SQLITE_ERROR and isinstance(error, sqlite3.OperationalError)):
        # SQLite's plain error, of statements that are right: the tables are not what they were.
        return CorruptLogError(where, f"SQLite: {error}")
    if code == 0 and "decode" in str(error):  # Python's own: a text that is no UTF-8
        return CorruptLogError(where, str(error))
    problem = _PROBLEMS.get(code)
    return StorageUnavailableError(where, f"{problem} (SQLite: {error})" if problem else f"SQLite: {error}")


def damaged(problem: str) -> sqlite3.DatabaseError:
    """An error as SQLite raises it for a damaged file, for who finds damage inside a transaction."""
    error = sqlite3.DatabaseError(problem)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error
