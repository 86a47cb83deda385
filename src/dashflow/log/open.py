"""Which backend serves which address: the one place that knows them all.

Backends are imported when they are asked for, so that a log in memory does not load SQLite.
"""

from __future__ import annotations

import os
from importlib.util import find_spec

from dashflow.errors import UsageError
from dashflow.log.base import EventLog

_KNOWN = "a file's path, 'postgresql://...', ':memory:' (SQLite without a file) or 'memory://'"


def open_log(where: str | os.PathLike[str]) -> EventLog:
    """Open the log at ``where``, creating it if it is not there yet.

    Args:
        where: A file's path, ``postgresql://user:password@host:port/database``, ``:memory:`` for SQLite
            without a file, or ``memory://``.

    Raises:
        UsageError: An address that no backend serves, or whose backend needs a package that is missing.
        NotALogError, LogFormatError, StorageUnavailableError: See the backend.
    """
    address = os.fspath(where)
    scheme, separator, _ = address.partition("://")
    if separator and scheme == "memory":
        from dashflow.log.memory import MemoryLog

        return MemoryLog()
    if scheme in ("postgresql", "postgres") and separator:
        if find_spec("psycopg") is None:
            raise UsageError(
                "PostgreSQL logs need the package psycopg: pip install 'dashflow[postgres]'.",
                where=f"{scheme}://...",  # The rest may hold a password.
            )
        from dashflow.log.postgres import PostgresLog

        return PostgresLog(address)
    if separator:
        raise UsageError(f"No log backend serves {scheme + '://'!r}; use {_KNOWN}.", where=f"{scheme}://...")
    if not address:
        raise UsageError(f"The log's address is empty; use {_KNOWN}.")
    from dashflow.log.sqlite import SqliteLog

    return SqliteLog(address)
