"""Snapshots: what folding a stream came to. A damaged one is as good as none, for it can be made again."""

from __future__ import annotations

import sqlite3
from struct import error as StructError

from dashflow.log.base import Snapshot
from dashflow.log.packing import restored, stored
from dashflow.log.sqlite.places import of_snapshot
from dashflow.log.sqlite.reader import Reader, head_of
from dashflow.log.sqlite.statements import queries


def keep(cursor: sqlite3.Cursor, where: str, stream: str, snapshot: Snapshot, alone: bool) -> None:
    """Keep a snapshot of a version that is there; see ``EventLog.keep_snapshot``."""
    sql = queries()
    found = cursor.execute(sql["stream_by_name"], (stream,)).fetchone()
    if found is None:
        return
    number = head_of(found, where, stream).number
    place = of_snapshot(number, snapshot.version, snapshot.schema)
    row = (snapshot.schema, *stored(snapshot.data, place), number, snapshot.version)
    cursor.execute(sql["keep_snapshot"], row)
    if alone and cursor.rowcount > 0:
        cursor.execute(sql["drop_other_snapshots"], (number, snapshot.version))


def latest(reader: Reader, stream: str, upto: int) -> Snapshot | None:
    """The latest whole snapshot up to a version."""
    while rows := reader.rows("snapshots", stream, upto):
        number, version, schema, mark, data = rows[0]
        try:
            return Snapshot(version, restored(mark, data, of_snapshot(number, version, schema)), schema)
        except (ValueError, TypeError, StructError) as problem:
            import logging  # rarely needed, and slow to load

            logging.getLogger(__name__).warning(
                "the snapshot of %r at version %s is damaged (%s); an earlier one is used, or the events",
                stream,
                version,
                problem,
            )
            upto = version - 1
    return None
