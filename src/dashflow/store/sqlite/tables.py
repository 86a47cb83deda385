"""The tables of a store's file. The same as LangGraph's, which can open the file, and whose files we open.

``MIGRATIONS`` bring a file from any earlier layout to today's, one step each; a step, once released, never
changes, and a new one is added only if LangGraph's has it too.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from dashflow._util.database import transaction

__all__ = ("MIGRATIONS", "VECTOR_MIGRATIONS", "set_up")

MIGRATIONS: Final = [
    """
    CREATE TABLE IF NOT EXISTS store (
        prefix TEXT NOT NULL,  -- the namespace's labels, with periods between them
        key TEXT NOT NULL,
        value TEXT NOT NULL,  -- JSON
        created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
        updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
        PRIMARY KEY (prefix, key)
    )
    """,
    "CREATE INDEX IF NOT EXISTS store_prefix_idx ON store (prefix)",
    "ALTER TABLE store ADD COLUMN expires_at TIMESTAMP",
    "ALTER TABLE store ADD COLUMN ttl_minutes REAL",
    """
    CREATE INDEX IF NOT EXISTS idx_store_expires_at ON store (expires_at)
    WHERE expires_at IS NOT NULL
    """,
]

VECTOR_MIGRATIONS: Final = [
    """
    CREATE TABLE IF NOT EXISTS store_vectors (
        prefix TEXT NOT NULL,
        key TEXT NOT NULL,
        field_name TEXT NOT NULL,  -- the path of the text in the value
        embedding BLOB,  -- 32-bit floats, little-endian
        created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
        updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
        PRIMARY KEY (prefix, key, field_name),
        FOREIGN KEY (prefix, key) REFERENCES store (prefix, key) ON DELETE CASCADE
    )
    """,
]

# Ours alone, and without a number: vectors go with the value that they were made of, whoever changes it.
_TRIGGERS: Final = [
    f"""
    CREATE TRIGGER IF NOT EXISTS store_vectors_{name} AFTER {event} ON store BEGIN
        DELETE FROM store_vectors WHERE prefix = OLD.prefix AND key = OLD.key;
    END
    """
    for name, event in (("deleted", "DELETE"), ("replaced", "UPDATE OF value"))
]


def set_up(connection: sqlite3.Connection, *, vectors: bool) -> None:
    """Bring a file to today's layout; nothing is written to a file that has it.

    Args:
        connection: To the file.
        vectors: Whether the table of vectors is wanted.
    """
    wanted = [("store_migrations", MIGRATIONS), *([("vector_migrations", VECTOR_MIGRATIONS)] * vectors)]
    with transaction(connection, write=False) as cursor:
        if all(_found(cursor, table) >= len(steps) - 1 for table, steps in wanted):
            return
    with transaction(connection, write=True) as cursor:
        for table, steps in wanted:
            _migrate(cursor, table, steps)
        if vectors:
            for trigger in _TRIGGERS:
                cursor.execute(trigger)


def _found(cursor: sqlite3.Cursor, table: str) -> int:
    """The number of the last step that was done; -1 before the first."""
    known = cursor.execute("SELECT count(*) FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    if not known[0]:
        return -1
    last = cursor.execute(f"SELECT max(v) FROM {table}").fetchone()[0]
    return -1 if last is None else int(last)


def _migrate(cursor: sqlite3.Cursor, table: str, steps: Sequence[str]) -> None:
    cursor.execute(f"CREATE TABLE IF NOT EXISTS {table} (v INTEGER PRIMARY KEY)")
    for number in range(_found(cursor, table) + 1, len(steps)):
        cursor.execute(steps[number])
        cursor.execute(f"INSERT INTO {table} (v) VALUES (?)", (number,))
