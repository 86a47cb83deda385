"""Reading files of events: every line is checked before anything is made of the first."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec.structs import replace

from dashflow.errors import (
    DamagedFileError,
    DifferentHistoryError,
    ExportFormatError,
    LogError,
    NotAnExportError,
    StorageUnavailableError,
)
from dashflow.log.base import EventLog, Record
from dashflow.log.portable.lines import FORMAT, NAME, BadLineError, Line, blob_of, line_of, opened
from dashflow.log.portable.packed import UNPACKING_ERRORS, open_packed

Wanted = Callable[[Line], bool]
"""Whether an event is still wanted; once one is not, none after it is."""

Check = Callable[[Record], None]
"""Raises a ``LogError`` when an event says nothing that this program understands."""

_MOST_FINDINGS = 1000

T = TypeVar("T")


class Finding(msgspec.Struct, frozen=True):
    """Something that is wrong with an event or a stream.

    Attributes:
        code: ``damaged``, ``gap``, ``order``, ``unreadable`` or ``count``.
        stream: Which; "" for the whole.
        version: Of the event; 0 for none.
        problem: In words.
    """

    code: str
    stream: str
    version: int
    problem: str


class Examined(msgspec.Struct):
    """What a file holds, and what is wrong with it although every line is as it was written.

    Attributes:
        streams: First and last version of each.
        events: How many events.
        upto: Position of its log up to which it tells everything.
        whole: Whether it tells all of that log.
        first_at: Time of the first event, nanoseconds.
        last_at: Time of the last one.
        findings: The first thousand.
        found: How many there are.
        wanted: Last version of each stream that is wanted.
        blobs: Those that stand at later events, and that wanted events may need too.
    """

    streams: dict[str, tuple[int, int]]
    events: int = 0
    upto: int = 0
    whole: bool = True
    first_at: int = 0
    last_at: int = 0
    findings: list[Finding] = []
    found: int = 0
    wanted: dict[str, int] = {}
    blobs: dict[str, dict[bytes, bytes]] = {}

    def find(self, code: str, stream: str, version: int, problem: str) -> None:
        """Note something that is wrong."""
        self.found += 1
        if len(self.findings) < _MOST_FINDINGS:
            self.findings.append(Finding(code, stream, version, problem))


class ExportFile:
    """A file that ``write_events`` made.

    Args:
        path: Where it is.
    """

    def __init__(self, path: str) -> None:
        self.path = path

    def lines(self) -> Iterator[dict[str, Any]]:
        """What the lines say, checked one by one and as a whole: the header first, the trailer last.

        Raises:
            UsageError: There is no such file.
            NotAnExportError: It is something else.
            ExportFormatError: It is of a newer format.
            DamagedFileError: A line was changed, or lines are missing.
            StorageUnavailableError: It cannot be read.
        """
        total, number, ended = hashlib.sha256(), 0, False
        with open_packed(self.path) as file:
            for number, line in enumerate(self._raw(file), 1):
                if ended:
                    raise DamagedFileError(self.path, "something follows after its end", number)
                told = self._opened(line, number)
                if "end" in told:
                    ended = True
                    if told.get("sha256") != total.hexdigest():
                        raise DamagedFileError(self.path, "its lines are not those that were written", number)
                total.update(line)
                yield told
        if not number:
            raise NotAnExportError(self.path, "it is empty")
        if not ended:
            raise DamagedFileError(self.path, "its end is missing", number + 1)

    def _raw(self, file: Any) -> Iterator[bytes]:
        lines, number = iter(file), 0
        while True:
            try:
                line = next(lines, b"")
            except UNPACKING_ERRORS as problem:
                raise DamagedFileError(
                    self.path, f"it cannot be unpacked: {problem}", number + 1
                ) from problem
            except OSError as problem:
                raise StorageUnavailableError(self.path, str(problem)) from problem
            if not line:
                return
            number += 1
            yield line

    def _opened(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            told = opened(line)
        except BadLineError as problem:
            if number == 1 and not line.startswith(b'{"dashflow":'):
                raise NotAnExportError(self.path, "its first line is not that of one") from problem
            raise DamagedFileError(self.path, str(problem), number) from problem
        if number == 1:
            if told.get("dashflow") != NAME:
                raise NotAnExportError(self.path, "its first line is not that of one")
            if not isinstance(told.get("format"), int) or told["format"] > FORMAT:
                raise ExportFormatError(self.path, told.get("format", 0), FORMAT)
        return told

    def events(self, *, tell: Callable[[dict[str, Any]], None] | None = None) -> Iterator[Line]:
        """The events, in their log's order, each with the blobs that stand before it.

        Args:
            tell: Gets what the first line and the last one say.

        Raises:
            LogError: See ``lines``.
        """
        blobs: dict[bytes, bytes] = {}
        for number, told in enumerate(self.lines(), 1):
            if "blob" in told:
                key, content = self._read(blob_of, told, number)
                blobs[key] = content
            elif "event_id" in told:
                line = self._read(line_of, told, number)
                yield line._replace(event=replace(line.event, blobs=blobs)) if blobs else line
                blobs = {}
            elif tell is not None:
                tell(told)

    def _read(self, read: Callable[[dict[str, Any]], T], told: dict[str, Any], number: int) -> T:
        try:
            return read(told)
        except BadLineError as problem:
            raise DamagedFileError(self.path, str(problem), number) from problem


def examine(
    file: ExportFile,
    *,
    check: Check | None = None,
    log: EventLog | None = None,
    wanted: Wanted | None = None,
) -> Examined:
    """Read all of a file and say what it holds.

    Args:
        file: The file.
        check: Looks at every event; what it raises is a finding.
        log: A log that is to get the events: whose own must be the same as far as it has any.
        wanted: Which of them it is to get; None: all.

    Raises:
        DifferentHistoryError: The log has a stream of the same name with other events.
        LogError: See ``ExportFile.lines``.
    """
    examined = Examined({})
    there = _There(log)
    position, ended = 0, False
    for line in file.events(tell=lambda told: _take_frame(file.path, examined, told)):
        if line.position <= position:
            examined.find("order", line.stream, line.version, "comes after a later event")
        position = line.position
        _take(examined, line, check)
        there.compare(line)
        ended = ended or (wanted is not None and not wanted(line))
        if not ended:
            examined.wanted[line.stream] = line.version
        elif line.stream in examined.wanted and line.event.blobs:
            examined.blobs.setdefault(line.stream, {}).update(line.event.blobs)
    there.end()
    return examined


def _take_frame(path: str, examined: Examined, told: Mapping[str, Any]) -> None:
    """What the first line and the last one say of all the others."""
    if "dashflow" in told:
        examined.upto, examined.whole = int(told.get("upto", 0)), bool(told.get("whole", True))
    elif (told.get("events"), told.get("streams")) != (examined.events, len(examined.streams)):
        raise DamagedFileError(path, "it holds another number of events than it says")


def _take(examined: Examined, line: Line, check: Check | None) -> None:
    first, last = examined.streams.get(line.stream, (line.version, line.version - 1))
    if line.version != last + 1:
        examined.find("gap", line.stream, line.version, f"follows on event {last}")
    examined.streams[line.stream] = (first, line.version)
    examined.events += 1
    examined.first_at = examined.first_at or line.event.at
    examined.last_at = line.event.at
    if check is not None:
        try:
            check(line.record())
        except LogError as problem:
            examined.find("unreadable", line.stream, line.version, str(problem))


class _There:
    """What a log has of the streams that are read: nothing, or the same events."""

    def __init__(self, log: EventLog | None) -> None:
        self._log = log
        self._versions = {info.stream: info.version for info in log.streams()} if log is not None else {}
        self._last: dict[str, Line] = {}

    def compare(self, line: Line) -> None:
        """Compare the last event that both have; ids are given once, so those before are the same too."""
        if (version := self._versions.get(line.stream)) is not None:
            if line.version == version:
                self._check(line)
                del self._versions[line.stream]
                self._last.pop(line.stream, None)
            else:
                self._last[line.stream] = line

    def end(self) -> None:
        """Compare those streams of which the log has more than the file."""
        for line in self._last.values():
            self._check(line)

    def _check(self, line: Line) -> None:
        assert self._log is not None
        known = self._log.read(line.stream, after=line.version - 1, upto=line.version)
        if [record.event_id for record in known] != [line.event.event_id]:
            raise DifferentHistoryError(self._log.where, line.stream, line.version)
