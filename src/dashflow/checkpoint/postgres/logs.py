"""The log behind a program's connection or pool: one for all savers on it, and it ends when that is closed.

A log needs connections of its own: one that writes, one that listens, some that read. So only the address is
taken from the program's, and how long it lives.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import iscoroutinefunction
from typing import Any, Final

import psycopg
from psycopg import AsyncConnection, Connection
from psycopg.rows import dict_row

from dashflow.checkpoint.postgres.foreign import warn_of_others_threads
from dashflow.errors import UsageError
from dashflow.log.postgres import PostgresLog
from dashflow.log.postgres.address import Address
from dashflow.log.postgres.faults import fault

__all__ = ("OPTIONS", "check_kind", "conninfo", "log_of", "opened", "told")

OPTIONS: Final[dict[str, Any]] = {"autocommit": True, "prepare_threshold": None, "row_factory": dict_row}
"""Of connections that savers open for programs."""

_LOGS: Final[weakref.WeakKeyDictionary[Any, dict[str | None, PostgresLog]]] = weakref.WeakKeyDictionary()
"""By connection or pool, then by schema."""

_TURN: Final = threading.Lock()


def check_kind(saver: str, conn: object, *kinds: type) -> None:
    """Refuse what a saver cannot use.

    Raises:
        TypeError: ``conn`` is of none of these kinds.
        UsageError: It is closed, or nothing tells where it leads.
    """
    if not isinstance(conn, kinds):
        names = " or ".join(kind.__name__ for kind in kinds)
        raise TypeError(
            f"{saver} takes a psycopg {names}, or a connection string, not a {type(conn).__name__}. "
            f"{saver}.from_conn_string(...) is the usual way."
        )
    if isinstance(conn, Connection | AsyncConnection) and conn.closed:
        raise UsageError(f"{saver} got a PostgreSQL connection that is closed; open another.")
    if not isinstance(getattr(conn, "conninfo", ""), str):
        raise UsageError(
            f"{saver} got a pool whose address is a function, which a log cannot ask; give it the connection "
            "string."
        )


def opened(where: Any, schema: str | None) -> PostgresLog:
    """A log, and a warning if there are threads beside it that it does not show.

    Raises:
        NotALogError, LogFormatError, StorageUnavailableError: See ``PostgresLog``.
    """
    log = PostgresLog(where, schema=schema)
    try:
        warn_of_others_threads(log, where)
    except BaseException:
        log.close()
        raise
    return log


def conninfo(string: str) -> str:
    """A connection string for psycopg: without the log's schema.

    Raises:
        UsageError: It is none.
    """
    return Address(string).conninfo


@contextmanager
def told(where: str) -> Iterator[None]:
    """Errors of a server that is away, as ours.

    Raises:
        StorageUnavailableError: It is.
    """
    try:
        yield
    except psycopg.Error as error:
        raise fault(where, error) from error


def log_of(conn: Any, schema: str | None = None) -> PostgresLog:
    """The log at the address of a connection or a pool.

    Args:
        conn: The program's. Of a connection that belongs to a pool, the pool counts.
        schema: The log's schema.

    Raises:
        NotALogError, LogFormatError, StorageUnavailableError: See ``PostgresLog``.
    """
    if isinstance(conn, Connection | AsyncConnection):
        # psycopg's own mark of connections that belong to a pool.
        conn = getattr(conn, "_pool", None) or conn
    with _TURN:
        logs = _LOGS.get(conn)
        if logs is None:
            logs = _LOGS[conn] = {}
            _end_with(conn, logs)
        log = logs.get(schema)
        if log is None:
            log = logs[schema] = opened(conn, schema)
        return log


def _end_with(conn: Any, logs: dict[str | None, PostgresLog]) -> None:
    """Close the logs when the program closes its connection or pool, or drops it."""
    # Only a reference that does not keep it alive; the class's own method is called in the end.
    this, kind = weakref.ref(conn), type(conn)
    weakref.finalize(conn, _close, logs)
    if iscoroutinefunction(kind.close):

        async def closing(*args: Any, **kwargs: Any) -> Any:
            await asyncio.to_thread(_close, logs)
            return await kind.close(this(), *args, **kwargs)

        conn.close = closing
        return

    def close(*args: Any, **kwargs: Any) -> Any:
        _close(logs)
        return kind.close(this(), *args, **kwargs)

    conn.close = close


def _close(logs: dict[str | None, PostgresLog]) -> None:
    while logs:
        logs.popitem()[1].close()
