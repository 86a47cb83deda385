"""The log in PostgreSQL keeps the contract, on a real server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from msgspec.structs import replace

from dashflow.errors import LogError
from dashflow.log.base import Append, Appended, EventLog
from dashflow.log.postgres import PostgresLog
from dashflow.testing.log_contract import EventLogContract
from dashflow.testing.log_ownership_contract import OwnershipContract
from dashflow.testing.log_subscription_contract import SubscriptionContract
from dashflow.testing.log_takeover_contract import TakeoverContract
from tests.contract.test_log_model import Logs
from tests.pooler import pooled
from tests.postgres import GIVEN, Place

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


class PostgresLogs(Logs):
    """PostgreSQL and the model, in step. Its positions may have gaps: each is compared with itself."""

    dsn = ""

    def open(self) -> None:
        if not hasattr(self, "place"):
            self.place = Place(self.dsn)
            self.found: dict[tuple[str, int], int] = {}
        self.logs = [PostgresLog(self.place.log, lease_seconds=3600)]

    def teardown(self) -> None:
        super().teardown()
        if hasattr(self, "place"):
            self.place.drop()

    def everywhere(self, append: Append, expected: Appended | type[LogError]) -> None:
        (log,) = self.logs
        mine = replace(append, owner=f"{log.instance}/{append.owner}" if append.owner else "")
        if not isinstance(expected, Appended):
            with pytest.raises(expected) as caught:
                log.append(mine)
            assert caught.type is expected
            return
        done = log.append(mine)
        assert (done.version, done.epoch) == (expected.version, expected.epoch), append
        latest = max(self.found.values(), default=0)
        if (append.stream, done.version) not in self.found and done.version:
            assert done.position > latest
        assert done.position == self.found.setdefault((append.stream, done.version), done.position)


@pytest.fixture(autouse=True, scope="module")
def _model_on_the_server(postgres_dsn: str) -> None:
    PostgresLogs.dsn = postgres_dsn


TestPostgresModel = PostgresLogs.TestCase
TestPostgresModel.settings = settings(
    stateful_step_count=20, max_examples=max(settings().max_examples // 15, 4)
)


class TestPostgresBehindAPooler(OwnershipContract, SubscriptionContract, TakeoverContract):
    """Every transaction on another session. What a log hears there is nothing: it looks by itself."""

    @pytest.fixture(autouse=True)
    def _pooler(self, postgres: Place) -> Iterator[None]:
        if GIVEN:
            pytest.skip("the pooler of these tests knows sockets in a folder only")
        self.place = postgres
        with pooled(postgres.dsn) as pooler:
            self.pooler = pooler
            yield
            assert pooler.served

    def open_log(self, place: Path) -> EventLog:
        return PostgresLog(self.pooler.dsn, schema=self.place.schema, lease_seconds=3600)

    kill = TestPostgres.kill
