"""What every test gets: Hypothesis profiles and an environment that no developer's settings leak into.

Counts are reduced unless DASHFLOW_TEST_PROFILE=soak (`make soak`). Nothing here knows a layer.
"""

import os
import signal
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import HealthCheck, settings

from tests.postgres import GIVEN, Place, start_server

# No deadline: tests measure no time. Derandomised: a red run is red for everybody, `soak` explores.
settings.register_profile(
    "test", max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "soak", max_examples=3000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("DASHFLOW_TEST_PROFILE", "test"))

# A script's background job ignores Ctrl-C, and so would every program that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Read by LangChain, LangSmith, rich and click; set on a developer's machine they would change results.
_LEAKING = (
    "LANGCHAIN_",
    "LANGSMITH_",
    "DASHFLOW_",
    "NO_COLOR",
    "FORCE_COLOR",
    "CLICOLOR",
    "COLUMNS",
    "LINES",
)


@pytest.fixture(autouse=True)
def _no_leaking_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(_LEAKING) and name != "DASHFLOW_TEST_PROFILE":
            monkeypatch.delenv(name)


@pytest.fixture
def _uncounted(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of what a new process loads: coverage must not start in it and load modules of its own."""
    for name in list(os.environ):
        if name.startswith("COV"):
            monkeypatch.delenv(name)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In the soak profile, what takes its counts from ``soak`` is run by ``-m soak`` too."""
    if os.environ.get("DASHFLOW_TEST_PROFILE") == "soak":
        for item in items:
            if "soak" in getattr(item, "fixturenames", ()):
                item.add_marker("soak")


@pytest.fixture(scope="session")
def soak() -> bool:
    """Whether this run has the full counts."""
    return os.environ.get("DASHFLOW_TEST_PROFILE") == "soak"


@pytest.fixture(scope="session")
def postgres_dsn() -> Iterator[str]:
    """The address of a PostgreSQL database for this test run: see ``tests/postgres.py``."""
    if GIVEN:
        yield GIVEN
        return
    server = start_server()
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        # Nothing here survives the test run; tests that crash a server have one of their own.
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
    yield server.dsn
    server.close()


@pytest.fixture
def postgres(postgres_dsn: str) -> Iterator[Place]:
    """An empty schema of a PostgreSQL database, dropped at the end."""
    place = Place(postgres_dsn)
    yield place
    place.drop()
