"""Putting a log right: a copy first, then tables, then streams. Nothing is taken away that is not kept aside.

A thread with an event that cannot be read is taken back to the last event before it: each later event gets an
``EventSetAside`` in its place, at its version, so that no version is ever used twice.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from contextlib import closing, suppress
from time import strftime, time_ns

from dashflow._util.ids import uuid7
from dashflow.core.events import EventSetAside
from dashflow.doctor.diagnosis import Diagnosis, Finding, Repaired
from dashflow.doctor.examine import examine
from dashflow.doctor.places import file_of, mender_of
from dashflow.errors import CorruptLogError, OwnershipConflictError, StorageUnavailableError, UsageError
from dashflow.log.codec import encode
from dashflow.log.mending import Fault, Mender, Placed
from dashflow.log.open import open_log

_BESIDE = ("", "-wal")
_LAST = ("index", "stream", "word")
"""In this order: an index is made of rows that are right, and a row may be right in an index."""


def repair(db: str, *, backed_up: bool = False) -> Repaired:
    """Find what is wrong with a log, and put right what can be.

    Args:
        db: Its file or the address of its server.
        backed_up: For a server: that there is a backup of its database. Of a file, a copy is made here.

    Returns:
        What was found, what was done, what is left.

    Raises:
        UsageError: There is no log, or no backup.
        OwnershipConflictError: A run is going on; nothing was done.
        StorageUnavailableError: Somebody else is writing, or there is no room for a copy; nothing was done.
    """
    path = file_of(db)
    before = examine(db)
    if not any(finding.repairs for finding in before.findings):
        return Repaired(before, before, [], "")
    if path is None and not backed_up:
        raise UsageError(
            "A repair wants a backup first: make one of the database (pg_dump), and say so with --backed-up."
        )
    now = time_ns()
    if any(finding.code == "pages" for finding in before.findings):
        assert path is not None
        done, copy = _rebuilt(path, now)
        again = examine(db)
        if any(finding.repairs for finding in again.findings):
            _refuse_living(db, again)
            done += _mended(db, again, now, None)[0]
    else:
        _refuse_living(db, before)
        done, copy = _mended(db, before, now, path)
    return Repaired(before, examine(db), done, copy)


def _refuse_living(db: str, found: Diagnosis) -> None:
    """Nobody may be at work on the log."""
    if any(finding.code == "stream" for finding in found.findings):
        return  # nobody can write to such a stream, and the others cannot be listed
    with closing(open_log(db)) as log:
        for info in log.streams():
            if info.owner:
                raise OwnershipConflictError(info.stream, info.owner)


def _mended(db: str, found: Diagnosis, now: int, path: str | None) -> tuple[list[str], str]:
    """Mend tables and set events aside, in one transaction, with a copy of ``path`` made before it."""
    done: list[str] = []
    with closing(mender_of(db)) as mender:
        mender.begin()
        copy = "" if path is None else _copied(path, now)
        faults = [fault for fault in mender.faults() if fault.mends]
        indexed = False
        for fault in sorted(faults, key=_order):
            if not (fault.code == "index" and indexed):  # made all at once
                done += [_said(fault, _mend(mender, fault, now))]
            indexed = indexed or fault.code == "index"
        mender.commit()
        # A stream that can be read now may hold events that cannot.
        later = found
        if any(fault.code in _LAST for fault in faults):
            mender.close()
            later = examine(db)
    with closing(mender_of(db)) as mender:
        mender.begin()
        for finding in later.findings:
            if finding.code == "event" and finding.repairs:
                done.append(_set_aside(mender, finding, now))
        mender.commit()
    return done, copy


def _order(fault: Fault) -> int:
    """Rows before the indexes that are made of them."""
    return ("word", "stream", "index", "snapshot", "view", "blob").index(fault.code)


def _mend(mender: Mender, fault: Fault, now: int) -> str:
    try:
        return mender.mend(fault, now)
    except CorruptLogError as error:
        return f"nothing could be done: {error}"


def _said(fault: Fault, done: str) -> str:
    return f"{fault.stream or fault.code}: {done}"


def _set_aside(mender: Mender, finding: Finding, now: int) -> str:
    """Take a thread back to its last event that can be read."""
    last = mender.streams()[finding.stream][1]
    for version in range(finding.good + 1, last + 1):
        kept, was = mender.set_aside(finding.stream, version, finding.problem, now)
        why = finding.problem if version == finding.version else "it follows on an event that cannot be read"
        event = EventSetAside(why, was, kept)
        placed = Placed(event.type, encode(_plain(event)), uuid7(now, random.getrandbits(62)), now, was)
        mender.put(finding.stream, version, placed)
    return (
        f"{finding.stream}: set events {finding.good + 1} to {last} aside; it is what it was at event "
        f"{finding.good}"
    )


def _plain(event: EventSetAside) -> dict[str, object]:
    told = {"why": event.why, "was": event.was, "kept": event.kept}
    return {name: value for name, value in told.items() if value or name == "why"}


# -- files ----------------------------------------------------------------------------------------


def _copied(path: str, now: int) -> str:
    """Copy a file that others cannot write at this moment. In a process of its own: to close the file here
    would end this process's locks on it.

    Raises:
        StorageUnavailableError: That is not possible; there is no part of a copy then.
    """
    copy = _free_name(path, now)
    program = "import shutil, sys; shutil.copy2(sys.argv[1], sys.argv[2])"
    for ending in _BESIDE:
        if not os.path.exists(path + ending):
            continue
        made = subprocess.run(
            [sys.executable, "-I", "-c", program, path + ending, copy + ending],
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            for one in _BESIDE:
                with suppress(FileNotFoundError):
                    os.unlink(copy + one)
            said = made.stderr.strip().rpartition("\n")[2]
            raise StorageUnavailableError(path, f"it cannot be copied before the repair ({said})")
    return copy


def _free_name(path: str, now: int) -> str:
    name = f"{path}.damaged-{strftime('%Y%m%d-%H%M%S')}"
    return name if not os.path.exists(name) else f"{name}-{now}"


def _rebuilt(path: str, now: int) -> tuple[list[str], str]:
    """Put a new file in the place of one whose pages are damaged; the old one stays beside it."""
    from dashflow.log.sqlite.salvage import salvage

    path = os.path.realpath(path)
    new = f"{path}.salvaging"
    _remove(new)
    room = shutil.disk_usage(os.path.dirname(path)).free
    if room < os.path.getsize(path):
        raise StorageUnavailableError(path, "there is no room for a new file beside it")
    try:
        salvaged = salvage(path, new, now)
    except BaseException:
        _remove(new)
        raise
    copy = _free_name(path, now)
    for ending in (*_BESIDE, "-shm"):
        with suppress(FileNotFoundError):
            os.replace(path + ending, copy + ending)
    os.replace(new, path)
    return [
        f"made a new file with {salvaged.events} events of {salvaged.streams} streams, which could be read; "
        f"{salvaged.aside} rows that are not what was written are kept aside in it"
    ], copy


def _remove(path: str) -> None:
    for ending in (*_BESIDE, "-shm"):
        with suppress(FileNotFoundError):
            os.unlink(path + ending)
