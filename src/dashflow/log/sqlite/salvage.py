"""A new log file out of one whose pages are damaged: every row that can be read and is what was written.

The damaged file is only read. What can be read and is not right goes into the new file's table ``aside``.
What is missing afterwards shows as gaps, which a doctor puts right as any others.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from struct import error as StructError
from typing import Any, Final

import msgspec
import ormsgpack

from dashflow.errors import CorruptLogError
from dashflow.log.admission import category_of
from dashflow.log.packing import restored
from dashflow.log.sqlite import faults
from dashflow.log.sqlite.log import SqliteLog
from dashflow.log.sqlite.places import of_blob, of_event, of_stream, of_word

_ODD: Final = (ValueError, TypeError, AttributeError, StructError)
_FAULTS: Final = (sqlite3.Error, UnicodeDecodeError)
_PROBED: Final = 100_000
"""Rows that are asked for one by one where neither end of a table leads to them."""

Row = tuple[Any, ...]


class Salvaged(msgspec.Struct):
    """What came out of a damaged file.

    Attributes:
        events: How many events.
        streams: Of how many streams.
        aside: How many rows were read and are not what was written.
    """

    events: int = 0
    streams: int = 0
    aside: int = 0


def salvage(damaged: str | os.PathLike[str], new: str | os.PathLike[str], now: int) -> Salvaged:
    """Make the log ``new`` out of what can be read of a damaged one.

    Raises:
        CorruptLogError: Not even its list of tables can be read.
        StorageUnavailableError: The new file cannot be written.
    """
    where = os.fspath(damaged)
    SqliteLog(new).close()
    with _whole(Path(os.path.realpath(damaged)), f"{os.fspath(new)}.padded") as source:
        return _into(source, where, new, now)


def _into(source: Path, where: str, new: str | os.PathLike[str], now: int) -> Salvaged:
    uri = source.as_uri() + "?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as old:
        try:
            columns = {row[1] for row in old.execute("PRAGMA table_info(streams)")}
        except _FAULTS as error:
            raise faults.fault(where, error) from error
        if "crc" not in columns:
            raise CorruptLogError(where, "its list of tables cannot be read, or it is of an older format")
        with closing(sqlite3.connect(new, isolation_level=None)) as fresh:
            fresh.execute("BEGIN IMMEDIATE")
            salvaged = _Salvage(old, fresh, now).work()
            fresh.execute("COMMIT")
    return salvaged


@contextmanager
def _whole(path: Path, padded: str) -> Iterator[Path]:
    """A file that is as long as it says. SQLite opens none that was cut off: of such a one, a copy that
    ends in empty pages."""
    with path.open("rb") as file:
        head = file.read(100)
    size = int.from_bytes(head[16:18], "big")
    length = int.from_bytes(head[28:32], "big") * (65536 if size == 1 else size)
    if not path.stat().st_size < length < 1 << 48:
        yield path
        return
    copy = Path(padded)
    try:
        shutil.copyfile(path, copy)
        os.truncate(copy, length)
        wal = Path(f"{path}-wal")
        if wal.exists():
            shutil.copyfile(wal, f"{copy}-wal")
        yield copy
    finally:
        for ending in ("", "-wal", "-shm"):
            Path(f"{copy}{ending}").unlink(missing_ok=True)


class _Salvage:
    """One file on its way into another."""

    def __init__(self, old: sqlite3.Connection, fresh: sqlite3.Connection, now: int) -> None:
        self._old = old
        self._fresh = fresh
        self._now = now
        self._salvaged = Salvaged()

    def work(self) -> Salvaged:
        """Take table after table over."""
        words = self._take("words", "word_id", _is_word)
        self._take("blobs", "blob_id", _is_blob)
        self._take("events", "position", _is_event)
        self._take("streams", "stream_id", _is_stream)
        self._needs()
        self._lost_words(words)
        self._lost_streams()
        with suppress(
            *_FAULTS
        ):  # without it, positions are used again only if the last events were forgotten
            for row in self._old.execute("SELECT key, value FROM meta WHERE key <> 'format'"):
                self._fresh.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", row)
        count = self._fresh.execute
        self._salvaged.events = count("SELECT count(*) FROM events").fetchone()[0]
        self._salvaged.streams = count("SELECT count(*) FROM streams WHERE version > forgotten").fetchone()[0]
        return self._salvaged

    def _take(self, table: str, key: str, sound: Callable[[Row], bool]) -> set[int]:
        """Take a table's rows over; the numbers of those that came."""
        taken: set[int] = set()
        for row in self._rows(table, key):
            if row[0] in taken:
                continue
            good = sound(row)
            if good:
                try:
                    marks = ", ".join("?" * len(row))
                    self._fresh.execute(f"INSERT INTO {table} VALUES ({marks})", row)
                    taken.add(row[0])
                    continue
                except sqlite3.IntegrityError:  # the same as another one, so that one of them is wrong
                    good = False
            self._aside(table, row)
        return taken

    def _rows(self, table: str, key: str) -> Iterator[Row]:
        """All rows that can be reached from either end, or by their numbers in between."""
        low, high = 0, 0
        for order, last in (("ASC", 0), ("DESC", 0)):
            seen = last
            try:
                for row in self._old.execute(f"SELECT * FROM {table} NOT INDEXED ORDER BY {key} {order}"):
                    seen = row[0]
                    yield row
            except _FAULTS:
                low, high = (seen, high) if order == "ASC" else (low, seen)
            else:
                if order == "ASC":
                    return  # it was read to its end
        for number in range(low + 1, min(high, low + _PROBED)):
            with suppress(*_FAULTS):
                yield from self._old.execute(f"SELECT * FROM {table} WHERE {key} = ?", (number,)).fetchall()

    def _aside(self, table: str, row: Row) -> None:
        self._salvaged.aside += 1
        kept = ormsgpack.packb([str(c) if isinstance(c, int) and abs(c) >= 1 << 63 else c for c in row])
        self._fresh.execute(
            "INSERT INTO aside (at, stream, version, why, kept) VALUES (?, '', 0, ?, ?)",
            (self._now, f"a row of {table} that does not match its checksum", kept),
        )

    def _needs(self) -> None:
        with suppress(*_FAULTS):
            for row in self._old.execute("SELECT stream_id, blob_id, version FROM needs"):
                self._fresh.execute("INSERT OR IGNORE INTO needs VALUES (?, ?, ?)", row)

    def _lost_words(self, taken: set[int]) -> None:
        """Words whose rows are lost, as the index of texts has them."""
        with suppress(*_FAULTS):
            for number, text in self._old.execute(
                "SELECT word_id, text FROM words INDEXED BY sqlite_autoindex_words_1"
            ):
                if number not in taken and isinstance(text, str):
                    row = (number, text, 1, of_word(number, text))
                    self._fresh.execute("INSERT OR IGNORE INTO words VALUES (?, ?, ?, ?)", row)

    def _lost_streams(self) -> None:
        """Streams whose rows are lost: by their names in the indexes, or by a name of ours."""
        names: dict[int, str] = {}
        for index in ("sqlite_autoindex_streams_1", "streams_by_category"):
            with suppress(*_FAULTS):
                found = self._old.execute(f"SELECT stream_id, name FROM streams INDEXED BY {index}")
                names |= {number: name for number, name in found if isinstance(name, str)}
        lost = self._fresh.execute(
            "SELECT stream_id, min(version), max(version), max(position), min(at), max(at), max(epoch) "
            "FROM events WHERE stream_id NOT IN (SELECT stream_id FROM streams) GROUP BY stream_id"
        ).fetchall()
        for number, first, last, position, begun, ended, epoch in lost:
            name = names.get(number, f"lost-{number}")
            columns = (name, category_of(name), last, position, begun, ended, "", epoch, first - 1)
            self._fresh.execute(
                "INSERT INTO streams (stream_id, name, category, version, position, created_at, updated_at, "
                "owner, epoch, forgotten, crc) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (number, *columns, of_stream(number, *columns)),
            )


def _is_word(row: Row) -> bool:
    number, text, _, crc = row
    if text == str(number).encode():
        return True
    return isinstance(text, str) and of_word(number, text) == crc


def _is_blob(row: Row) -> bool:
    _, key, mark, data = row
    try:
        restored(mark, data, of_blob(key))
    except _ODD:
        return False
    return True


def _is_event(row: Row) -> bool:
    try:
        restored(row[11], row[12], of_event(*row[:11]))
    except _ODD:
        return False
    return True


def _is_stream(row: Row) -> bool:
    number, name, category, version, position, created, updated, owner, epoch, _, forgotten, crc = row
    try:
        told = of_stream(number, name, category, version, position, created, updated, owner, epoch, forgotten)
    except _ODD:
        return False
    return bool(told == crc)
