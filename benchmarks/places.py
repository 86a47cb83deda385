"""Where a workload keeps its records: a new SQLite file or a new PostgreSQL schema for each, and their size.

Runs in the environment of any package: nothing but the standard library and, for PostgreSQL, psycopg.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Protocol

from benchmarks.samples import bytes_written, size_of

VARIABLE = "DASHFLOW_BENCH_POSTGRES"
"""Names the database of the server that is measured with."""

PREFIX = "dashflow_bench_"
"""Schemas whose names begin like this belong to the benchmarks, which drop them at the end."""

WAL = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint"
SIZE = (
    "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c "
    "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relkind = 'r'"
)


class Place(Protocol):
    """A place that nothing else uses."""

    @property
    def address(self) -> str:
        """What a saver or log of the package is given."""
        ...

    def size(self) -> int:
        """Bytes that it has now."""
        ...

    def written(self) -> int | None:
        """Bytes that were written to the disk so far, counted from anywhere; None where nobody counts."""
        ...


@dataclass(frozen=True)
class File:
    """A SQLite file, in a folder of its own."""

    address: str

    def size(self) -> int:
        """See ``Place.size``; with the files beside it."""
        return size_of(Path(self.address))

    def written(self) -> int | None:
        """See ``Place.written``; by this process, to whatever file."""
        return bytes_written()


@dataclass(frozen=True)
class Schema:
    """A schema of a PostgreSQL database."""

    address: str
    server: str
    name: str

    def size(self) -> int:
        """See ``Place.size``; tables with their indexes and large values."""
        return int(_ask(self.server, SIZE, self.name))

    def written(self) -> int | None:
        """See ``Place.written``; to the server's write-ahead log, by whoever uses it."""
        return int(_ask(self.server, WAL))


class Places:
    """New places, one after the other.

    Args:
        package: Who is to use them; it decides how an address names a schema.
        folder: Where files may be made.
    """

    def __init__(self, package: str, folder: Path) -> None:
        self._package = package
        self._folder = folder
        self._number = count()

    def new(self, where: str) -> Place:
        """A place on ``sqlite`` or ``postgres`` that was not used before."""
        number = next(self._number)
        if where == "sqlite":
            folder = self._folder / f"{self._package}-{number}"
            folder.mkdir()
            return File(str(folder / "log.db"))
        server = os.environ[VARIABLE]
        name = f"{PREFIX}{self._package}_{os.getpid()}_{number}"
        joint = "&" if "?" in server else "?"
        if self._package == "dashflow":  # makes its schema by itself, and wants nobody else's in it
            return Schema(f"{server}{joint}schema={name}", server, name)
        _ask(server, f"CREATE SCHEMA {name}")
        return Schema(f"{server}{joint}options=-csearch_path%3D{name}", server, name)


def drop_schemas(server: str) -> None:
    """Drop all schemas of benchmarks."""
    with _connect(server) as connection:
        names = connection.execute(
            "SELECT nspname FROM pg_namespace WHERE starts_with(nspname, %s)", (PREFIX,)
        )
        for (name,) in names.fetchall():
            connection.execute(f'DROP SCHEMA "{name}" CASCADE')


def about_server(server: str) -> str:
    """The server's version, and what it is set to do for durability."""
    told = [_ask(server, f"SHOW {name}") for name in ("server_version", "fsync", "synchronous_commit")]
    return "PostgreSQL {}, fsync {}, synchronous_commit {}".format(*told)


def _connect(server: str) -> Any:
    from psycopg import connect  # only where there is a server

    return connect(server, autocommit=True)


def _ask(server: str, sql: str, *parameters: Any) -> Any:
    """The only value that a statement comes to."""
    with _connect(server) as connection:
        cursor = connection.execute(sql, parameters or None)
        return cursor.fetchone()[0] if cursor.description else None
