"""Large values beside the events that need them. Inside the writer's transactions, and nowhere else."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from dashflow.log.packing import stored
from dashflow.log.sqlite.places import of_blob
from dashflow.log.sqlite.statements import queries


def keep_blobs(cursor: sqlite3.Cursor, stream: int, version: int, blobs: Mapping[bytes, bytes]) -> None:
    """Keep what an event needs: each blob once, and who needs it."""
    sql = queries()
    for key, data in blobs.items():
        row = cursor.execute(sql["blob_number"], (key,)).fetchone()
        if row is None:
            cursor.execute(sql["add_blob"], (key, *stored(data, of_blob(key))))
            row = (cursor.lastrowid,)
        cursor.execute(sql["need_blob"], (stream, row[0], version))
