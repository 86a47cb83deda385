"""What opening a log file would do to it: the steps to today's format, told without taking them.

Reads only. The steps themselves are taken by ``Database`` when an older log is opened, all in one
transaction.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from dashflow.errors import LogFormatError, NotALogError
from dashflow.log.base import LOG_FORMAT
from dashflow.log.sqlite import faults
from dashflow.log.sqlite.database import problem_of, stored_format
from dashflow.log.sqlite.statements import migrations, statements_of


class Step(msgspec.Struct, frozen=True):
    """One step from a format to the next: its statements, in order, and why they are there."""

    format: int
    why: str
    statements: list[str]


class Upgrade(msgspec.Struct, frozen=True):
    """What would be done to a file: nothing when ``steps`` is empty."""

    where: str
    found: int
    known: int
    steps: list[Step]


def planned(where: str | os.PathLike[str]) -> Upgrade:
    """What opening the log at ``where`` would do to it; the file is not changed, nor anything beside it.

    Raises:
        NotALogError: It is something else, or there is nothing.
        LogFormatError: The log is from a later version of this program.
        StorageUnavailableError: It cannot be read.
    """
    path = Path(os.path.realpath(where))
    if not path.exists() or not path.stat().st_size:
        raise NotALogError(str(where), "there is nothing yet")
    problem = problem_of(path)
    if problem is not None:
        raise problem
    # Without a WAL nobody has it open, and SQLite need not make the files that go with one.
    wal = path.with_name(path.name + "-wal")
    mode = "mode=ro" if wal.exists() else "mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?{mode}", uri=True)) as connection:
            found = stored_format(connection, str(where))
    except sqlite3.Error as error:
        raise faults.fault(str(where), error) from error
    if found > LOG_FORMAT:
        raise LogFormatError(str(where), found, LOG_FORMAT)
    steps = []
    for number, script in enumerate(migrations(found), found + 1):
        why, statements = statements_of(script)
        steps.append(Step(number, why, statements))
    return Upgrade(str(where), found, LOG_FORMAT, steps)
