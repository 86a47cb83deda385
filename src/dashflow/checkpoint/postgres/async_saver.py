"""AsyncPostgresSaver: the same threads in the same databases as ``PostgresSaver``, for asyncio programs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, ParamSpec, Self, TypeVar

from psycopg import AsyncConnection, AsyncPipeline
from psycopg_pool import AsyncConnectionPool

from dashflow.checkpoint.postgres.base import BasePostgresSaver
from dashflow.checkpoint.postgres.logs import OPTIONS, conninfo, told
from dashflow.checkpoint.serde.base import SerializerProtocol, UntypedSerializerProtocol

__all__ = ("AsyncPostgresSaver", "Conn")

P = ParamSpec("P")
R = TypeVar("R")

Conn = AsyncConnection[dict[str, Any]] | AsyncConnectionPool[AsyncConnection[dict[str, Any]]]


class AsyncPostgresSaver(BasePostgresSaver):
    """Threads in a PostgreSQL database; its async methods wait for the server in a thread.

    The constructor itself waits until the log is open, some milliseconds; ``from_conn_string`` does so in a
    thread.

    Args:
        conn: A connection string; or an async connection or pool of psycopg, whose address is used, in which
            case the log is closed when the program closes that.
        pipe: A pipeline of the connection; nothing of it is used.
        serde: Makes bytes of values that are put in by hand, and reads them.
        schema: The schema that the log has to itself; ``dashflow`` unless told.

    Attributes:
        conn: See above.
        pipe: See above.

    Raises:
        LogFormatError: The tables were made by a newer DashFlow.
        NotALogError: The schema holds something else.
        StorageUnavailableError: The server is away, or refuses.
        TypeError: ``conn`` is none of these.
        UsageError: The string is no connection string.
        ValueError: A pool has a pipeline.
    """

    drives_log = True

    def __init__(
        self,
        conn: Conn | AsyncConnection[Any] | AsyncConnectionPool[Any] | str,
        pipe: AsyncPipeline | None = None,
        serde: SerializerProtocol | UntypedSerializerProtocol | None = None,
        *,
        schema: str | None = None,
    ) -> None:
        super().__init__(conn, (AsyncConnection, AsyncConnectionPool), pipe, serde, schema)

    @classmethod
    @asynccontextmanager
    async def from_conn_string(
        cls,
        conn_string: str,
        *,
        pipeline: bool = False,
        serde: SerializerProtocol | UntypedSerializerProtocol | None = None,
    ) -> AsyncIterator[Self]:
        """A saver on a database, closed at the end of the ``async with`` block.

        Its ``conn`` is a connection that programs may use; the log does not.

        Args:
            conn_string: A URI, in which ``?schema=name`` may name the log's schema, or libpq's list of
                parameters.
            pipeline: Without effect: statements are pipelined.
            serde: Makes bytes of values that are put in by hand, and reads them.
        """
        saver = await asyncio.to_thread(cls, conn_string, serde=serde)
        try:
            with told(saver.log.where):
                saver.conn = await AsyncConnection.connect(conninfo(conn_string), **OPTIONS)
            async with saver.conn:
                yield saver
        finally:
            await saver.aclose()

    async def setup(self) -> None:
        """Nothing to do: the tables were made when the log was opened. LangGraph's programs call it."""

    async def aclose(self) -> None:
        """Commit what is on its way and close the log; with a connection of the program, its end does so."""
        if self._close is not None:
            await asyncio.to_thread(self._close)

    async def _apart(self, call: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.to_thread(call, *args, **kwargs)
