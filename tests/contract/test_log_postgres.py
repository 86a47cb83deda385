"""The log in PostgreSQL keeps the contract, on a real server."""

from pathlib import Path

import pytest

from dashflow.log.base import EventLog
from dashflow.log.postgres import PostgresLog
from dashflow.testing.log_contract import EventLogContract
from tests.postgres import Place

pytestmark = pytest.mark.feature("LOG-01", "LOG-02", "PERSIST-001", "NEW-08")


class TestPostgres(EventLogContract):
    """Leases so long that only the test can end them, for no heartbeat falls into a test."""

    @pytest.fixture(autouse=True)
    def _place(self, postgres: Place) -> None:
        self.place = postgres

    def open_log(self, place: Path) -> EventLog:
        return PostgresLog(self.place.log, lease_seconds=3600)

    def kill(self, log: EventLog) -> None:
        over = "UPDATE {schema}.instances SET lease = clock_timestamp() WHERE instance = %s"
        self.place.execute(over, log.instance)
