"""Looking through a log: checksums, gaps, order, counts, and whether every event can be understood.

Reads only, over the port. What is appended meanwhile is not looked at.
"""

from __future__ import annotations

from zlib import crc32

from dashflow.errors import CorruptEventError, LogError
from dashflow.log.base import EventLog, Record, StreamInfo
from dashflow.log.portable.reading import Check, Examined

_PAGE = 100

Verified = Examined


def verify(log: EventLog, *, check: Check | None = None) -> Verified:
    """Read all events of a log and say what is wrong.

    Args:
        log: The log.
        check: Looks at every event; what it raises is a finding.
    """
    verified = Verified({})
    for info in log.streams():
        _Stream(log, info, verified, check).look()
    if not verified.found:
        _look_at_order(log, verified)
    return verified


class _Stream:
    """One stream, read to its end whatever is damaged in it."""

    def __init__(self, log: EventLog, info: StreamInfo, verified: Verified, check: Check | None) -> None:
        self._log = log
        self._info = info
        self._verified = verified
        self._check = check
        self._first = self._last = 0
        self._position = 0

    def look(self) -> None:
        """Look at every event."""
        after, upto = 0, self._info.version
        while after < upto:
            try:
                records = self._log.read(self._info.stream, after=after, upto=upto, limit=_PAGE)
            except CorruptEventError as problem:
                after = self._around(after, problem)
                continue
            if not records:
                break
            for record in records:
                self._take(record)
            after = records[-1].version
        if self._last != upto:
            self._find("count", upto, f"should be the last event; the last one is {self._last}")
        self._verified.streams[self._info.stream] = (self._first, self._last)
        self._look_at_blobs()

    def _look_at_blobs(self) -> None:
        """Whether the large values are there that events need."""
        for key, version in self._log.needs(self._info.stream).items():
            try:
                self._log.blob(key)
            except LogError as problem:
                self._find("damaged", version, str(problem))

    def _around(self, after: int, problem: CorruptEventError) -> int:
        """Look at the events before a damaged one; where to go on behind it."""
        version = int(problem.data["version"])
        for record in self._log.read(self._info.stream, after=after, upto=version - 1):
            self._take(record)
        self._find("damaged", version, str(problem.data["problem"]))
        self._first = self._first or version
        self._last = version
        return version

    def _take(self, record: Record) -> None:
        verified = self._verified
        verified.events += 1
        verified.upto = max(verified.upto, record.position)
        verified.first_at = min(verified.first_at or record.at, record.at)
        verified.last_at = max(verified.last_at, record.at)
        if not self._first:
            self._first = record.version
        elif record.version != self._last + 1:
            self._find("gap", record.version, f"follows on event {self._last}")
        if record.position <= self._position:
            self._find("order", record.version, "has a position before that of an earlier event")
        self._last, self._position = record.version, record.position
        if crc32(record.data) != record.checksum:
            self._find("damaged", record.version, "does not fit its checksum")
        elif self._check is not None:
            try:
                self._check(record)
            except LogError as problem:
                self._find("unreadable", record.version, str(problem))

    def _find(self, code: str, version: int, problem: str) -> None:
        self._verified.find(code, self._info.stream, version, problem)


def _look_at_order(log: EventLog, verified: Verified) -> None:
    """Whether the log as a whole tells the same events as its streams, in one order."""
    position = events = 0
    while records := log.read_all(after=position, limit=_PAGE):
        for record in records:
            if record.position <= position:
                verified.find("order", record.stream, record.version, "comes after a later event")
            position = record.position
            events += (
                position <= verified.upto and record.version <= verified.streams.get(record.stream, (0, 0))[1]
            )
        if position >= verified.upto:
            break
    if events != verified.events:
        verified.find("count", "", 0, f"the log tells {events} events, its streams {verified.events}")
