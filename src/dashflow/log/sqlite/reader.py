"""Reads events with connections of its own, so that no reader ever holds up the writer.

Never writes. In a log without a file there is but one connection, shared with the writer under its
lock.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from zlib import crc32

from dashflow._util.database import is_busy, plain_cursor
from dashflow.errors import CorruptBlobError, CorruptEventError, LogClosedError, MissingBlobError
from dashflow.log.base import Record
from dashflow.log.packing import PACKED, restored
from dashflow.log.sqlite import faults
from dashflow.log.sqlite.database import Database
from dashflow.log.sqlite.rows import find
from dashflow.log.sqlite.statements import queries

_MOST: Final = 8
"""Connections that read at the same time; they stay open. To open another one takes longer than to wait."""

_REMEMBERED: Final = 50_000

Row = tuple[Any, ...]


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

    def rows(self, query: str, *parameters: Any) -> list[Row]:
        """All rows of a named query, read in one go so that no transaction stays open."""
        with self._connection() as connection:
            try:
                return plain_cursor(connection).execute(self._sql[query], parameters).fetchall()
            except sqlite3.Error as error:
                raise faults.fault(self._database.where, error) from error

    def number(self, query: str, *parameters: Any) -> int:
        """The one number that a named query returns."""
        return int(self.rows(query, *parameters)[0][0])

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
        add = records.append
        number = version = 0
        try:
            # One unpacking and no further call but the checksum's: this runs once per event read.
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
                crc,
                data,
            ) in rows:
                if crc32(data) != crc:
                    # Packed, or damaged: the mark of packed data is larger than any checksum.
                    data = restored(crc, data)
                    crc &= ~PACKED
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
            raise CorruptEventError(streams[number][0], version, str(error)) from error
        except (TypeError, LookupError) as error:
            name = streams.get(number, (f"number {number}",))[0]
            raise CorruptEventError(name, version, f"its row makes no sense ({error})") from error
        return records

    def stretch(self, stream: str, after: int, upto: int, limit: int | None) -> list[Record]:
        """Events of a stream."""
        return self.records("read_stream", stream, after, upto, -1 if limit is None else limit)

    def versions(self, streams: Sequence[str]) -> list[int]:
        """The last versions of several streams, in their order."""
        with self._connection() as connection:
            try:
                return self._versions(plain_cursor(connection), streams)
            except sqlite3.Error as error:
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
        except sqlite3.Error as error:
            if is_busy(error):
                return None
            raise faults.fault(self._database.where, error) from error
        finally:
            lock.release()

    def _versions(self, cursor: sqlite3.Cursor, streams: Sequence[str]) -> list[int]:
        known: dict[str, int] = dict(find(cursor, "versions", streams))
        return [known.get(stream, 0) for stream in streams]

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
            return restored(*rows[0])
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
        text: object = rows[0][0]
        if not isinstance(text, str):
            return ""  # forgotten, with the event, since that was read
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
        found: tuple[str, str] = rows[0]
        self[number] = found
        return found
