"""The log in SQLite keeps the contract: in a file, in memory, and over a connection it was given."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashflow.log.base import EventLog
from dashflow.log.sqlite import SqliteLog
from dashflow.log.sqlite.clock import since_boot
from dashflow.testing.log_contract import EventLogContract

pytestmark = pytest.mark.feature("LOG-01", "PERSIST-000")


class Clock:
    """The machine's clock and what a test adds to it."""

    ahead = 0

    def __call__(self) -> int:
        return since_boot() + self.ahead


class SqliteContract(EventLogContract):
    """Leases so long that only the test's clock can end them, for no heartbeat falls into a test."""

    lease_seconds = 3600

    @pytest.fixture(autouse=True)
    def _clock(self) -> None:
        self.clock = Clock()

    def kill(self, log: EventLog) -> None:
        self.clock.ahead += 2 * self.lease_seconds * 1_000_000_000


class TestSqliteFile(SqliteContract):
    def open_log(self, place: Path) -> EventLog:
        return SqliteLog(place / "log.db", lease_seconds=self.lease_seconds, clock=self.clock)


class TestSqliteMemory(SqliteContract):
    """One connection in memory, given to every log: what two checkpointers on one connection do."""

    @pytest.fixture(autouse=True)
    def _connection(self) -> Iterator[None]:
        self.connection = sqlite3.connect(":memory:", check_same_thread=False)
        self.connection.row_factory = sqlite3.Row
        yield
        self.connection.execute("SELECT 1")  # still open
        self.connection.close()

    def open_log(self, place: Path) -> EventLog:
        return SqliteLog(self.connection, lease_seconds=self.lease_seconds, clock=self.clock)
