"""The log in SQLite keeps the contract: in a file, in memory, and over a connection it was given."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashflow.log.base import EventLog
from dashflow.log.sqlite import SqliteLog
from dashflow.testing.log_contract import EventLogContract

pytestmark = pytest.mark.feature("LOG-01", "PERSIST-000")


class TestSqliteFile(EventLogContract):
    def open_log(self, place: Path) -> EventLog:
        return SqliteLog(place / "log.db")


class TestSqliteMemory(EventLogContract):
    """One connection in memory, given to every log: what two checkpointers on one connection do."""

    @pytest.fixture(autouse=True)
    def _connection(self) -> Iterator[None]:
        self.connection = sqlite3.connect(":memory:", check_same_thread=False)
        self.connection.row_factory = sqlite3.Row
        yield
        self.connection.execute("SELECT 1")  # still open
        self.connection.close()

    def open_log(self, place: Path) -> EventLog:
        return SqliteLog(self.connection)
