"""Items of LangGraph's stores into the file of a ``SqliteStore``, with their times and the time they end.

Vectors stay behind: they belong to the model that made them.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import islice

from dashflow._util.database import connect, transaction
from dashflow.checkpoint.foreign.database import Database
from dashflow.checkpoint.foreign.report import ImportReport
from dashflow.errors import StorageUnavailableError
from dashflow.store.sqlite.tables import set_up

_PAGE = 500

_PUT = """
    INSERT INTO store (prefix, key, value, created_at, updated_at, expires_at, ttl_minutes)
    VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (prefix, key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at,
        expires_at = excluded.expires_at, ttl_minutes = excluded.ttl_minutes
    WHERE excluded.updated_at > store.updated_at
"""


def move_items(database: Database, path: str, report: ImportReport) -> None:
    """Put the source's items into a store's file; one that the store has newer stays.

    Args:
        database: The source.
        path: The file; made if it is not there.
        report: Is told.

    Raises:
        StorageUnavailableError: The file cannot be used as a store. Items of earlier pages are in it.
    """
    try:
        with closing(connect(path)) as connection:
            set_up(connection, vectors=False)
            items = database.items()
            while page := [*islice(items, _PAGE)]:
                with transaction(connection, write=True) as cursor:
                    put = sum(cursor.execute(_PUT, item).rowcount for item in page)
                report.items += put
                report.items_present += len(page) - put
    except sqlite3.Error as error:
        raise StorageUnavailableError(path, f"it cannot be used as a store: {error}") from error
