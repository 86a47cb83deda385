"""Where the logs of crash tests are: each test runs on SQLite and on PostgreSQL, from one text."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.workplace import Folder
from tests.postgres import GIVEN, Place, PostgresServer, start_server


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest) -> Place | None:
    """An empty place on a PostgreSQL server; None stands for a file."""
    return request.getfixturevalue("postgres") if request.param == "postgres" else None


@pytest.fixture
def where(tmp_path: Path, place: Place | None) -> str:
    """The address of a log that is not there yet."""
    return str(tmp_path / "log.db") if place is None else place.log


@pytest.fixture
def folder(tmp_path: Path, place: Place | None) -> Folder:
    """A folder to run graphs in."""
    return Folder(tmp_path, place)


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """A server to crash, which flushes its disk as in earnest."""
    if GIVEN:
        pytest.skip("the server that the environment names is not ours to crash")
    running = start_server()
    yield running
    running.close()
