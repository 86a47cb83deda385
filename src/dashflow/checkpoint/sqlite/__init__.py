"""SqliteSaver: threads in a SQLite file, the embedded default. Its twin for asyncio is in ``aio``."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dashflow.checkpoint.saver import LogSaver
from dashflow.log.sqlite import SqliteLog

__all__ = ("SqliteSaver",)


class SqliteSaver(LogSaver):
    """Threads in a SQLite database.

    Args:
        conn: Path of the file, ``":memory:"``, or an open connection to it (made with
            ``check_same_thread=False``).

    Raises:
        NotALogError: The file is some other database, or none at all.
        LogFormatError: It was written by a newer DashFlow.
    """

    def __init__(self, conn: str | Path | sqlite3.Connection) -> None:
        super().__init__(SqliteLog(conn))

    @classmethod
    @contextmanager
    def from_conn_string(cls, conn_string: str) -> Iterator[SqliteSaver]:
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
