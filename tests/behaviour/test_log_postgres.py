"""The log in PostgreSQL where things go wrong: formats, permissions, restarts, open transactions."""

import os
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import RawCursor

from dashflow.errors import (
    DashFlowError,
    FencedError,
    LogFormatError,
    NotALogError,
    StorageUnavailableError,
    UsageError,
)
from dashflow.log.base import Append, NewEvent
from dashflow.log.postgres import PostgresLog, migrate
from dashflow.log.postgres.arrays import teach
from dashflow.log.postgres.batch import order_of, parameters_of
from dashflow.log.postgres.statements import queries
from dashflow.testing.log_case import in_threads, new_event, new_events
from tests.pooler import Pooler, pooled
from tests.postgres import GIVEN, Place, PostgresServer, start_server

pytestmark = pytest.mark.feature("PERSIST-001", "LOG-01")


@pytest.fixture
def log(postgres: Place) -> Iterator[PostgresLog]:
    log = PostgresLog(postgres.log)
    yield log
    log.close()


def refused(work: Any) -> DashFlowError:
    with pytest.raises(DashFlowError) as caught:
        work()
    assert "secret" not in str(caught.value)
    return caught.value


# -- opening --------------------------------------------------------------------------------------


def test_nobody_at_the_address(postgres_dsn: str) -> None:
    error = refused(lambda: PostgresLog("postgresql://ada:secret@127.0.0.1:1/app"))
    assert isinstance(error, StorageUnavailableError)
    assert "postgresql://ada@127.0.0.1:1/app" in str(error)


def test_a_database_that_is_not_there(postgres_dsn: str) -> None:
    with psycopg.connect(postgres_dsn) as connection:
        info = connection.info
        elsewhere = f"host={info.host} port={info.port} user={info.user} password=secret dbname=nothing"
    assert "does not exist" in str(refused(lambda: PostgresLog(elsewhere)))


def test_a_schema_of_something_else_is_left_alone(postgres: Place) -> None:
    postgres.execute("CREATE SCHEMA {schema}")
    postgres.execute("CREATE TABLE {schema}.streams (mine text)")
    error = refused(lambda: PostgresLog(postgres.log))
    assert isinstance(error, NotALogError)
    assert postgres.schema in str(error)
    tables = "SELECT count(*) FROM pg_tables WHERE schemaname = %s"
    assert postgres.execute(tables, postgres.schema) == [(1,)]


def test_a_later_format_is_refused_and_not_changed(postgres: Place) -> None:
    PostgresLog(postgres.log).close()
    postgres.execute("INSERT INTO {schema}.migrations (number, name) VALUES (999, 'later')")
    with pytest.raises(LogFormatError) as caught:
        PostgresLog(postgres.log)
    assert caught.value.data["found"] == 999
    with pytest.raises(LogFormatError):
        migrate(postgres.log, dry_run=True)


def test_migrations_tell_what_they_would_do_and_are_made_once(postgres: Place) -> None:
    planned = migrate(postgres.log, dry_run=True)
    assert [step.number for step in planned] == [1, 2, 3, 4]
    assert f'CREATE TABLE "{postgres.schema}".events' in planned[0].sql
    assert postgres.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", postgres.schema) == []
    done = [steps for steps in in_threads([lambda: migrate(postgres.log)] * 6) if steps]
    assert done == [planned]
    assert migrate(postgres.log, dry_run=True) == []


def test_many_open_a_new_log_at_once(postgres: Place) -> None:
    def work() -> int:
        log = PostgresLog(postgres.log)
        version = log.append(Append("run-1", new_events(1))).version
        log.close()
        return version

    assert sorted(in_threads([work] * 8)) == list(range(1, 9))


def test_an_open_connection_or_a_pool_names_the_server(postgres: Place) -> None:
    from psycopg_pool import ConnectionPool

    with (
        psycopg.connect(postgres.dsn) as connection,
        ConnectionPool(postgres.dsn, min_size=1, open=True) as pool,
    ):
        first = PostgresLog(connection, schema=postgres.schema)
        second = PostgresLog(pool, schema=postgres.schema)
        first.append(Append("run-1", new_events(1)))
        assert second.version("run-1") == 1
        first.close()
        second.close()
        assert connection.execute("SELECT 1").fetchone() == (1,)


