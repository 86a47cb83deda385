"""Which backend serves which address: the one place that knows them all.

Backends are imported when they are asked for, so that a log in memory does not load SQLite.
"""

from __future__ import annotations

import os

from dashflow.errors import UsageError
from dashflow.log.base import EventLog

_KNOWN = "a file's path, ':memory:' (SQLite without a file) or 'memory://'"


def open_log(where: str | os.PathLike[str]) -> EventLog:
    """Open the log at ``where``, creating it if it is not there yet.

    Args:
        where: A file's path, ``:memory:`` for SQLite without a file, or ``memory://``.

    Raises:
        UsageError: An address that no backend serves.
        NotALogError, LogFormatError, StorageUnavailableError: See the backend.
    """
    address = os.fspath(where)
    scheme, separator, _ = address.partition("://")
    if separator and scheme == "memory":
        from dashflow.log.memory import MemoryLog

        return MemoryLog()
    if scheme in ("postgresql", "postgres") and separator:
        raise UsageError(
            f"PostgreSQL logs are not supported yet; use {_KNOWN}.",
            where=f"{scheme}://...",  # The rest may hold a password.
        )
    if separator:
        raise UsageError(f"No log backend serves {scheme + '://'!r}; use {_KNOWN}.", where=f"{scheme}://...")
    if not address:
        raise UsageError(f"The log's address is empty; use {_KNOWN}.")
    from dashflow.log.sqlite import SqliteLog

    return SqliteLog(address)
