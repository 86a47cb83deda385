"""Events out of a file into a log: in their order, with their ids, versions and times; owners stay behind.

What the log has already is left as it is, so an import that was killed is simply repeated.
"""

from __future__ import annotations

import random
from collections import deque

import msgspec

from dashflow._util.ids import uuid7
from dashflow.log.base import Append, EventLog, NewEvent, Ticket
from dashflow.log.portable.lines import Line
from dashflow.log.portable.reading import Examined, ExportFile, Wanted, examine

_MOST_EVENTS = 200
"""Events of one append."""

_UNDER_WAY = 64
"""Appends that may wait for the disk at a time."""

_MOST_BYTES = 16_000_000


class Brought(msgspec.Struct):
    """What came into a log.

    Attributes:
        events: How many events are new in it.
        present: How many it had.
        streams: How many streams got some.
        upto: Position, in the log that the file comes from, of the last event that counts.
        at: Time of that event, nanoseconds.
        left_out: How many events of the file were not wanted.
    """

    events: int = 0
    present: int = 0
    streams: int = 0
    upto: int = 0
    at: int = 0
    left_out: int = 0


def bring(
    file: ExportFile, log: EventLog, *, wanted: Wanted | None = None, examined: Examined | None = None
) -> Brought:
    """Bring the events of a file into a log.

    All of the file is checked, and compared with the log, before anything is recorded.

    Args:
        file: The file.
        log: The log.
        wanted: Where to stop; None: bring everything.
        examined: What ``examine`` said of the file, this log and what is wanted, if it was asked before.

    Raises:
        DifferentHistoryError: The log has a stream of the same name with other events.
        OwnershipConflictError: A run of a thread that gets events is going on; those before are in the log.
        LogError: See ``ExportFile.lines``; nothing was recorded then.
    """
    if examined is None:
        examined = examine(file, log=log, wanted=wanted)
    bringing = _Bringing(log, examined)
    for line in file.events():
        if bringing.brought.left_out or (wanted is not None and not wanted(line)):
            bringing.brought.left_out += 1
        else:
            bringing.take(line)
    return bringing.end()


class _Bringing:
    """Events on their way: those that follow each other in one stream go in one append."""

    def __init__(self, log: EventLog, examined: Examined) -> None:
        self.brought = Brought()
        self._log = log
        self._examined = examined
        self._versions: dict[str, int] = {}
        self._streams: set[str] = set()
        self._stream = ""
        self._events: list[NewEvent] = []
        self._forget = 0
        self._under_way: deque[tuple[Ticket, int]] = deque()

    def take(self, line: Line) -> None:
        """Take the next event."""
        brought = self.brought
        brought.upto, brought.at = line.position, line.event.at
        version = self._versions.get(line.stream)
        if version is None:
            version = self._versions[line.stream] = self._log.version(line.stream)
        if line.version <= version:
            brought.present += 1
            return
        if line.version > version + 1:
            self._submit()
            self._skip(line, version)
        elif line.stream != self._stream or len(self._events) >= _MOST_EVENTS:
            self._submit()
        self._stream = line.stream
        self._events.append(self._with_blobs(line))
        self._versions[line.stream] = line.version
        self._streams.add(line.stream)
        brought.events += 1

    def _with_blobs(self, line: Line) -> NewEvent:
        """The event, with what events before it may need when those are not wanted that have it."""
        late = self._examined.blobs.get(line.stream)
        if late is None or self._examined.wanted.get(line.stream) != line.version:
            return line.event
        return msgspec.structs.replace(line.event, blobs={**late, **line.event.blobs})

    def _skip(self, line: Line, version: int) -> None:
        """Go past versions that the other log forgot: they are taken, and forgotten here too."""
        self._forget = line.version - 1
        while version < self._forget:
            count, at = min(self._forget - version, _MOST_EVENTS), line.event.at
            events = [NewEvent("Forgotten", b"", uuid7(at, random.getrandbits(62)), at) for _ in range(count)]
            self._log.append(Append(line.stream, events, version, unowned=True))
            version += count

    def _submit(self) -> None:
        if not self._events:
            return
        size = sum(len(event.data) + sum(map(len, event.blobs.values())) for event in self._events)
        expected = self._versions[self._stream] - len(self._events)
        append = Append(self._stream, self._events, expected, unowned=True, forget=self._forget)
        self._forget = 0
        self._under_way.append((self._log.submit(append), size))
        self._events = []
        while len(self._under_way) > _UNDER_WAY or sum(left for _, left in self._under_way) > _MOST_BYTES:
            self._under_way.popleft()[0].wait()

    def end(self) -> Brought:
        """Wait until everything is on disk."""
        self._submit()
        while self._under_way:
            self._under_way.popleft()[0].wait()
        self.brought.streams = len(self._streams)
        return self.brought