@pytest.fixture
def user(postgres: Place) -> Iterator[str]:
    """The address of the log for a user who may do nothing yet; the user has the schema's name."""
    name = postgres.schema
    postgres.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'secret'")
    with psycopg.connect(postgres.dsn) as connection:
        info = connection.info
        where = f"host={info.host} port={info.port} user={name} password=secret dbname={info.dbname}"
    yield where
    postgres.execute(f"DROP OWNED BY {name}")
    postgres.execute(f"DROP ROLE {name}")


def test_who_may_not_make_a_schema_is_told_so(postgres: Place, user: str) -> None:
    error = refused(lambda: PostgresLog(user, schema=postgres.schema))
    assert isinstance(error, StorageUnavailableError)
    assert "permission denied" in str(error)
    assert postgres.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", postgres.schema) == []


def test_who_may_only_write_rows_can_use_a_log_that_is_there(postgres: Place, user: str) -> None:
    migrate(postgres.log)
    postgres.execute("GRANT USAGE ON SCHEMA {schema} TO {schema}")
    postgres.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {schema}")
    postgres.execute("GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA {schema} TO {schema}")
    log = PostgresLog(user, schema=postgres.schema)
    assert log.append(Append("run-1", new_events(1))).version == 1
    postgres.execute("REVOKE INSERT ON {schema}.events FROM {schema}")
    error = refused(lambda: log.append(Append("run-1", new_events(1))))
    assert isinstance(error, StorageUnavailableError)
    assert "grant" in str(error)
    assert log.version("run-1") == 1
    log.close()


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("read_only%3Don", "read-only"),
        ("isolation%3Dserializable", "read committed"),
    ],
)
def test_settings_of_the_database_that_do_not_allow_a_log(
    postgres: Place, log: PostgresLog, setting: str, words: str
) -> None:
    def use() -> None:
        other = PostgresLog(f"{postgres.log}&options=-c%20default_transaction_{setting}")
        try:
            other.append(Append("run-1", new_events(1)))
        finally:
            other.close()

    error = refused(use)
    assert isinstance(error, StorageUnavailableError)
    assert words in str(error)
    assert log.version("run-1") == 0


# -- appending ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "unfit",
    [
        Append("run-\0", new_events(1)),
        Append("run-\ud800", new_events(1)),
        Append("run-1", [NewEvent("T", b"x", b"short", 0)]),
        Append("run-1", [NewEvent("T", b"x", new_event().event_id, 2**70)]),
    ],
    ids=["nul", "surrogate", "id", "number"],
)
def test_what_cannot_be_stored_harms_nobody_else(log: PostgresLog, unfit: Append) -> None:
    good = [log.submit(Append("run-2", new_events(1), 0))]
    bad = log.submit(unfit)
    good.append(log.submit(Append("run-2", new_events(1), 1)))
    assert [ticket.wait().version for ticket in good] == [1, 2]
    with pytest.raises(UsageError, match="cannot store"):
        bad.wait()
    assert len(log.read_all()) == 2


def test_commits_are_durable_whatever_the_database_is_set_to(postgres: Place, log: PostgresLog) -> None:
    with middle(postgres, "options=-c%20synchronous_commit%3Doff") as connection:
        assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)


def test_a_fork_of_the_process_may_not_use_the_log(log: PostgresLog) -> None:
    log.append(Append("run-1", new_events(1)))
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            log.version("run-1")
        except UsageError:
            os.write(write, b"refused")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 20) == b"refused"
    os.close(read)
    os.close(write)
    assert log.append(Append("run-1", new_events(1))).version == 2


# -- the server goes away ---------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    if GIVEN:
        pytest.skip("the server that the environment names is not ours to stop")
    running = start_server()
    yield running
    running.close()


