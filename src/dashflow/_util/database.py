"""SQLite files that several threads and processes share: how they are opened, and transactions on them.

For files that are kept as rows, as stores and caches do; the event log has its own ways.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from dashflow.errors import UsageError

__all__ = ("connect", "transaction")

_PATIENCE: Final = 30.0
"""Seconds that SQLite waits for another connection's transaction to end."""


def connect(path: str) -> sqlite3.Connection:
    """Open a file for threads that take turns; readers and a writer do not wait for each other.

    Raises:
        sqlite3.Error: It cannot be opened, is no database, or was locked for too long.
    """
    connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
    try:
        _write_ahead(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log. While others do the same SQLite refuses at once, without waiting."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL").close()
            return
        except sqlite3.OperationalError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_BUSY:
                raise
            if time.monotonic() >= deadline:
                raise
        time.sleep(0.001 + time.monotonic_ns() % 1021 / 1021 / 200)


@contextmanager
def transaction(connection: sqlite3.Connection, *, write: bool) -> Iterator[sqlite3.Cursor]:
    """All that is done with the cursor, or nothing.

    Args:
        connection: For this thread alone as long as the transaction lasts.
        write: Whether anything may be changed; the file is then locked from the start, because a reader
            that turns into a writer is refused when another was faster.

    Raises:
        UsageError: The connection is in a transaction already.
    """
    if connection.in_transaction:
        raise UsageError(
            "The SQLite connection has an open transaction; commit it before the store uses the connection."
        )
    connection.execute("BEGIN IMMEDIATE" if write else "BEGIN")
    try:
        cursor = connection.cursor()
        cursor.row_factory = None  # tuples, whatever the connection's owner set
        yield cursor
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite may have ended it itself
            connection.execute("ROLLBACK")
        raise
