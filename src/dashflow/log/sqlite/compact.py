"""Giving a log file's free space back to the disk. Changes no event, no number and no format."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import msgspec

from dashflow.errors import NotALogError
from dashflow.log.sqlite import faults
from dashflow.log.sqlite.database import Database, problem_of


class Compacted(msgspec.Struct, frozen=True):
    """How many bytes the file and its WAL took before and take now.

    Attributes:
        cut: Whether the file could be made shorter at once. If not, somebody was reading what was there;
            it gets shorter when they and one more commit are done.
    """

    where: str
    before: int
    after: int
    cut: bool


def compact(where: str | os.PathLike[str], *, busy_seconds: float = 30.0) -> Compacted:
    """Write a log's file anew without the space that forgotten events left.

    Others may have the log open; their appends wait meanwhile. The disk has to hold the content twice more
    until it is done. A crash leaves the file as it was.

    Args:
        where: The file.
        busy_seconds: How long to wait for somebody who is writing.

    Raises:
        NotALogError: It is something else, or there is nothing.
        LogFormatError: The log is from a later version of this program.
        StorageUnavailableError: It cannot be written, or there is no room.
    """
    path = Path(os.path.realpath(where))
    if not path.exists():
        raise NotALogError(os.fspath(where), "there is nothing yet")
    if (problem := problem_of(path)) is not None:
        raise problem
    before = _size(path)
    database = Database(where, busy_seconds)
    try:
        with database.lock:
            database.patiently(lambda: database.writer.execute("VACUUM"))
        cut = database.empty_wal()
    except sqlite3.Error as error:
        raise faults.fault(database.where, error) from error
    finally:
        database.close()
    return Compacted(os.fspath(where), before, _size(path), cut)


def _size(path: Path) -> int:
    beside = (path, path.with_name(path.name + "-wal"))
    return sum(file.stat().st_size for file in beside if file.exists())