@pytest.mark.feature("PERSIST-004")
def test_a_log_waits_for_its_server_and_goes_on(server: PostgresServer) -> None:
    place = Place(server.dsn)
    log, hasty = PostgresLog(place.log), PostgresLog(place.log, patience_seconds=0)
    subscription = log.subscribe()
    for each in (log, hasty):
        each.append(Append("run-1", new_events(1)))
    server.stop("fast")
    for work in (
        lambda: hasty.append(Append("run-1", new_events(1))),
        lambda: hasty.version("run-1"),
        lambda: PostgresLog(place.log),
    ):
        error = refused(work)
        assert isinstance(error, StorageUnavailableError)
        assert "cannot be reached" in str(error)
    found = in_threads(
        [
            lambda: log.append(Append("run-1", new_events(1), 2)).version,
            lambda: log.read("run-1")[-1].version >= 2,
            lambda: server.start() or True,
        ]
    )
    assert found == [3, True, True]
    assert hasty.append(Append("run-1", new_events(1))).version == 4
    seen = []
    while len(seen) < 4:
        seen += subscription.poll()
    assert seen == log.read_all()
    log.close()
    hasty.close()


# -- transactions that are open for long -------------------------------------------------------------


class middle:
    """A transaction in the middle of appending two events to ``run-held``."""

    def __init__(self, place: Place, options: str = "") -> None:
        self._place = place
        self._options = options

    def __enter__(self) -> "psycopg.Connection[Any]":
        dsn = self._place.dsn + ("&" if "?" in self._place.dsn else "?") + self._options
        self.connection = psycopg.connect(dsn, cursor_factory=RawCursor)
        teach(self.connection)
        appends = [Append("run-held", new_events(2))]
        values = ["me", 10.0, 1000, *parameters_of(appends, order_of(appends))]
        self.connection.execute(queries(self._place.schema)["append"].encode(), values)
        return self.connection

    def __exit__(self, *_: object) -> None:
        self.connection.close()


@pytest.mark.feature("LOG-02")
@pytest.mark.parametrize("ends", ["commit", "rollback", "killed"])
def test_an_append_held_open_in_the_middle_makes_nobody_miss_or_repeat_anything(
    postgres: Place, log: PostgresLog, ends: str
) -> None:
    other = PostgresLog(postgres.log)
    log.append(Append("run-1", new_events(1)))
    subscriptions = [log.subscribe(), other.subscribe(), log.subscribe(category="run")]
    assert [len(each.poll(timeout=60)) for each in subscriptions] == [1, 1, 1]
    with middle(postgres) as held:
        tickets = [source.submit(Append("run-1", new_events(1))) for source in (log, other) * 3]
        # Positions are drawn under the lock that the open transaction has: nobody can be ahead of it.
        waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        while postgres.execute(waiting) == [(0,)]:
            continue
        assert [each.poll(timeout=0) for each in subscriptions] == [[], [], []]
        assert not any(ticket.done for ticket in tickets)
        if ends == "killed":
            postgres.execute("SELECT pg_terminate_backend(%s)", held.info.backend_pid)
        else:
            getattr(held, ends)()
    assert sorted(ticket.wait().version for ticket in tickets) == list(range(2, 8))
    everything = log.read_all()
    assert len(everything) == (9 if ends == "commit" else 7)
    for each in subscriptions:
        seen = []
        while len(seen) < len(everything) - 1:
            seen += each.poll(timeout=60)
        assert seen == everything[1:]
        assert each.poll(timeout=0) == []
    other.close()


@pytest.mark.feature("LOG-02")
def test_somebody_elses_long_transaction_delays_no_reader(postgres: Place, log: PostgresLog) -> None:
    with psycopg.connect(postgres.dsn) as connection:
        connection.execute("CREATE TEMPORARY TABLE t (n int)")
        assert connection.execute("SELECT pg_current_xact_id()").fetchone()
        subscription = log.subscribe()
        done = log.append(Append("run-1", new_events(1)))
        assert [record.position for record in subscription.poll(timeout=60)] == [done.position]


