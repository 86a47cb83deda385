"""Addresses of PostgreSQL logs, and what the server's errors become: nothing shows a password."""

import psycopg
import pytest

from dashflow.errors import UsageError
from dashflow.log.postgres.address import Address
from dashflow.log.postgres.faults import fault, is_passing, is_unfit

pytestmark = pytest.mark.feature("PERSIST-001")


@pytest.mark.parametrize(
    ("given", "shown", "schema"),
    [
        ("postgresql://ada:secret@db:5433/app", "postgresql://ada@db:5433/app", "dashflow"),
        ("postgres://ada:secret@db/app?schema=a_1", "postgresql://ada@db/app?schema=a_1", "a_1"),
        (
            "postgresql://ada@/app?host=/run/pg&schema=x&sslmode=disable",
            "postgresql://ada@/app?host=/run/pg&schema=x",
            "x",
        ),
        ("host=db user=ada password=secret dbname=app", "postgresql://ada@db/app", "dashflow"),
        ("postgresql://db/app?password=secret&user=ada", "postgresql://ada@db/app", "dashflow"),
        ("postgresql://ada:se%40cret%2F@db/app", "postgresql://ada@db/app", "dashflow"),
    ],
)
def test_an_address_is_shown_without_its_password(given: str, shown: str, schema: str) -> None:
    address = Address(given)
    assert (address.where, address.schema) == (shown, schema)
    assert "application_name=dashflow" in address.conninfo


def test_the_programs_own_settings_count() -> None:
    conninfo = Address("postgresql://db/app?connect_timeout=3&application_name=mine").conninfo
    assert "connect_timeout=3" in conninfo
    assert "application_name=mine" in conninfo


@pytest.mark.parametrize(
    "given",
    [
        "postgresql://ada:se@secret@db/app",
        "postgresql://ada:%zzsecret@db/app",
        "postgresql://ada:secret@db/app?nothing=secret",
        "password='secret",
    ],
)
def test_what_is_no_address_is_refused_without_being_repeated(given: str) -> None:
    with pytest.raises(UsageError, match="%40") as caught:
        Address(given)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@pytest.mark.parametrize("schema", ["Big", "pg_x", "1a", 'a"b', "a b", "x" * 64, "a;drop"])
def test_a_schema_has_a_plain_name(schema: str) -> None:
    with pytest.raises(UsageError, match="cannot be a log's schema"):
        Address("postgresql://db/app", schema)


def test_what_errors_mean() -> None:
    for error, words, passing in [
        (psycopg.errors.DiskFull("no space"), "disk is full", False),
        (psycopg.errors.ReadOnlySqlTransaction("no"), "read-only", False),
        (psycopg.errors.InsufficientPrivilege("no"), "grant", False),
        (psycopg.errors.LockNotAvailable("no"), "another append has kept it locked for 3 s", False),
        (psycopg.errors.AdminShutdown("bye"), "cannot be reached, tried for 3 s", True),
        (psycopg.errors.TooManyConnections("no"), "too many connections", True),
        (psycopg.OperationalError("server closed the connection"), "cannot be reached", True),
        (psycopg.OperationalError("FATAL:  the database system is starting up"), "reached", True),
        (psycopg.OperationalError('FATAL:  role "x" does not exist'), "look at user", False),
        (psycopg.errors.UndefinedTable("no table"), "PostgreSQL: no table", False),
    ]:
        assert words in str(fault("postgresql://db/app", error, 3))
        assert is_passing(error) == passing
    assert is_unfit(psycopg.errors.CharacterNotInRepertoire("0x00"))
    assert is_unfit(psycopg.errors.UniqueViolation("twice"))
    assert not is_unfit(psycopg.errors.DiskFull("no space"))
