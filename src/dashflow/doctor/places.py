"""Which log an address means, and who can look at and mend its tables. Opens nothing that is not there."""

from __future__ import annotations

import os

from dashflow.errors import UsageError
from dashflow.log.mending import Mender


def file_of(db: str) -> str | None:
    """The file that an address names; None for a server's.

    Raises:
        UsageError: There is nothing there, or nothing that could be looked at.
    """
    if db.startswith("memory:") or db in ("", ":memory:"):
        raise UsageError("A log in memory has nothing to look at: name its file or its server.")
    if "://" in db:
        return None
    path = os.path.expanduser(db)
    if not os.path.exists(path):
        raise UsageError(f"There is no log at {db!r}: name the file or server with --db.")
    return path


def mender_of(db: str) -> Mender:
    """Who looks at and mends the tables of the log at an address.

    Raises:
        UsageError: There is nothing there.
        LogError: It cannot be opened.
    """
    path = file_of(db)
    if path is None:
        from dashflow.log.postgres.mending import PostgresMender

        return PostgresMender(db)
    from dashflow.log.sqlite.mending import SqliteMender

    return SqliteMender(path)
