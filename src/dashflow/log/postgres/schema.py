"""Makes the log's tables and brings them to what this program knows: numbered scripts, all or none.

Any number of programs may do so at the same time. What is not a log is left as it is.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import psycopg

from dashflow.errors import LogFormatError, NotALogError
from dashflow.log.postgres.address import Address
from dashflow.log.postgres.connections import Connections, Row, fetch
from dashflow.log.postgres.statements import queries, script_for, scripts

_MIGRATIONS: Final = "migrations"


class Migration(msgspec.Struct, frozen=True):
    """One step from one format of the tables to the next: its number, its file's name, its SQL."""

    number: int
    name: str
    sql: str


def migrate(
    where: object, *, schema: str | None = None, dry_run: bool = False, patience_seconds: float = 30.0
) -> list[Migration]:
    """Bring a log's tables to the format that this program knows. ``PostgresLog`` does so by itself.

    Args:
        where: As for ``PostgresLog``.
        schema: The log's schema.
        dry_run: Change nothing; tell only what would be done.
        patience_seconds: How long to wait for a server that is away and for others that do the same.

    Returns:
        What was done, or would be, in order; nothing when the tables are up to date.

    Raises:
        NotALogError: The schema holds something else.
        LogFormatError: The tables are those of a later version of this program.
        StorageUnavailableError: The server cannot be used, or this user may not change tables.
    """
    address = Address(where, schema)
    connections = Connections(address, patience=patience_seconds, most=1)
    try:
        return prepare(connections, address.schema, dry_run=dry_run)
    finally:
        connections.close()


def prepare(
    connections: Connections, schema: str, *, dry_run: bool = False, patience: float | None = None
) -> list[Migration]:
    """``migrate`` over connections that are there."""

    def work() -> list[Migration]:
        with connections.borrowed() as connection:
            missing = _missing(connection, connections.where, schema)
            if missing and not dry_run:
                missing = _bring_up(connection, connections.where, schema)
            return missing

    return connections.patiently(work, patience)


def _bring_up(connection: psycopg.Connection[Row], where: str, schema: str) -> list[Migration]:
    """Run what is missing, in one transaction; the lock lets others see all of it or nothing."""
    sql = queries(schema)
    with connection.transaction():
        fetch(connection, sql["lock_schema"], (schema,))
        missing = _missing(connection, where, schema)  # somebody may have been faster
        if missing and not _one(connection, sql["has_schema"], schema):
            fetch(connection, sql["create_schema"])
        for step in missing:
            connection.execute(step.sql.encode())
            fetch(connection, sql["migrated"], (step.number, step.name))
    return missing


def _missing(connection: psycopg.Connection[Row], where: str, schema: str) -> list[Migration]:
    """The steps between what is there and what this program knows."""
    known = scripts()
    found = _format(connection, where, schema)
    if found > max(known):
        raise LogFormatError(where, found, max(known))
    return [
        Migration(number, known[number][0], script_for(schema, known[number][1]))
        for number in sorted(known)
        if number > found
    ]


def _format(connection: psycopg.Connection[Row], where: str, schema: str) -> int:
    """The number of the last step that was done; 0 for a schema that is empty or not there."""
    sql = queries(schema)
    there = {row[0] for row in fetch(connection, sql["known_relations"], (schema,))}
    if not there:
        return 0
    if _MIGRATIONS not in there or not {"streams", "events"} <= there:
        raise NotALogError(
            where, f"its schema {schema!r} holds tables of something else; name another with ?schema=..."
        )
    return int(_one(connection, sql["format"]))


def _one(connection: psycopg.Connection[Row], sql: str, *parameters: Any) -> Any:
    return fetch(connection, sql, parameters)[0][0]