def test_who_cannot_get_its_turn_says_so_and_goes_on_later(postgres: Place, log: PostgresLog) -> None:
    hasty = PostgresLog(postgres.log, patience_seconds=0.2)
    with middle(postgres):
        error = refused(lambda: hasty.append(Append("run-1", new_events(1))))
        assert isinstance(error, StorageUnavailableError)
        assert "kept it locked for 0.2 s" in str(error)
    assert hasty.append(Append("run-1", new_events(1))).version == 1
    hasty.close()


# -- hearing of others ---------------------------------------------------------------------------------


@pytest.mark.feature("LOG-02")
def test_others_are_heard(postgres: Place, log: PostgresLog) -> None:
    other = PostgresLog(postgres.log)
    subscription = log.subscribe()
    while not log._watcher.heard:
        other.append(Append("run-1", new_events(1)))
        while subscription.poll(timeout=0.01):  # once there is nothing more, it begins to listen
            continue
    other.close()


@pytest.mark.feature("LOG-02")
def test_a_hundred_subscribers_miss_and_repeat_nothing(postgres: Place, log: PostgresLog) -> None:
    other = PostgresLog(postgres.log)
    subscriptions = [(log, other)[number % 2].subscribe() for number in range(100)]
    total = 60

    def follow(number: int) -> list[int]:
        seen: list[int] = []
        while len(seen) < total:
            seen += [record.position for record in subscriptions[number].poll()]
        return seen

    def write(source: PostgresLog) -> list[int]:
        for _ in range(total // 3):
            source.append(Append(f"run-{threading.get_ident()}", new_events(1)))
        return []

    found = in_threads(
        [lambda number=number: follow(number) for number in range(100)]
        + [lambda source=source: write(source) for source in (log, other, log)]
    )
    expected = [record.position for record in log.read_all()]
    assert len(expected) == total
    assert found[:100] == [expected] * 100
    other.close()


# -- behind a pooler, and cut off -----------------------------------------------------------------------


@pytest.fixture
def pooler(postgres: Place) -> Iterator[Pooler]:
    if GIVEN:
        pytest.skip("the pooler of these tests knows sockets in a folder only")
    with pooled(postgres.dsn) as pooler:
        yield pooler


@pytest.mark.feature("LOG-02")
@pytest.mark.parametrize("direct", [True, False])
def test_behind_a_pooler_a_log_hears_only_at_the_servers_own_address(
    postgres: Place, log: PostgresLog, pooler: Pooler, direct: bool
) -> None:
    behind = PostgresLog(pooler.dsn, schema=postgres.schema, direct=postgres.dsn if direct else None)
    subscription = behind.subscribe()
    count = 0
    while count < 20 or (direct and not behind._watcher.heard):
        log.append(Append("run-1", new_events(1)))
        assert len(subscription.poll(timeout=60)) == 1
        subscription.poll(timeout=0.01)
        count += 1
    assert behind._watcher.heard == direct
    behind.close()


@pytest.mark.feature("PERSIST-004", "NEW-08")
def test_an_owner_that_was_cut_off_past_its_lease_is_fenced(
    postgres: Place, log: PostgresLog, pooler: Pooler
) -> None:
    cut_off = PostgresLog(pooler.dsn, schema=postgres.schema, lease_seconds=0.3)
    owner, next_owner = cut_off.instance + "/r", log.instance + "/r"
    epoch = cut_off.append(Append("run-1", new_events(1), 0, owner=owner, claim=True)).epoch
    pooler.mended.clear()
    late = cut_off.submit(Append("run-1", new_events(1), 1, owner=owner, epoch=epoch))
    while not log.abandoned():
        continue  # each look is a round trip; the lease ends by itself
    done = log.append(Append("run-1", new_events(1), 1, owner=next_owner, claim=True))
    assert (done.version, done.epoch) == (2, 2)
    pooler.mended.set()
    with pytest.raises(FencedError):
        late.wait()
    assert [record.epoch for record in log.read("run-1")] == [1, 2]
    cut_off.close()
    assert log.streams()[0].owner == next_owner
