"""What PostgreSQL's errors mean to somebody who uses a store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from dashflow.errors import StorageUnavailableError, UsageError

__all__ = ("address", "told")

_AWAY: Final = ("08", "57P0", "53", "58", "25006")
"""Beginnings of the codes of: no connection, shutdown, no resources, the server's disk, a standby."""


def address(conninfo: str) -> str:
    """Where a connection string leads, without its password.

    Raises:
        UsageError: It is none.
    """
    try:
        parts = conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError:
        raise UsageError(
            "The connection string cannot be read. It looks like "
            "postgresql://user:password@host:5432/database or like 'host=... dbname=...'."
        ) from None  # the cause would show the password
    host = parts.get("host") or parts.get("hostaddr") or "localhost"
    return f"postgresql://{host}:{parts.get('port') or 5432}/{parts.get('dbname') or parts.get('user') or ''}"


@contextmanager
def told(where: str) -> Iterator[None]:
    """Errors of the database as errors of ours, where a user can do something about them.

    Args:
        where: The database, for messages.
    """
    try:
        yield
    except psycopg.Error as error:
        code = error.sqlstate
        if isinstance(error, errors.UndefinedTable | errors.UndefinedColumn):
            raise UsageError(
                f"The store's tables are not in {where}, or are not complete ({_line(error)}). Call "
                "setup() of the store once."
            ) from error
        lost = code is None and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        if lost or (code or "").startswith(_AWAY):
            raise StorageUnavailableError(where, _line(error), what="store") from error
        raise


def _line(error: psycopg.Error) -> str:
    return " ".join(str(error).split()) or type(error).__name__
