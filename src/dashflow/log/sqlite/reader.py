"""Reads events with connections of its own, so that no reader ever holds up the writer.

Never writes. In a log without a file there is but one connection, shared with the writer under its
lock.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from struct import error as StructError
from typing import Any, Final, NamedTuple
from zlib import crc32

from dashflow._util.database import is_busy, plain_cursor
from dashflow.errors import (
    CorruptBlobError,
    CorruptEventError,
    CorruptStreamError,
    LogClosedError,
    MissingBlobError,
)
from dashflow.log.admission import category_of
from dashflow.log.base import Record
from dashflow.log.packing import BOUND, restored
from dashflow.log.ranges import missing_from
from dashflow.log.sqlite import faults
from dashflow.log.sqlite.database import Database
from dashflow.log.sqlite.places import EVENT, of_blob, of_stream, of_word
from dashflow.log.sqlite.rows import find
from dashflow.log.sqlite.statements import queries

_MOST: Final = 8
"""Connections that read at the same time; they stay open. To open another one takes longer than to wait."""

_REMEMBERED: Final = 50_000

_LOST: Final = "the index of names has lost it"

Row = tuple[Any, ...]


class Head(NamedTuple):
    """A stream's row, in the order of its columns, its checksum checked."""

    number: int
    name: str
    category: str
    version: int
    position: int
    created: int
    updated: int
    owner: str
    epoch: int
    forgotten: int
    lease: int


def head_of(row: Row, where: str, name: str = "") -> Head:
    """A stream's row, when it is what was written.

    Args:
        row: What a query found.
        where: The log.
        name: Which stream was asked for; "": whichever it is.

    Raises:
        CorruptStreamError: It is not, or not that of this stream.
    """
    number, found, *columns, lease, crc = row
    try:
        head = Head._make((number, name or found, *columns, lease))
        if of_stream(*head[:-1]) == crc:
            return head
        problem = "its row does not match its checksum"
    except (TypeError, AttributeError, ValueError, StructError) as error:
        problem = f"its row makes no sense ({error})"
    raise CorruptStreamError(where, name or str(found), problem)


