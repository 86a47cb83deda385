"""SqliteSaver: threads in a SQLite file, the embedded default. Its twin for asyncio is in ``aio``."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, Self, TypeVar

from dashflow.checkpoint.saver import LogSaver
from dashflow.checkpoint.serde.base import SerializerProtocol, UntypedSerializerProtocol
from dashflow.log.sqlite import SqliteLog

__all__ = ("SqliteSaver",)

P = ParamSpec("P")
R = TypeVar("R")

_NOT_ASYNC = (
    "The SqliteSaver does not support async methods. Consider using AsyncSqliteSaver instead:\n"
    "from dashflow.checkpoint.sqlite.aio import AsyncSqliteSaver"
)


class SqliteSaver(LogSaver):
    """Threads in a SQLite database.

    Graphs may run on it from asyncio too; only its own methods are not for asyncio.

    Args:
        conn: Path of the file, ``":memory:"``, or an open connection to it (made with
            ``check_same_thread=False``).
        serde: Makes bytes of values that are put in by hand, and reads them.

    Raises:
        NotALogError: The file is some other database, or none at all.
        LogFormatError: It was written by a newer DashFlow.
    """

    drives_log = True

    def __init__(
        self,
        conn: str | Path | sqlite3.Connection,
        *,
        serde: SerializerProtocol | UntypedSerializerProtocol | None = None,
    ) -> None:
        super().__init__(SqliteLog(conn), serde=serde)

    @classmethod
    @contextmanager
    def from_conn_string(cls, conn_string: str) -> Iterator[Self]:
        """A saver on a file, closed at the end of the ``with`` block."""
        saver = cls(conn_string)
        try:
            yield saver
        finally:
            saver.log.close()

    def setup(self) -> None:
        """Nothing to do: the file was set up when it was opened. LangGraph's programs call it."""

    def close(self) -> None:
        """Commit what is on its way and close the file."""
        self.log.close()

    async def _apart(self, call: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        raise NotImplementedError(_NOT_ASYNC)
