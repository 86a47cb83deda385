"""Databases of LangGraph's, and servers for them."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from dashflow.log.base import EventLog
from dashflow.log.open import open_log
from tests.behaviour.moving.databases import program
from tests.postgres import Place


@pytest.fixture(scope="module")
def server(postgres_dsn: str) -> Iterator[Callable[..., str]]:
    """Makes databases on the server of the tests, which go at the end."""
    import psycopg

    names: list[str] = []
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:

        def database(like: str = "template1") -> str:
            name = f"d{uuid4().hex}"
            connection.execute(f"create database {name} template {like}")
            names.append(name)
            return urlsplit(postgres_dsn)._replace(path=f"/{name}").geturl()

        yield database
        for name in names:
            connection.execute(f"drop database if exists {name} with (force)")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("filled") / "threads.sqlite"
    program("langgraph", "sqlite", str(path), "fill")
    return path


@pytest.fixture
def source(filled: Path, tmp_path: Path) -> Path:
    """A copy of a database of LangGraph's, to be changed."""
    return Path(shutil.copy(filled, tmp_path / "threads.sqlite"))


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], EventLog]]:
    """Opens logs by name; those on a server each in a schema of its own."""
    logs: list[EventLog] = []
    places: dict[str, Place] = {}

    def where(name: str) -> str:
        if request.param == "memory":
            return "memory://"
        if request.param == "sqlite":
            return str(tmp_path / f"{name}.db")
        if name not in places:
            places[name] = Place(request.getfixturevalue("postgres_dsn"))
        return places[name].log

    def open_one(name: str) -> EventLog:
        logs.append(open_log(where(name)))
        return logs[-1]

    yield open_one
    for log in logs:
        log.close()
    for place in places.values():
        place.drop()
