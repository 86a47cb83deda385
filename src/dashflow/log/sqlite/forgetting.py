"""Drops the beginning of a stream, and all that only it needed. Inside the writer's transactions.

What is dropped is overwritten in the file (``secure_delete``); the WAL is emptied after the commit, see
``Database.empty_wal``.
"""

from __future__ import annotations

import sqlite3

from dashflow.log.sqlite.statements import queries


def forget(cursor: sqlite3.Cursor, stream: int, upto: int, *, head: int) -> None:
    """Drop a stream's events up to a version with their blobs, snapshots and correlation ids.

    Args:
        cursor: In a transaction in which everything before is written.
        stream: The stream's number.
        upto: Its last version to go.
        head: The last position of the log, which must not be used again.
    """
    sql = queries()
    end = (stream, upto)
    words = cursor.execute(sql["forgettable_words"], end).fetchall()
    cursor.execute(sql["set_meta"], ("head", head))
    cursor.execute(sql["forget_events"], end)
    cursor.executemany(sql["forget_word"], words)
    blobs = cursor.execute(sql["forgettable_blobs"], end).fetchall()
    cursor.execute(sql["forget_needs"], end)
    cursor.executemany(sql["forget_blob"], blobs)
    cursor.execute(sql["forget_snapshots"], end)
