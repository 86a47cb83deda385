"""Turns a group of appends into one transaction: decides on each, inserts all rows, commits once.

Holds what it knows of streams between groups, as long as nobody else has written. Used by one
thread at a time (see ``commits``); starts none and waits for nobody but other processes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from struct import error as StructError
from typing import Any, Final, TypeVar
from zlib import crc32

from dashflow._util.database import plain_cursor, roll_back
from dashflow.errors import DashFlowError, DuplicateEventError
from dashflow.log.admission import admit, category_of, check_append
from dashflow.log.base import ANY, Append, Appended
from dashflow.log.commits import Pending
from dashflow.log.packing import BOUND, PACK_FROM, stored
from dashflow.log.sqlite import faults
from dashflow.log.sqlite.blobs import keep_blobs
from dashflow.log.sqlite.database import Database
from dashflow.log.sqlite.forgetting import forget
from dashflow.log.sqlite.owners import Owners
from dashflow.log.sqlite.places import of_event, of_stream
from dashflow.log.sqlite.reader import Head, head_of
from dashflow.log.sqlite.rows import find, insert
from dashflow.log.sqlite.statements import queries
from dashflow.log.sqlite.words import Words

_COLUMNS: Final = 13
_STREAM_COLUMNS: Final = 12

_UNFIT: Final = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    OverflowError,
    StructError,
    ValueError,
    TypeError,
)
"""What comes of an append that holds something the tables do not take."""

_CROWD: Final = 4
"""Appends in a group from which on many append at once."""

_REMEMBERED: Final = 10_000
"""Streams and words kept in memory; then all are forgotten and read again when needed."""

T = TypeVar("T")


class _Stream:
    """What the writer knows of a stream. ``number`` 0: not in the file yet."""

    __slots__ = (
        "category",
        "created",
        "epoch",
        "forgotten",
        "lease",
        "name",
        "number",
        "owner",
        "position",
        "updated",
        "version",
    )

    def __init__(self, head: Head) -> None:
        (
            self.number,
            self.name,
            self.category,
            self.version,
            self.position,
            self.created,
            self.updated,
            self.owner,
            self.epoch,
            self.forgotten,
            self.lease,
        ) = head

    def row(self) -> tuple[Any, ...]:
        """What the file is to have of it."""
        columns = (
            self.number,
            self.name,
            self.category,
            self.version,
            self.position,
            self.created,
            self.updated,
            self.owner,
            self.epoch,
            self.forgotten,
        )
        return (*columns, self.lease, of_stream(*columns))


def _absent(name: str) -> _Stream:
    """A stream that is not in the file."""
    return _Stream(Head(0, name, category_of(name), 0, 0, 0, 0, "", 0, 0, 0))


class Writer:
    """The only one who changes events, streams and words."""

    def __init__(
        self, database: Database, owners: Owners, *, lease_ns: int, clock: Callable[[], int]
    ) -> None:
        self._database = database
        self._owners = owners
        self._lease_ns = lease_ns
        self._clock = clock
        self._cursor = plain_cursor(database.writer)
        self._sql = queries()
        self._known_as: tuple[int, int] | None = None
        self._streams: dict[str, _Stream] = {}
        self._absent: dict[str, _Stream] = {}  # known not to be in the file; of the present group
        self._last_stream = 0
        self._words = Words(self._cursor)
        self._head = 0
        self._company = 1.0  # appends in a group, on the average of the last ones
        self._forgot = False
        self._rows: list[Any] = []
        self._changed: dict[str, _Stream] = {}
        self._lease_until = 0
        # By the stream's number: owner and epoch. `_claimed` waits for the commit, "" gives up.
        self._claims: dict[int, tuple[str, int]] = {}
        self._claimed: list[tuple[int, str, int]] = []

    # -- groups -------------------------------------------------------------------------------

    def commit(self, group: Sequence[Pending]) -> None:
        """Commit what can be, and give every append its result or its error.

        Raises:
            LogError: Nothing of the group was written.
        """
        self._company += (len(group) - self._company) / 8
        with self._transaction():
            self._database.expect(self._company > _CROWD)
            try:
                self._together(group)
            except _UNFIT:
                # One append holds what the tables do not take. Find out which; the rest goes on.
                self._undo()
                self._one_by_one(group)
        self.tidy()

    def tidy(self) -> None:
        """After something was forgotten: see to it that the WAL does not keep it."""
        if self._forgot:
            self._forgot = not self._database.empty_wal()

    def beside(self, work: Callable[[sqlite3.Cursor], T]) -> T:
        """Do ``work`` in a transaction of its own, for what can be made again from the events.

        It is whole or not at all after a crash, and never ahead of the events that it was made from, but
        nobody waits for the disk: the flush of the next append takes it along.
        """
        with self._transaction(), self._database.unhurried():
            self._begin()
            result = work(self._cursor)
            self._end()
            return result

    def renew(self) -> None:
        """Move the leases of all claims; those that a later owner has are dropped."""
        with self._transaction():
            self._begin()
            gone = []
            for number, (owner, epoch) in self._claims.items():
                self._cursor.execute(self._sql["renew_lease"], (self._lease_until, number, owner, epoch))
                if self._cursor.rowcount == 0:
                    gone.append((number, "", 0))
            self._claimed += gone
            self._end()
            self._known_as = None  # the leases in memory are out of date

    def give_up(self) -> None:
        """Let every claim be that of somebody dead."""
        if not self._claims:
            return
        with self._transaction():
            self._begin()
            for number, (owner, epoch) in self._claims.items():
                self._cursor.execute(self._sql["give_up"], (number, owner, epoch))
            self._claimed += [(number, "", 0) for number in self._claims]
            self._end()
            self._known_as = None

    @property
    def claims(self) -> int:
        """How many streams this log's owners hold."""
        return len(self._claims)

    def _together(self, group: Sequence[Pending]) -> None:
        """The usual way: decide on all, insert all, commit."""
        self._begin()
        if len(group) > 1:
            self._look_up([pending.append for pending in group])
        for pending in group:
            pending.result = pending.error = None
            try:
                pending.result = self._take(pending.append)
            except DashFlowError as refusal:
                pending.error = refusal
        self._end()

    def _one_by_one(self, group: Sequence[Pending]) -> None:
        """The careful way: every append inside a savepoint of its own, still one commit."""
        self._begin()
        for pending in group:
            pending.result = pending.error = None
            claimed = len(self._claimed)
            self._cursor.execute("SAVEPOINT one")
            try:
                result = self._take(pending.append)
                self._flush()
                pending.result = result
            except (*_UNFIT, DashFlowError) as problem:
                self._cursor.execute("ROLLBACK TO one")
                del self._claimed[claimed:]
                self._reload()
                try:
                    pending.result = self._explain(pending.append, problem)
                except (*_UNFIT, DashFlowError) as refusal:
                    pending.error = refusal
            self._cursor.execute("RELEASE one")
        self._end()

    # -- one append ---------------------------------------------------------------------------

    def _take(self, append: Append) -> Appended:
        """Decide on an append and line up its rows; nothing is lined up when it is refused."""
        name = append.stream
        stream = self._streams.get(name) or self._absent.get(name) or self._load(name)
        owner = append.owner
        try:
            if (
                append.claim
                or append.unowned
                or append.release
                or append.forget
                or append.force
                or not append.stream
            ):
                check_append(append, self._owners.instance)
                held = stream.owner not in ("", owner) and self._owners.alive(stream.owner, stream.lease)
            else:
                held = False
            epoch = admit(append, version=stream.version, owner=stream.owner, epoch=stream.epoch, held=held)
        except DashFlowError:
            earlier = self._already(stream, append)
            if earlier is None:
                raise
            return earlier
        before = stream.version
        if append.claim:
            self._owners.show_alive()
        if append.events or owner:
            if not stream.number:
                self._add_stream(stream)
            if append.events:
                self._line_up(stream, append, epoch)
            self._changed[stream.name] = stream
        if owner:
            self._hand_over(stream, append, epoch)
        if append.forget and stream.number:
            self._forget(stream, min(append.forget, before))
        return Appended(stream.version, stream.position, epoch)

    def _hand_over(self, stream: _Stream, append: Append, epoch: int) -> None:
        """Write down who has the stream after an owner's append."""
        stream.owner = "" if append.release else append.owner
        stream.epoch = epoch
        stream.lease = self._lease_until
        if append.claim or append.release:
            self._claimed.append((stream.number, stream.owner, epoch))

    def _line_up(self, stream: _Stream, append: Append, epoch: int) -> None:
        """Make the rows of the events and move the stream's end and the log's head."""
        words = self._words
        lasting, passing = words.lasting, words.passing
        number, version, position = stream.number, stream.version, self._head
        rows: list[Any] = []
        for event in append.events:
            version += 1
            position += 1
            kind = lasting.get(event.type)
            if kind is None:
                kind = words.number(event.type)
            correlation = passing.get(event.correlation_id)
            if correlation is None:
                correlation = words.correlation(event.correlation_id)
            fingerprint = lasting.get(event.fingerprint)
            if fingerprint is None:
                fingerprint = words.number(event.fingerprint)
            schema, one, cause, at, data = (
                event.schema,
                event.event_id,
                event.causation_id,
                event.at,
                event.data,
            )
            place = of_event(
                position, number, version, kind, schema, one, correlation, cause, at, epoch, fingerprint
            )
            if len(data) >= PACK_FROM:
                mark, data = stored(data, place)
            else:
                mark = crc32(data) ^ place | BOUND
            rows += (
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
                fingerprint,
                mark,
                data,
            )
            if event.blobs:
                keep_blobs(self._cursor, number, version, event.blobs)
        self._rows += rows
        self._head = stream.position = position
        if not stream.version:
            stream.created = append.events[0].at
        stream.updated = append.events[-1].at
        stream.version = version

    def _already(self, stream: _Stream, append: Append) -> Appended | None:
        """The result of the same append, if it was made before."""
        events = append.events
        first = append.expected + 1
        if not events or not stream.number or first + len(events) - 1 > stream.version:
            return None
        self._flush()
        if append.expected == ANY:
            row = self._one("version_of_event", events[0].event_id)
            if row is None or row[1] != append.stream:
                return None
            first = row[0]
        there = self._cursor.execute(self._sql["ids_from"], (stream.number, first, len(events))).fetchall()
        if [row[0] for row in there] != [event.event_id for event in events]:
            return None
        _, version, position, epoch = there[-1]
        return Appended(version, position, epoch)

    def _explain(self, append: Append, problem: Exception) -> Appended:
        """The result of an append that the tables refused because it was made before, or its error."""
        if not isinstance(problem, sqlite3.IntegrityError):
            if isinstance(problem, sqlite3.Error):
                raise faults.fault(self._database.where, problem) from problem
            if isinstance(problem, UnicodeDecodeError):  # out of the file, not out of the append
                raise faults.fault(self._database.where, problem) from problem
            if isinstance(problem, StructError):
                raise OverflowError(
                    f"a number of an event does not fit into 64 bits ({problem})"
                ) from problem
            raise problem
        earlier = self._already(self._load(append.stream), append)
        if earlier is not None:
            return earlier
        ids: set[bytes] = set()
        for event in append.events:
            row = self._one("version_of_event", event.event_id)
            if row is not None or event.event_id in ids:
                used_by = row[1] if row is not None else None
                raise DuplicateEventError(append.stream, event.event_id.hex(), used_by) from problem
            ids.add(event.event_id)
        raise faults.fault(self._database.where, problem) from problem

    # -- rows ---------------------------------------------------------------------------------

    def _load(self, name: str) -> _Stream:
        """A stream as the file has it; one without a number if it has none."""
        row = self._one("stream_by_name", name)
        if row is None:
            return _absent(name)
        stream = self._streams[name] = _Stream(head_of(row, self._database.where, name))
        return stream

    def _look_up(self, appends: Sequence[Append]) -> None:
        """Read what the file has of the streams and correlation ids of several appends, in one go each."""
        streams = {append.stream for append in appends} - self._streams.keys()
        if len(streams) > 1:
            for row in find(self._cursor, "streams_by_name", streams):
                self._streams[row[1]] = _Stream(head_of(row, self._database.where, row[1]))
            self._absent = {name: _absent(name) for name in streams - self._streams.keys()}
        self._words.look_up(event.correlation_id for append in appends for event in append.events)

    def _add_stream(self, stream: _Stream) -> None:
        self._last_stream += 1
        stream.number = self._last_stream
        self._streams[stream.name] = stream

    def _forget(self, stream: _Stream, upto: int) -> None:
        """Drop a stream's beginning, once everything before is in its place."""
        stream.forgotten = max(stream.forgotten, upto)
        self._changed[stream.name] = stream
        self._flush()
        forget(self._cursor, stream.number, upto, head=self._head)
        self._words.passing = {"": 0}
        self._forgot = True

    def _flush(self) -> None:
        """Write what is lined up."""
        self._words.flush()
        rows, self._rows = self._rows, []
        insert(self._cursor, "add_events", rows, _COLUMNS)
        changed, self._changed = self._changed, {}
        values = [value for stream in changed.values() for value in stream.row()]
        insert(self._cursor, "keep_streams", values, _STREAM_COLUMNS)

    def _one(self, query: str, *parameters: Any) -> Any:
        """The only row of a query, or None."""
        return self._cursor.execute(self._sql[query], parameters).fetchone()

    # -- transactions -------------------------------------------------------------------------

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Undo what fails, and tell SQLite's errors in the log's terms."""
        with self._database.lock:
            try:
                yield
            except sqlite3.Error as error:
                self._undo()
                raise faults.fault(self._database.where, error) from error
            except BaseException:
                self._undo()
                raise

    def _begin(self) -> None:
        """Begin, and forget what others have changed since the last time."""
        self._database.check_in_place()
        if self._database.path is not None:
            roll_back(self._database.writer)  # left open only if an undoing was interrupted
        self._database.patiently(lambda: self._cursor.execute("BEGIN IMMEDIATE"))
        now = (self._cursor.execute("PRAGMA data_version").fetchone()[0], self._database.writer.total_changes)
        if now != self._known_as or len(self._streams) + len(self._words) > _REMEMBERED:
            self._reload()
        self._absent = {}
        self._known_as = now
        self._claimed = []
        self._lease_until = self._clock() + self._lease_ns

    def _end(self) -> None:
        """Write and commit; durable when this returns."""
        self._flush()
        self._database.patiently(lambda: self._cursor.execute("COMMIT"))
        if self._known_as is not None:
            self._known_as = (self._known_as[0], self._database.writer.total_changes)
        for number, owner, epoch in self._claimed:
            if owner:
                self._claims[number] = (owner, epoch)
            else:
                self._claims.pop(number, None)

    def _reload(self) -> None:
        """Read again, in the transaction, what is known of the log."""
        self._clear()
        self._head = self._one("head")[0]
        self._last_stream = self._one("last_stream")[0]
        self._words.reload()

    def _undo(self) -> None:
        """Undo an unfinished transaction, in the file and in memory."""
        self._known_as = None
        self._clear()
        with suppress(sqlite3.Error):  # the error that brought us here is the one to tell
            roll_back(self._database.writer)

    def _clear(self) -> None:
        self._streams.clear()
        self._absent = {}
        self._words.clear()
        self._rows = []
        self._changed = {}
