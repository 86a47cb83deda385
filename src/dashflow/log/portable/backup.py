"""Backups: all events of a log in one file, made while runs go on, and a new log out of such a file.

A restored log has the same streams, versions, ids and times, in the same order; nobody owns anything in it,
and positions are counted anew.
"""

from __future__ import annotations

import os
from contextlib import suppress

import msgspec

from dashflow.errors import UsageError
from dashflow.log.base import EventLog
from dashflow.log.open import open_log
from dashflow.log.portable.bringing import Brought, bring
from dashflow.log.portable.lines import Line
from dashflow.log.portable.packed import sync_folder
from dashflow.log.portable.reading import ExportFile, Wanted, examine
from dashflow.log.portable.writing import Written, write_file

_RESTORING = ".restoring"
"""Ending of a new log's name as long as it is not complete."""

_BESIDE = ("", "-wal", "-shm")
"""What SQLite adds to names of files."""


class Until(msgspec.Struct, frozen=True):
    """Up to where a log is restored; without both all of it.

    Attributes:
        position: The last position of the log that was backed up.
        at: The last time, nanoseconds: what comes before the first event that is later.
    """

    position: int | None = None
    at: int | None = None

    def wants(self, line: Line) -> bool:
        """Whether an event is still before it."""
        if self.position is not None and line.position > self.position:
            return False
        return self.at is None or line.event.at <= self.at


def backup(log: EventLog, path: str) -> Written:
    """Write all events of a log, as they are now, into a new file.

    Raises:
        UsageError: The file is there already.
        StorageUnavailableError: It cannot be written; there is none then.
    """
    return write_file(log, path)


def restore(path: str, db: str, *, until: Until | None = None) -> Brought:
    """Make a new log out of a backup.

    Args:
        path: The backup.
        db: Address of the new log. A file must not be there yet, and is only once it is complete; in a
            database the log must be empty, or have the beginning of this backup, from an attempt before.
        until: Up to where; None: all of it.

    Raises:
        UsageError: The new log is there already, or the file is an export of a part of a log.
        DamagedFileError, NotAnExportError, ExportFormatError: See ``ExportFile.lines``; nothing was made.
    """
    file = ExportFile(path)
    wants = (until or Until()).wants
    if db.startswith("memory:") or db in ("", ":memory:"):
        raise UsageError("A restored log needs a place to stay: name a new file with --db.")
    if "://" in db:
        return _into_database(file, db, wants)
    db = os.path.expanduser(db)
    if os.path.lexists(db):
        raise UsageError(f"{db!r} is there already; a backup is restored into a new log. Name another file.")
    examined = examine(file, wanted=wants)
    _refuse_part(file, examined.whole)
    new = db + _RESTORING
    _remove(new)
    try:
        log = open_log(new)
        try:
            brought = bring(file, log, wanted=wants, examined=examined)
        finally:
            log.close()
        os.replace(new, db)
        sync_folder(db)
    except BaseException:
        _remove(new)
        raise
    return brought


def _into_database(file: ExportFile, db: str, wants: Wanted) -> Brought:
    """Restore where there are no files: the log has nothing, or only what comes from this backup."""
    log = open_log(db)
    try:
        examined = examine(file, log=log, wanted=wants)
        _refuse_part(file, examined.whole)
        others = [info.stream for info in log.streams() if info.stream not in examined.streams]
        if others:
            raise UsageError(
                f"The log at {log.where!r} has other streams, such as {others[0]!r}; a backup is restored "
                "into a new log."
            )
        return bring(file, log, wanted=wants, examined=examined)
    finally:
        log.close()


def _refuse_part(file: ExportFile, whole: bool) -> None:
    if not whole:
        raise UsageError(
            f"{file.path!r} has only a part of a log's streams and is no backup. To bring it into a log: "
            "dashflow log import FILE"
        )


def _remove(path: str) -> None:
    """Remove a log that did not become one."""
    for ending in _BESIDE:
        with suppress(FileNotFoundError):
            os.unlink(path + ending)
