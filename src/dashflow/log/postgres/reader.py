"""Reads events and what stands beside them, on connections of its own. Never writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zlib import crc32

from dashflow.errors import (
    CorruptBlobError,
    CorruptEventError,
    CorruptStreamError,
    CorruptViewError,
    MissingBlobError,
)
from dashflow.log.base import Record, Snapshot
from dashflow.log.packing import BOUND, restored
from dashflow.log.postgres.arrays import texts
from dashflow.log.postgres.connections import Connections, Row
from dashflow.log.postgres.places import numbered, of_blob, of_entry, of_event, of_snapshot
from dashflow.log.ranges import missing_from


class Reader:
    """Queries, and the records that their rows stand for."""

    def __init__(self, connections: Connections, sql: dict[str, str]) -> None:
        self._connections = connections
        self._sql = sql

    def rows(self, query: str, *parameters: Any) -> list[Row]:
        """All rows of a named query."""
        return self._connections.rows(self._sql[query], parameters)

    def number(self, query: str, *parameters: Any) -> int:
        """The one number that a named query returns."""
        return int(self.rows(query, *parameters)[0][0])

    def records(self, query: str, *parameters: Any) -> list[Record]:
        """The events that a named query finds.

        Raises:
            CorruptEventError: One of them is not what was written.
        """
        where = self._connections.where
        return [_record(row, where) for row in self.rows(query, *parameters)]

    def stretch(self, stream: str, after: int, upto: int, limit: int | None) -> list[Record]:
        """Events of a stream, without a gap.

        Raises:
            CorruptEventError: One of them is not what was written, or missing.
        """
        rows = self.rows("read_stream", stream, after, upto, limit)
        if not rows:
            return []
        where = self._connections.where
        version, forgotten = rows[0][-2:]
        first = max(after, forgotten)
        records = [_record(row[:-2], where) for row in rows if row[0] is not None]
        missing = missing_from(records, first, min(upto, version), limit)
        if missing:
            raise CorruptEventError(stream, missing, "it is missing", where=where)
        return records

    def entries(self, view: str, prefix: str, after: str, limit: int | None) -> dict[str, bytes]:
        """A view's entries.

        Raises:
            CorruptViewError: One of them is not what was written.
        """
        found: dict[str, bytes] = {}
        for key, data, mark in self.rows("view", view, prefix, after, limit):
            if mark is not None and of_entry(view, key, data) != mark:
                raise CorruptViewError(self._connections.where, view, key, "it does not match its checksum")
            found[key] = data
        return found

    def versions(self, streams: Sequence[str]) -> list[int]:
        """The last versions of several streams, in their order.

        Raises:
            CorruptStreamError: The row of one of them and its events do not agree.
        """
        known: dict[str, int] = {}
        for name, version, forgotten, last in self.rows("versions", texts(streams)):
            if version != (forgotten if last is None else last):
                problem = f"its row says that event {version} is the last, and event {last} is"
                raise CorruptStreamError(self._connections.where, name, problem)
            known[name] = version
        return [known.get(stream, 0) for stream in streams]

    def glance(self, streams: Sequence[str]) -> None:
        """The server has to be asked: never without waiting."""

    def page(
        self, after: int, category: str | None, types: Sequence[str], correlation: str, limit: int
    ) -> tuple[list[Record], int]:
        """Records after a position, and how far the log was looked at.

        Positions are in the order of commits, so that nothing can turn up below the head later.
        """
        head = self.number("head")
        if head <= after:
            return [], after
        page = self.records("read_all", after, head, category, list(types), correlation, limit)
        return page, page[-1].position if page and len(page) >= limit else head

    def blob(self, key: bytes) -> bytes:
        """A large value.

        Raises:
            MissingBlobError, CorruptBlobError: It is not there, or not what was written.
        """
        rows = self.rows("blob", key)
        if not rows:
            raise MissingBlobError(self._connections.where, key)
        try:
            mark, kept = rows[0]
            return restored(mark, kept, of_blob(key))
        except ValueError as problem:
            raise CorruptBlobError(self._connections.where, key, str(problem)) from problem

    def snapshot(self, stream: str, upto: int | None) -> Snapshot | None:
        """The latest whole snapshot up to a version; a damaged one is as good as none."""
        while rows := self.rows("snapshot", stream, upto):
            version, schema, mark, data = rows[0]
            try:
                return Snapshot(version, restored(mark, data, of_snapshot(stream, version, schema)), schema)
            except ValueError as problem:
                import logging  # rarely needed, and slow to load

                logging.getLogger(__name__).warning(
                    "the snapshot of %r at version %s is damaged (%s); an earlier one is used, or the events",
                    stream,
                    version,
                    problem,
                )
                upto = version - 1
        return None


def _record(row: Row, where: str) -> Record:
    (
        position,
        stream,
        version,
        category,
        kind,
        schema,
        one,
        correlation,
        cause,
        at,
        epoch,
        fingerprint,
        mark,
        data,
    ) = row
    place = numbered(
        of_event(stream, kind, schema, one, correlation, cause, at, fingerprint), position, version, epoch
    )
    crc = crc32(data)
    if crc ^ place | BOUND != mark:
        # Packed, of before there were places, or damaged.
        try:
            data = restored(mark, data, place)
        except ValueError as problem:
            raise CorruptEventError(stream, version, str(problem), where=where) from problem
        crc = crc32(data)
    return Record(
        position, stream, version, category, kind, schema, one, correlation, cause, at, epoch, fingerprint,
        crc, data,
    )  # fmt: skip
