"""Reads events and what stands beside them, on connections of its own. Never writes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zlib import crc32

from dashflow.errors import CorruptEventError
from dashflow.log.base import Record
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


def _record(row: Row) -> Record:
    record = Record(*row)
    if crc32(record.data) != record.checksum:
        raise CorruptEventError(record.stream, record.version, "its data does not match its checksum")
    return record