class Reader:
    """Queries, and the records that their rows stand for."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._idle: deque[sqlite3.Connection] = deque()
        self._closed = False
        self._free = threading.Semaphore(_MOST)
        self._glancing = threading.Lock()
        self._glance: sqlite3.Cursor | None = None
        self._sql = queries()
        self._words = _Words(self)
        self._streams = _Streams(self)

    @property
    def where(self) -> str:
        """The log, for messages."""
        return self._database.where

    def rows(self, query: str, *parameters: Any) -> list[Row]:
        """All rows of a named query, read in one go so that no transaction stays open."""
        with self._connection() as connection:
            try:
                return plain_cursor(connection).execute(self._sql[query], parameters).fetchall()
            except (sqlite3.Error, UnicodeDecodeError) as error:
                raise faults.fault(self._database.where, error) from error

    def number(self, query: str, *parameters: Any) -> int:
        """The one number that a named query returns."""
        return int(self.rows(query, *parameters)[0][0])

    def head(self, stream: str) -> Head | None:
        """A stream's row; None for an unknown stream.

        Raises:
            CorruptStreamError: It is not what was written.
        """
        rows = self.rows("stream_by_name", stream)
        if rows:
            return head_of(rows[0], self._database.where, stream)
        if self.rows("hidden_stream", category_of(stream), stream):
            raise CorruptStreamError(self._database.where, stream, _LOST)
        return None

    def stretch(self, stream: str, after: int, upto: int, limit: int | None) -> list[Record]:
        """Events of a stream, without a gap.

        Raises:
            CorruptEventError: One of them is not what was written, or missing.
        """
        head = self.head(stream)
        while head is not None:
            first = max(after, head.forgotten)
            last = min(upto, head.version)
            if last <= first:
                break
            most = -1 if limit is None else limit
            records = self.records("read_stream", head.number, after, upto, most)
            missing = missing_from(records, first, last, limit)
            if not missing:
                return records
            before, head = head, self.head(stream)
            # Unless it was forgotten between the two questions.
            if head is not None and head.forgotten == before.forgotten:
                raise CorruptEventError(stream, missing, "it is missing", where=self._database.where)
        return []

    def records(self, query: str, *parameters: Any) -> list[Record]:
        """The events that a named query finds.

        Raises:
            CorruptEventError: One of them is not what was written.
        """
        rows = self.rows(query, *parameters)
        words, streams = self._words, self._streams
        if len(words) + len(streams) > _REMEMBERED:
            words.clear()
            streams.clear()
        records: list[Record] = []
        add, pack = records.append, EVENT
        number = version = 0
        try:
            # One unpacking and no further calls but the checksums': this runs once per event read.
            for (
                position,
                number,
                version,
                kind,
                schema,
                one,
                correlation,
                cause,
                at,
                epoch,
                mark,
                told,
                data,
            ) in rows:
                # As `places.of_event` does.
                numbers = pack(position, number, version, kind, schema, correlation, at, epoch, mark)
                place = crc32(numbers + one + cause)
                crc = crc32(data)
                if crc ^ place | BOUND != told:
                    # Packed, of before there were places, or damaged.
                    data = restored(told, data, place)
                    crc = crc32(data)
                stream, category = streams[number]
                add(
                    Record(
                        position,
                        stream,
                        version,
                        category,
                        words[kind],
                        schema,
                        one,
                        words[correlation],
                        cause,
                        at,
                        epoch,
                        words[mark],
                        crc,
                        data,
                    )
                )
        except ValueError as error:
            raise self._corrupt(number, version, str(error)) from error
        except (TypeError, LookupError, StructError) as error:
            raise self._corrupt(number, version, f"its row makes no sense ({error})") from error
        return records

    def _corrupt(self, number: Any, version: Any, problem: str) -> CorruptEventError:
        name = f"number {number}"
        if isinstance(number, int):
            with suppress(LookupError, CorruptStreamError):  # then the number has to do
                name = self._streams[number][0]
        version = version if isinstance(version, int) else 0
        return CorruptEventError(name, version, problem, where=self._database.where)

    def versions(self, streams: Sequence[str]) -> list[int]:
        """The last versions of several streams, in their order.

        Raises:
            CorruptStreamError: The row of one of them is not what was written.
        """
        with self._connection() as connection:
            try:
                return self._versions(plain_cursor(connection), streams)
            except (sqlite3.Error, UnicodeDecodeError) as error:
                raise faults.fault(self._database.where, error) from error

    def glance(self, streams: Sequence[str]) -> list[int] | None:
        """The same, or None where somebody would have to be waited for: in WAL mode nobody is, but when the
        file is being mended."""
        lock = self._glancing if self._database.path is not None else self._database.lock
        if not lock.acquire(blocking=False):
            return None
        try:
            if self._closed:
                raise LogClosedError(self._database.where)
            return self._versions(self._glancer(), streams)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            if isinstance(error, sqlite3.Error) and is_busy(error):
                return None
            raise faults.fault(self._database.where, error) from error
        finally:
            lock.release()

    def _versions(self, cursor: sqlite3.Cursor, streams: Sequence[str]) -> list[int]:
        where = self._database.where
        known = {
            row[1]: head_of(row, where, row[1]).version for row in find(cursor, "streams_by_name", streams)
        }
        for stream in streams:
            if stream not in known:
                # None is what a stream without events has; but its name may only be lost.
                if cursor.execute(self._sql["hidden_stream"], (category_of(stream), stream)).fetchone():
                    raise CorruptStreamError(where, stream, _LOST)
                known[stream] = 0
        return [known[stream] for stream in streams]

    def _glancer(self) -> sqlite3.Cursor:
        """The cursor of who glances, whose connection waits for nobody."""
        if self._glance is None:
            connection = self._database.writer
            if self._database.path is not None:
                connection = self._database.reader(busy_seconds=0)
            self._glance = plain_cursor(connection)
        return self._glance

    def blob(self, key: bytes) -> bytes:
        """A large value.

        Raises:
            MissingBlobError, CorruptBlobError: It is not there, or not what was written.
        """
        rows = self.rows("blob", key)
        if not rows:
            raise MissingBlobError(self._database.where, key)
        try:
            mark, kept = rows[0]
            return restored(mark, kept, of_blob(key))
        except (ValueError, TypeError) as problem:
            raise CorruptBlobError(self._database.where, key, str(problem)) from problem

    def close(self) -> None:
        """Close what is idle; what is in use is closed when it comes back."""
        self._closed = True
        with self._glancing:
            if self._glance is not None and self._database.path is not None:
                self._glance.connection.close()
        while self._idle:
            self._idle.pop().close()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        if self._closed:
            raise LogClosedError(self._database.where)
        if self._database.path is None:
            with self._database.lock:
                yield self._database.writer
            return
        with self._free:
            try:
                connection = self._idle.pop()
            except IndexError:
                try:
                    connection = self._database.reader()
                except sqlite3.Error as error:
                    raise faults.fault(self._database.where, error) from error
            try:
                yield connection
            finally:
                self._idle.append(connection)
                if self._closed:
                    self._discard()

    def _discard(self) -> None:
        try:
            self._idle.popleft().close()
        except IndexError:
            return  # another thread has taken or closed it


class _Words(dict[int, str]):
    """Texts by their numbers; what is missing is read from the file."""

    def __init__(self, reader: Reader) -> None:
        super().__init__({0: ""})
        self._reader = reader

    def __missing__(self, number: int) -> str:
        if number == 0:
            return ""
        rows = self._reader.rows("word_by_id", number)
        if not rows:
            raise LookupError(f"no word {number}")
        text, crc = rows[0]
        if text == str(number).encode():
            return ""  # forgotten, with the event, since that was read
        if not isinstance(text, str) or of_word(number, text) != crc:
            raise LookupError(f"word {number} does not match its checksum")
        self[number] = text
        return text


class _Streams(dict[int, tuple[str, str]]):
    """Names and categories of streams by their numbers; what is missing is read from the file."""

    def __init__(self, reader: Reader) -> None:
        super().__init__()
        self._reader = reader

    def __missing__(self, number: int) -> tuple[str, str]:
        rows = self._reader.rows("stream_by_id", number)
        if not rows:
            raise LookupError(f"no stream {number}")
        head = head_of(rows[0], self._reader.where)
        found = self[number] = (head.name, head.category)
        return found
