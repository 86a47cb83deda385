"""Reads events and what stands beside them, on connections of its own. Never writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zlib import crc32

from dashflow.errors import CorruptBlobError, CorruptEventError, MissingBlobError
from dashflow.log.base import Record, Snapshot
from dashflow.log.packing import PACKED, restored
from dashflow.log.postgres.arrays import texts
from dashflow.log.postgres.connections import Connections, Row


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
        return [_record(row) for row in self.rows(query, *parameters)]

    def stretch(self, stream: str, after: int, upto: int, limit: int | None) -> list[Record]:
        """Events of a stream."""
        return self.records("read_stream", stream, after, upto, limit)

    def versions(self, streams: Sequence[str]) -> list[int]:
        """The last versions of several streams, in their order."""
        known: dict[str, int] = dict(self.rows("versions", texts(streams)))
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
            return restored(*rows[0])
        except ValueError as problem:
            raise CorruptBlobError(self._connections.where, key, str(problem)) from problem

    def snapshot(self, stream: str, upto: int | None) -> Snapshot | None:
        """The latest whole snapshot up to a version; a damaged one is as good as none."""
        while rows := self.rows("snapshot", stream, upto):
            version, schema, mark, data = rows[0]
            try:
                return Snapshot(version, restored(mark, data), schema)
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


def _record(row: Row) -> Record:
    *envelope, mark, data = row
    if crc32(data) != mark:
        # Packed, or damaged: the mark of packed data is larger than any checksum.
        try:
            data = restored(mark, data)
        except ValueError as problem:
            raise CorruptEventError(row[1], row[2], str(problem)) from problem
    fields: Row = (*envelope, mark & ~PACKED, data)
    return Record(*fields)
