"""Logs to be damaged, in files and on a server, and the SQL that damages them."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

Damage = Callable[..., None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
def edit(path: Path) -> Damage:
    """Changes the file behind the log's back."""

    def change(statement: str, *parameters: Any) -> None:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute(statement, parameters)

    return change


@pytest.fixture(params=["sqlite", "postgres"])
def db(request: pytest.FixtureRequest, path: Path) -> str:
    """The address of a log of either kind."""
    if request.param == "sqlite":
        return str(path)
    return str(request.getfixturevalue("postgres").log)


@pytest.fixture
def damage(db: str, request: pytest.FixtureRequest) -> Damage:
    """Changes a log of either kind behind its back: SQL in which tables have no schema."""
    if "://" not in db:
        edit: Damage = request.getfixturevalue("edit")
        return edit
    place = request.getfixturevalue("postgres")

    def change(statement: str) -> None:
        for table in ("events", "blobs", "snapshots", "streams", "view_entries"):
            for word in ("UPDATE", "FROM", "JOIN"):
                statement = statement.replace(f"{word} {table}", f'{word} "{place.schema}".{table}')
        place.execute(statement.replace("x'00'", r"'\x00'::bytea"))

    return change
