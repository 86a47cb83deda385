"""PostgresSaver: threads in a PostgreSQL database. Its twin for asyncio is in ``async_saver``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, Self, TypeVar

from psycopg import Connection, Pipeline
from psycopg_pool import ConnectionPool

from dashflow.checkpoint.postgres.base import BasePostgresSaver
from dashflow.checkpoint.postgres.logs import OPTIONS, conninfo, told
from dashflow.checkpoint.serde.base import SerializerProtocol, UntypedSerializerProtocol

__all__ = ("Conn", "PostgresSaver")

P = ParamSpec("P")
R = TypeVar("R")

Conn = Connection[dict[str, Any]] | ConnectionPool[Connection[dict[str, Any]]]

_NOT_ASYNC = (
    "The PostgresSaver does not support async methods. Consider using AsyncPostgresSaver instead:\n"
    "from dashflow.checkpoint.postgres.aio import AsyncPostgresSaver"
)


class PostgresSaver(BasePostgresSaver):
    """Threads in a PostgreSQL database.

    Graphs may run on it from asyncio too; only its own methods are not for asyncio.

    Args:
        conn: A connection string; or a connection or pool of psycopg, whose address is used, in which case
            the log is closed when the program closes that.
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
        conn: Conn | Connection[Any] | ConnectionPool[Any] | str,
        pipe: Pipeline | None = None,
        serde: SerializerProtocol | UntypedSerializerProtocol | None = None,
        *,
        schema: str | None = None,
    ) -> None:
        super().__init__(conn, (Connection, ConnectionPool), pipe, serde, schema)

    @classmethod
    @contextmanager
    def from_conn_string(cls, conn_string: str, *, pipeline: bool = False) -> Iterator[Self]:
        """A saver on a database, closed at the end of the ``with`` block.

        Its ``conn`` is a connection that programs may use; the log does not.

        Args:
            conn_string: A URI, in which ``?schema=name`` may name the log's schema, or libpq's list of
                parameters.
            pipeline: Without effect: statements are pipelined.
        """
        saver = cls(conn_string)
        try:
            with told(saver.log.where):
                saver.conn = Connection.connect(conninfo(conn_string), **OPTIONS)
            with saver.conn:
                yield saver
        finally:
            saver.close()

    def setup(self) -> None:
        """Nothing to do: the tables were made when the log was opened. LangGraph's programs call it."""

    def close(self) -> None:
        """Commit what is on its way and close the log; with a connection of the program, its end does so."""
        if self._close is not None:
            self._close()

    async def _apart(self, call: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        raise NotImplementedError(_NOT_ASYNC)
