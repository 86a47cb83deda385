"""Connections to one database: opened, lent out, thrown away when broken, and patience with the server.

No session state is kept on any of them, and nothing is prepared that lives on, so that a pooler may hand
every transaction to another session. Knows neither tables nor events.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, TypeVar

import psycopg
from psycopg import Connection, Cursor, RawCursor

from dashflow.errors import LogClosedError, StorageUnavailableError
from dashflow.log.postgres import arrays, faults
from dashflow.log.postgres.address import Address

_KEPT: Final = 4
"""Connections kept open while nobody reads."""

_FIRST_PAUSE: Final = 0.01
_LONGEST_PAUSE: Final = 0.5

T = TypeVar("T")
Row = tuple[Any, ...]


class Connections:
    """What a log reads with; its writer and its listener have connections of their own, made here."""

    def __init__(self, address: Address, *, patience: float, most: int) -> None:
        """``patience``: seconds to wait for a server that is away; ``most``: connections lent at once."""
        self.where = address.where
        self.patience = patience
        self._address = address
        self._idle: deque[Connection[Row]] = deque()
        self._free = threading.BoundedSemaphore(most)
        self.closed = threading.Event()

    def connect(self) -> Connection[Row]:
        """A further connection; every statement on it is a transaction of its own.

        Raises:
            psycopg.Error: There is no server, or it wants nothing to do with us.
        """
        connection = Connection.connect(
            self._address.conninfo, autocommit=True, prepare_threshold=None, cursor_factory=RawCursor
        )
        connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED  # of migrations
        arrays.teach(connection)
        return connection

    def rows(self, sql: str, parameters: Sequence[Any] = (), *, patience: float | None = None) -> list[Row]:
        """All rows of a statement that can be made again if the server goes away in the middle.

        Raises:
            StorageUnavailableError: It cannot be made.
            LogClosedError: The log was closed.
        """

        def once() -> list[Row]:
            with self.borrowed() as connection:
                return fetch(connection, sql, parameters)

        return self.patiently(once, patience)

    @contextmanager
    def borrowed(self) -> Iterator[Connection[Row]]:
        """A connection for this thread alone; it goes back at the end, unless it is broken."""
        if self.closed.is_set():
            raise LogClosedError(self.where)
        if not self._free.acquire(timeout=self.patience):
            raise StorageUnavailableError(
                self.where, f"all connections have been in use for {self.patience:g} s"
            )
        try:
            connection = self._take()
            try:
                yield connection
            finally:
                self._put_back(connection)
        finally:
            self._free.release()

    def patiently(self, work: Callable[[], T], patience: float | None = None) -> T:
        """Do ``work`` again, with pauses that grow, while the server is away.

        Raises:
            StorageUnavailableError: It was so for the whole of ``patience``, or it is something else.
        """
        patience = self.patience if patience is None else patience
        deadline = 0.0
        pause = _FIRST_PAUSE
        while True:
            try:
                return work()
            except psycopg.Error as error:
                now = time.monotonic()
                deadline = deadline or now + patience
                if not faults.is_passing(error) or now >= deadline:
                    raise faults.fault(self.where, error, patience) from error
            # Connections from before the server went away are as broken as the one that told us.
            self._drop_idle()
            # Spread by the clock's last digits, so that processes do not come back in step.
            time.sleep(pause * (0.5 + time.monotonic_ns() % 1021 / 1021))
            pause = min(pause * 1.6, _LONGEST_PAUSE)

    def close(self) -> None:
        """Close what is idle; what is in use is closed when it comes back."""
        self.closed.set()
        self._drop_idle()

    def _take(self) -> Connection[Row]:
        with suppress(IndexError):
            return self._idle.pop()
        return self.connect()

    def _put_back(self, connection: Connection[Row]) -> None:
        status = connection.pgconn.transaction_status
        if self.closed.is_set() or status != psycopg.pq.TransactionStatus.IDLE or len(self._idle) >= _KEPT:
            connection.close()
            return
        self._idle.append(connection)
        if self.closed.is_set():
            self._drop_idle()

    def _drop_idle(self) -> None:
        with suppress(IndexError):
            while True:
                self._idle.popleft().close()


def fetch(connection: Connection[Row], sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
    """All rows of one statement, values in binary; an empty list of one that gives none.

    Raises:
        psycopg.Error: The statement failed, or the connection is lost.
    """
    return fetched(connection.cursor(binary=True), sql, parameters)


def fetched(cursor: Cursor[Row], sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
    """``fetch`` with a cursor that is used again and again."""
    cursor.execute(sql, parameters)
    result = cursor.pgresult
    # Not `description`, which makes an object for every column.
    return cursor.fetchall() if result is not None and result.nfields else []
