"""Snapshots: what folding a stream came to. A damaged one is as good as none, for it can be made again."""

from __future__ import annotations

import sqlite3

from dashflow.log.base import Snapshot
from dashflow.log.packing import restored, stored
from dashflow.log.sqlite.reader import Reader
from dashflow.log.sqlite.statements import queries


def keep(cursor: sqlite3.Cursor, stream: str, snapshot: Snapshot, alone: bool) -> None:
    """Keep a snapshot of a version that is there; see ``EventLog.keep_snapshot``."""
    row = (snapshot.schema, *stored(snapshot.data), stream, snapshot.version)
    cursor.execute(queries()["keep_snapshot"], row)
    if alone and cursor.rowcount > 0:
        cursor.execute(queries()["drop_other_snapshots"], (stream, snapshot.version))


def latest(reader: Reader, stream: str, upto: int) -> Snapshot | None:
    """The latest whole snapshot up to a version."""
    while rows := reader.rows("snapshots", stream, upto):
        version, schema, mark, data = rows[0]
        try:
            return Snapshot(version, restored(mark, data), schema)
        except (ValueError, TypeError) as problem:
            import logging  # rarely needed, and slow to load

            logging.getLogger(__name__).warning(
                "the snapshot of %r at version %s is damaged (%s); an earlier one is used, or the events",
                stream,
                version,
                problem,
            )
            upto = version - 1
    return None
