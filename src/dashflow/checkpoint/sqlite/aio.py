"""AsyncSqliteSaver: the same threads in the same files as ``SqliteSaver``, opened from asyncio programs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from dashflow.checkpoint.saver import LogSaver
from dashflow.log.sqlite import SqliteLog

__all__ = ("AsyncSqliteSaver",)


class AsyncSqliteSaver(LogSaver):
    """Threads in a SQLite database.

    Args:
        conn: Path of the file, or ``":memory:"``.
    """

    def __init__(self, conn: str | Path) -> None:
        super().__init__(SqliteLog(conn))

    @classmethod
    @asynccontextmanager
    async def from_conn_string(cls, conn_string: str) -> AsyncIterator[AsyncSqliteSaver]:
        """A saver on a file, closed at the end of the ``async with`` block."""
        saver = cls(conn_string)
        try:
            yield saver
        finally:
            saver.log.close()

    async def setup(self) -> None:
        """Nothing to do: the file was set up when it was opened."""

    async def aclose(self) -> None:
        """Commit what is on its way and close the file."""
        self.log.close()
