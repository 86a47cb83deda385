"""AsyncSqliteSaver: the same threads in the same files as ``SqliteSaver``, for asyncio programs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from inspect import getclosurevars
from pathlib import Path
from typing import Any, ParamSpec, Self, TypeVar

from dashflow.checkpoint.saver import LogSaver
from dashflow.checkpoint.serde.base import SerializerProtocol, UntypedSerializerProtocol
from dashflow.log.sqlite import SqliteLog

__all__ = ("AsyncSqliteSaver",)

P = ParamSpec("P")
R = TypeVar("R")


class AsyncSqliteSaver(LogSaver):
    """Threads in a SQLite database; its async methods wait for the disk in a thread of their own.

    Args:
        conn: Path of the file, ``":memory:"``, or a connection of the package aiosqlite, of which only the
            path is used.
        serde: Makes bytes of values that are put in by hand, and reads them.

    Raises:
        NotALogError: The file is some other database, or none at all.
        LogFormatError: It was written by a newer DashFlow.
    """

    drives_log = True

    def __init__(
        self,
        conn: Any,
        *,
        serde: SerializerProtocol | UntypedSerializerProtocol | None = None,
    ) -> None:
        super().__init__(SqliteLog(_path_of(conn)), serde=serde)

    @classmethod
    @asynccontextmanager
    async def from_conn_string(cls, conn_string: str) -> AsyncIterator[Self]:
        """A saver on a file, closed at the end of the ``async with`` block."""
        saver = cls(conn_string)
        try:
            yield saver
        finally:
            await asyncio.to_thread(saver.log.close)

    async def setup(self) -> None:
        """Nothing to do: the file was set up when it was opened."""

    async def aclose(self) -> None:
        """Commit what is on its way and close the file."""
        await asyncio.to_thread(self.log.close)

    async def _apart(self, call: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.to_thread(call, *args, **kwargs)


def _path_of(conn: Any) -> str | Path:
    """The file that a connection of aiosqlite opens, or has opened.

    Raises:
        TypeError: It is no such connection.
    """
    if isinstance(conn, str | Path):
        return conn
    connector = getattr(conn, "_connector", None)
    path = getclosurevars(connector).nonlocals.get("database") if callable(connector) else None
    if isinstance(path, bytes):
        return path.decode()
    if isinstance(path, str | Path):
        return path
    raise TypeError(
        f"AsyncSqliteSaver takes a path or a connection of aiosqlite, not a {type(conn).__name__}. "
        "AsyncSqliteSaver.from_conn_string(path) opens a file."
    )
