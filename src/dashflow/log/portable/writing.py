"""Writing events into a file: as they are up to one position of the log, while runs go on."""

from __future__ import annotations

import hashlib
import heapq
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any

import msgspec

from dashflow.log.base import LOG_FORMAT, EventLog, Record, StreamInfo
from dashflow.log.portable.lines import FORMAT, NAME, sealed, told_of
from dashflow.log.portable.packed import written_whole

_PAGE = 100

Shown = Callable[[Record], Any]
"""What an event says, for people, as JSON can hold it."""


class Written(msgspec.Struct, frozen=True):
    """What a file holds.

    Attributes:
        streams: How many streams.
        events: How many events.
        blobs: How many large values that events name.
        upto: Position of the log up to which it tells everything.
        at: Time of the last event, nanoseconds; 0 for none.
        size: Bytes before packing.
    """

    streams: int
    events: int
    blobs: int
    upto: int
    at: int
    size: int


class _Sink:
    """Counts and sums up what is written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._sum = hashlib.sha256()
        self.size = 0

    def write(self, told: Mapping[str, Any]) -> None:
        line = sealed(told)
        self._file.write(line)
        self._sum.update(line)
        self.size += len(line)

    @property
    def sum(self) -> str:
        return self._sum.hexdigest()


def write_events(
    log: EventLog,
    file: IO[bytes],
    *,
    streams: Sequence[str] | None = None,
    category: str | None = None,
    shown: Shown | None = None,
) -> Written:
    """Write a log's events, as they are now, in the log's order.

    What is appended meanwhile is not in the file: it tells everything up to one position, and nothing after.

    Args:
        log: The log.
        file: Open for writing.
        streams: Only these; None: all.
        category: Only streams of this category.
        shown: Makes payloads readable that JSON cannot hold; None: they are there as base64 only.
    """
    infos = log.streams(category=category)
    upto = _position(log, infos if category is None else log.streams())
    if streams is not None:
        wanted = set(streams)
        infos = [info for info in infos if info.stream in wanted]
    sink = _Sink(file)
    sink.write(
        {
            "dashflow": NAME,
            "format": FORMAT,
            "log_format": LOG_FORMAT,
            "upto": upto,
            "whole": streams is None and category is None,
            "streams": len(infos),
            "most_events": sum(info.version for info in infos),
        }
    )
    records: Iterator[Record]
    if streams is not None:
        records = heapq.merge(*(_of_stream(log, info) for info in infos), key=lambda one: one.position)
    else:
        records = _of_log(log, upto, category)
    writing = _Writing(log, sink, shown)
    for record in records:
        writing.write(record)
    counts = {"streams": len(writing.needs), "events": writing.events, "blobs": writing.blobs}
    sink.write({"end": NAME, **counts, "upto": upto, "sha256": sink.sum})
    return Written(**counts, upto=upto, at=writing.at, size=sink.size)


class _Writing:
    """Events on their way into a file, each after the blobs that no later one of its stream needs."""

    def __init__(self, log: EventLog, sink: _Sink, shown: Shown | None) -> None:
        self._log = log
        self._sink = sink
        self._shown = shown
        self.needs: dict[str, dict[int, list[bytes]]] = {}
        self.events = self.blobs = self.at = 0

    def write(self, record: Record) -> None:
        """Write an event."""
        needs = self.needs.get(record.stream)
        if needs is None:
            needs = self.needs[record.stream] = {}
            for key, version in self._log.needs(record.stream).items():
                needs.setdefault(version, []).append(key)
        for key in needs.pop(record.version, ()):
            self._sink.write({"blob": key.hex(), "base64": b64encode(self._log.blob(key)).decode()})
            self.blobs += 1
        told = told_of(record)
        if self._shown is not None and "base64" in told:
            told = told_of(record, self._shown(record))
        self._sink.write(told)
        self.events += 1
        self.at = record.at


def write_file(
    log: EventLog,
    path: str,
    *,
    streams: Sequence[str] | None = None,
    category: str | None = None,
    shown: Shown | None = None,
) -> Written:
    """``write_events`` into a new file, packed as its name says; there is none before it is whole.

    Raises:
        UsageError: The file is there already.
        StorageUnavailableError: It cannot be written.
    """
    with written_whole(path) as file:
        return write_events(log, file, streams=streams, category=category, shown=shown)


def _position(log: EventLog, infos: Sequence[StreamInfo]) -> int:
    """The log's last position when ``infos`` were listed: that of the stream written last."""
    for info in infos:
        if records := log.read(info.stream, after=info.version - 1, limit=1):
            return records[0].position
    return 0


def _of_stream(log: EventLog, info: StreamInfo) -> Iterator[Record]:
    after = 0
    while records := log.read(info.stream, after=after, upto=info.version, limit=_PAGE):
        yield from records
        after = records[-1].version


def _of_log(log: EventLog, upto: int, category: str | None) -> Iterator[Record]:
    after = 0
    while after < upto and (records := log.read_all(after=after, category=category, limit=_PAGE)):
        for record in records:
            if record.position > upto:
                return
            yield record
        after = records[-1].position
