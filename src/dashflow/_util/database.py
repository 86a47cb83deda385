"""SQLite files that several threads and processes share: whose turn it is, transactions, what errors mean.

``connect`` and ``transaction`` are for files that are kept as rows, as stores and caches do; the event log
has its own settings and transactions, and the rest from here.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from dashflow.errors import UsageError

__all__ = ("code_of", "connect", "is_busy", "patiently", "plain_cursor", "roll_back", "transaction")

_PATIENCE: Final = 30.0
"""Seconds that SQLite waits for another connection's transaction to end."""

_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL})

T = TypeVar("T")


def code_of(error: sqlite3.Error) -> int:
    """SQLite's primary result code; 0 for errors that Python raises by itself."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another connection is in the way, so that trying again can help."""
    return code_of(error) in _BUSY


def patiently(work: Callable[[], T], seconds: float) -> T:
    """Do ``work`` again while other connections are in the way.

    SQLite's own waiting sleeps up to 100 ms at a time and cannot be interrupted; this does not.

    Raises:
        sqlite3.OperationalError: They were for the whole of ``seconds``, or it is something else.
    """
    deadline = 0.0
    pause = 0.0005
    while True:
        try:
            return work()
        except sqlite3.OperationalError as error:
            if not is_busy(error):
                raise
            now = time.monotonic()
            deadline = deadline or now + seconds
            if now >= deadline:
                raise
        # Spread by the clock's last digits, so that processes do not come back in step.
        time.sleep(pause * (0.5 + time.monotonic_ns() % 1021 / 1021))
        pause = min(pause * 1.5, 0.005)


def plain_cursor(connection: sqlite3.Connection) -> sqlite3.Cursor:
    """A cursor that returns tuples, whatever the connection's owner set."""
    cursor = connection.cursor()
    cursor.row_factory = None
    return cursor


def roll_back(connection: sqlite3.Connection) -> None:
    """End a transaction that failed; SQLite may have ended it already."""
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def connect(path: str) -> sqlite3.Connection:
    """Open a file for threads that take turns; readers and a writer do not wait for each other.

    Raises:
        sqlite3.Error: It cannot be opened, is no database, or was locked for too long.
    """
    connection = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        # SQLite itself would not wait here while others switch to the write-ahead log too.
        patiently(lambda: connection.execute("PRAGMA journal_mode=WAL").close(), _PATIENCE)
        connection.execute(f"PRAGMA busy_timeout={int(_PATIENCE * 1000)}").close()
    except BaseException:
        connection.close()
        raise
    return connection


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
        yield plain_cursor(connection)
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise
