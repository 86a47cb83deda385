"""A log file's tables as a doctor sees them: every row looked at, and put right where that can be done.

Has a connection of its own, and trusts nothing that it reads. What it takes away it keeps in the table
``aside``. Knows rows and checksums, but no events.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from struct import error as StructError
from typing import Any, Final
from zlib import crc32

import ormsgpack

from dashflow._util.database import roll_back
from dashflow.errors import CorruptLogError
from dashflow.log.admission import category_of
from dashflow.log.mending import Fault, Placed
from dashflow.log.packing import BOUND, restored
from dashflow.log.sqlite import faults
from dashflow.log.sqlite.places import (
    of_blob,
    of_entry,
    of_event,
    of_snapshot,
    of_stream,
    of_view,
    of_word,
)

_ODD: Final = (ValueError, TypeError, AttributeError, StructError)
"""What comes of a row whose columns are not what they should be."""

_INDEXES: Final = ("missing from index", "# of entries in index", "non-unique entry in index", "out of order")
"""How SQLite names what making the indexes again puts right."""

_MOST: Final = 100

_STREAM: Final = (
    "SELECT stream_id, name, category, version, position, created_at, updated_at, owner, epoch, forgotten, "
    "crc FROM streams"
)
_EVENT: Final = (
    "SELECT position, stream_id, version, type, schema, event_id, correlation_id, causation_id, at, epoch, "
    "fingerprint, checksum, data FROM events"
)


class SqliteMender:
    """A ``Mender`` of a log in a file.

    Args:
        path: The file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._where = os.fspath(path)
        try:
            uri = Path(os.path.realpath(path)).as_uri() + "?mode=rw"
            self._db = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=5)
            self._db.text_factory = _text
        except sqlite3.Error as error:
            raise faults.fault(self._where, error) from error

    @property
    def where(self) -> str:
        """The file."""
        return self._where

    # -- looking ----------------------------------------------------------------------------------

    def faults(self) -> list[Fault]:
        """See ``Mender.faults``."""
        found = self._of_file()
        if any(fault.code == "pages" for fault in found):
            return found  # nothing that is read from here on could be believed
        for look in (self._of_streams, self._of_words, self._of_snapshots, self._of_views, self._of_blobs):
            try:
                found += look()
            except sqlite3.Error as error:
                found.append(Fault("pages", f"SQLite: {error}"))
        return found

    def _of_file(self) -> list[Fault]:
        try:
            said = [str(row[0]) for row in self._db.execute(f"PRAGMA integrity_check({_MOST})")]
        except (sqlite3.Error, UnicodeDecodeError) as error:
            return [Fault("pages", f"SQLite: {error}")]
        if said == ["ok"]:
            return []
        lost = [line for line in said if not any(words in line for words in _INDEXES)]
        return [Fault("pages" if lost else "index", line) for line in (lost or said)[:_MOST]]

    def _of_streams(self) -> Iterator[Fault]:
        for row in self._db.execute(_STREAM).fetchall():
            if not _is_stream(row):
                yield Fault("stream", "its row does not match its checksum", str(row[1]), 0, row[0])

    def _of_words(self) -> Iterator[Fault]:
        for number, text, crc in self._db.execute("SELECT word_id, text, crc FROM words").fetchall():
            if text != str(number).encode() and not (isinstance(text, str) and of_word(number, text) == crc):
                yield Fault("word", f"the word {text!r} does not match its checksum", number=number)

    def _of_snapshots(self) -> Iterator[Fault]:
        rows = self._db.execute(
            "SELECT n.rowid, n.stream_id, n.version, n.schema, n.checksum, n.data, s.name "
            "FROM snapshots n LEFT JOIN streams s USING (stream_id)"
        )
        for number, stream, version, schema, mark, data, name in rows:
            try:
                restored(mark, data, of_snapshot(stream, version, schema))
            except _ODD as problem:
                yield Fault("snapshot", str(problem), str(name), version, number)

    def _of_views(self) -> Iterator[Fault]:
        for number, name, position, crc in self._db.execute(
            "SELECT view_id, name, position, crc FROM views"
        ).fetchall():
            if not self._is_view(number, name, position, crc):
                yield Fault("view", f"the view {name!r} does not match its checksums", number=number)

    def _is_view(self, number: Any, name: Any, position: Any, crc: Any) -> bool:
        try:
            entries = self._db.execute("SELECT key, data, crc FROM entries WHERE view_id = ?", (number,))
            return of_view(number, name, position) == crc and all(
                of_entry(number, key, data) == told for key, data, told in entries
            )
        except _ODD:
            return False

    def _of_blobs(self) -> Iterator[Fault]:
        """Large values that are damaged, and those that nobody needs."""
        for number, key, mark, data in self._db.execute("SELECT blob_id, key, checksum, data FROM blobs"):
            try:
                restored(mark, data, of_blob(key))
            except _ODD as problem:
                yield Fault("blob", f"the value {_hex(key)}: {problem}", number=number)
        unused = (
            "SELECT blob_id, key FROM blobs b "
            "WHERE NOT EXISTS (SELECT 1 FROM needs n WHERE n.blob_id = b.blob_id)"
        )
        for number, key in self._db.execute(unused).fetchall():
            yield Fault("orphan", f"no event needs the value {_hex(key)}", number=number, mends=False)

    def streams(self) -> dict[str, tuple[int, int]]:
        """See ``Mender.streams``."""
        try:
            rows = self._db.execute("SELECT name, forgotten, version FROM streams").fetchall()
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise faults.fault(self._where, error) from error
        return {str(name): (forgotten, version) for name, forgotten, version in rows}

    # -- mending ----------------------------------------------------------------------------------

    def begin(self) -> None:
        """See ``Mender.begin``."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise faults.fault(self._where, error) from error

    def mend(self, fault: Fault, now: int) -> str:
        """See ``Mender.mend``."""
        try:
            # A row is put right even where an index has lost it: the index is made again after.
            self._db.execute("PRAGMA writable_schema=ON")
            return {
                "index": self._mend_indexes,
                "stream": self._mend_stream,
                "word": self._mend_word,
                "snapshot": self._drop_snapshot,
                "view": self._drop_view,
                "blob": self._drop_blob,
            }[fault.code](fault, now)
        except sqlite3.Error as error:
            raise faults.fault(self._where, error) from error
        finally:
            self._db.execute("PRAGMA writable_schema=OFF")

    def _mend_indexes(self, fault: Fault, now: int) -> str:
        for number, name in self._names():
            # The index may be right and the row wrong: then the row is mended before the index is made of it.
            row = self._db.execute(f"{_STREAM} NOT INDEXED WHERE stream_id = ?", (number,)).fetchone()
            if row is not None and row[1] != name and _is_stream((row[0], name, category_of(name), *row[3:])):
                self._db.execute(
                    "UPDATE streams SET name = ?, category = ? WHERE stream_id = ?",
                    (name, category_of(name), number),
                )
        self._db.execute("REINDEX")
        return "made the indexes again"

    def _names(self) -> list[tuple[int, str]]:
        """Streams' numbers and names as their two indexes have them."""
        found: list[tuple[int, str]] = []
        for index in ("streams_by_category", "sqlite_autoindex_streams_1"):
            with suppress(sqlite3.Error):
                found += self._db.execute(
                    f"SELECT stream_id, name FROM streams INDEXED BY {index}"
                ).fetchall()
        return [(number, name) for number, name in found if isinstance(name, str)]

    def _mend_stream(self, fault: Fault, now: int) -> str:
        row = self._db.execute(f"{_STREAM} WHERE stream_id = ?", (fault.number,)).fetchone()
        if row is None or _is_stream(row):
            return "nothing: it was put right with the indexes"
        names = {name for number, name in self._names() if number == fault.number} | {str(row[1])}
        number, _, _, version, position, created, updated, owner, epoch, forgotten, _ = row
        first, last, end, begun, ended, most = self._db.execute(
            "SELECT min(version), max(version), max(position), min(at), max(at), max(epoch) FROM events "
            "WHERE stream_id = ?",
            (fault.number,),
        ).fetchone()
        name = min(names, key=lambda one: (one != row[1], one))
        for one in sorted(names):
            tried = (
                number,
                one,
                category_of(one),
                version,
                position,
                created,
                updated,
                owner,
                epoch,
                forgotten,
            )
            if _is_stream((*tried, row[-1])):
                self._write_stream(*tried)
                return f"gave the stream its name {one!r} back"
        self._keep_aside(name, 0, fault.problem, row, now)
        claims = max(epoch if isinstance(epoch, int) else 0, most or 0)
        if last is None:
            version = version if isinstance(version, int) else 0
            self._write_stream(number, name, category_of(name), version, 0, 0, 0, "", claims, version)
            return "there is no event of it"
        self._write_stream(number, name, category_of(name), last, end, begun, ended, "", claims, first - 1)
        return f"made its row again from its events {first} to {last}; nobody owns it now"

    def _write_stream(self, number: int, *columns: Any) -> None:
        self._db.execute(
            "UPDATE streams SET name = ?, category = ?, version = ?, position = ?, created_at = ?, "
            "updated_at = ?, owner = ?, epoch = ?, forgotten = ?, crc = ? WHERE stream_id = ?",
            (*columns, of_stream(number, *columns), number),
        )

    def _mend_word(self, fault: Fault, now: int) -> str:
        row = self._db.execute(
            "SELECT word_id, text, lasting, crc FROM words NOT INDEXED WHERE word_id = ?", (fault.number,)
        ).fetchone()
        if row is None:
            return "nothing: it is gone"
        with suppress(sqlite3.Error):
            for number, text in self._db.execute(
                "SELECT word_id, text FROM words INDEXED BY sqlite_autoindex_words_1"
            ).fetchall():
                if number == row[0] and isinstance(text, str) and of_word(number, text) == row[3]:
                    self._db.execute("UPDATE words SET text = ? WHERE word_id = ?", (text, number))
                    return f"took {text!r} from the index"
        raise CorruptLogError(self._where, f"{fault.problem}, and the index does not have it either")

    def _drop_snapshot(self, fault: Fault, now: int) -> str:
        row = self._db.execute(
            "SELECT stream_id, version, schema, checksum, data FROM snapshots WHERE rowid = ?",
            (fault.number,),
        ).fetchone()
        if row is not None:
            self._keep_aside(fault.stream, fault.version, f"snapshot: {fault.problem}", row, now)
            self._db.execute("DELETE FROM snapshots WHERE rowid = ?", (fault.number,))
        return "set it aside; it is made again from the events when it is worth it"

    def _drop_blob(self, fault: Fault, now: int) -> str:
        row = self._db.execute("SELECT * FROM blobs WHERE blob_id = ?", (fault.number,)).fetchone()
        self._keep_aside("", 0, fault.problem, row, now)
        self._db.execute("DELETE FROM needs WHERE blob_id = ?", (fault.number,))
        self._db.execute("DELETE FROM blobs WHERE blob_id = ?", (fault.number,))
        return "set it aside, so that it can be written again"

    def _drop_view(self, fault: Fault, now: int) -> str:
        row = self._db.execute("SELECT * FROM views WHERE view_id = ?", (fault.number,)).fetchone()
        self._keep_aside("", 0, fault.problem, row, now)
        for entry in self._db.execute("SELECT * FROM entries WHERE view_id = ?", (fault.number,)).fetchall():
            view, key, data, crc = entry
            try:
                sound = of_entry(view, key, data) == crc
            except _ODD:
                sound = False
            if not sound:
                self._keep_aside("", 0, f"entry of a view: {fault.problem}", entry, now)
        self._db.execute("DELETE FROM entries WHERE view_id = ?", (fault.number,))
        self._db.execute("DELETE FROM views WHERE view_id = ?", (fault.number,))
        return "dropped the view; whoever keeps it makes it again from the events"

    # -- events -----------------------------------------------------------------------------------

    def set_aside(self, stream: str, version: int, why: str, now: int) -> tuple[int, str]:
        """See ``Mender.set_aside``."""
        try:
            row = self._db.execute(
                f"{_EVENT} WHERE stream_id = (SELECT stream_id FROM streams WHERE name = ?) AND version = ?",
                (stream, version),
            ).fetchone()
            if row is None:
                return 0, ""
            word = self._db.execute("SELECT text FROM words WHERE word_id = ?", (row[3],)).fetchone()
            return self._keep_aside(stream, version, why, row, now), str(word[0]) if word else ""
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise faults.fault(self._where, error) from error

    def put(self, stream: str, version: int, event: Placed) -> None:
        """See ``Mender.put``."""
        try:
            self._put(stream, version, event)
        except sqlite3.Error as error:
            raise faults.fault(self._where, error) from error

    def _put(self, stream: str, version: int, event: Placed) -> None:
        (number,) = self._db.execute("SELECT stream_id FROM streams WHERE name = ?", (stream,)).fetchone()
        at = self._db.execute(
            "SELECT position FROM events WHERE stream_id = ? AND version = ?", (number, version)
        ).fetchone()
        position = self._free_position(number, version) if at is None else at[0]
        kind = self._word_of(event.type)
        place = of_event(position, number, version, kind, 1, event.event_id, 0, b"", event.at, 0, 0)
        self._db.execute("DELETE FROM events WHERE position = ?", (position,))
        self._db.execute(
            "INSERT INTO events VALUES (?, ?, ?, ?, 1, ?, 0, x'', ?, 0, 0, ?, ?)",
            (
                position,
                number,
                version,
                kind,
                event.event_id,
                event.at,
                crc32(event.data) ^ place | BOUND,
                event.data,
            ),
        )
        self._db.execute("DELETE FROM snapshots WHERE stream_id = ? AND version >= ?", (number, version))

    def _free_position(self, stream: int, version: int) -> int:
        """A position between those of the events around a missing one.

        Raises:
            CorruptLogError: There is none.
        """
        after, before = self._db.execute(
            "SELECT coalesce((SELECT max(position) FROM events WHERE stream_id = ?1 AND version < ?2), 0), "
            "coalesce((SELECT min(position) FROM events WHERE stream_id = ?1 AND version > ?2), "
            "(SELECT coalesce(max(position), 0) + 2 FROM events))",
            (stream, version),
        ).fetchone()
        used = {
            row[0]
            for row in self._db.execute(
                "SELECT position FROM events WHERE position > ? AND position < ?", (after, before)
            )
        }
        for position in range(after + 1, before):
            if position not in used:
                return position
        raise CorruptLogError(self._where, f"there is no room for event {version} that is missing")

    def _word_of(self, text: str) -> int:
        row = self._db.execute("SELECT word_id FROM words WHERE text = ?", (text,)).fetchone()
        if row is not None:
            return int(row[0])
        number = self._db.execute("INSERT INTO words (text, lasting) VALUES (?, 1)", (text,)).lastrowid or 0
        self._db.execute("UPDATE words SET crc = ? WHERE word_id = ?", (of_word(number, text), number))
        return number

    def _keep_aside(self, stream: str, version: int, why: str, row: Any, now: int) -> int:
        kept = ormsgpack.packb([_plain(column) for column in row])
        return (
            self._db.execute(
                "INSERT INTO aside (at, stream, version, why, kept) VALUES (?, ?, ?, ?, ?)",
                (now, stream, version if isinstance(version, int) else 0, why, kept),
            ).lastrowid
            or 0
        )

    def commit(self) -> None:
        """See ``Mender.commit``."""
        try:
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            raise faults.fault(self._where, error) from error

    def close(self) -> None:
        """See ``Mender.close``."""
        with suppress(sqlite3.Error):
            roll_back(self._db)
        self._db.close()


def _is_stream(row: Any) -> bool:
    try:
        return bool(of_stream(*row[:-1]) == row[-1] and row[2] == category_of(row[1]))
    except _ODD:
        return False


def _text(raw: bytes) -> Any:
    """A text; its bytes when it is none, so that a doctor sees rows that nobody else can read."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw


def _plain(column: Any) -> Any:
    """A column as MessagePack can hold it."""
    if isinstance(column, int) and not -(1 << 63) <= column < 1 << 64:
        return str(column)
    return column


def _hex(key: Any) -> str:
    return key.hex() if isinstance(key, bytes) else repr(key)
