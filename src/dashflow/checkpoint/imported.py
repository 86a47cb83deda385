"""Checkpoints, values and writes that were put into threads by hand: read out of the log, and understood.

A saver's ``put`` and ``put_writes`` are recorded as facts, in the bytes of the saver's serialiser. Here they
become what the fold needs (``Content``) and what a saver shows. Reads only.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from dashflow._util.reserved import TASKS
from dashflow.checkpoint.base.checkpoint import writes_sort_key
from dashflow.checkpoint.events import from_record
from dashflow.core.events import (
    IMPORTS,
    CheckpointImported,
    CheckpointsForgotten,
    Content,
    Event,
    ValuesImported,
    WritesImported,
)
from dashflow.errors import CorruptEventError
from dashflow.log.base import Record, Streams
from dashflow.log.codec import Registry

Typed = tuple[str, bytes]
"""A serialised value: (tag, bytes)."""

Loads = Callable[[Typed], Any]

EMPTY_TAG = "empty"
"""Tag of a channel that has a version and no value."""

KEPT_TABLES = 64
"""Of so many streams the imports are kept in memory."""

_PLAIN = Registry()
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Put(NamedTuple):
    """An imported checkpoint and the version of the stream at which it came."""

    version: int
    event: CheckpointImported


class Table:
    """What was imported into one stream.

    Attributes:
        version: The last event looked at.
        checkpoints: By id, the last one put under it.
        values: By channel and version.
        writes: By checkpoint id; then by task id and index: path, channel, value.
        forgotten: Ids of checkpoints that are not shown.
        cleared: Version at which the whole thread was forgotten; 0: never.
    """

    def __init__(self) -> None:
        self.version = 0
        self.checkpoints: dict[str, Put] = {}
        self.values: dict[tuple[str, Any], Typed] = {}
        self.writes: dict[str, dict[tuple[str, int], tuple[str, str, Typed]]] = {}
        self.forgotten: set[str] = set()
        self.cleared = 0
        self._at: dict[tuple[str, int], Typed] = {}
        self._last: dict[str, tuple[int, Typed]] = {}

    def take(self, version: int, event: Event) -> None:
        """Add what an event says."""
        if isinstance(event, CheckpointImported):
            self.checkpoints[event.id] = Put(version, event)
            self.forgotten.discard(event.id)
            self._take_values(version, event.values)
        elif isinstance(event, ValuesImported):
            self._take_values(version, event.values)
        elif isinstance(event, WritesImported):
            there = self.writes.setdefault(event.checkpoint, {})
            for index, channel, tag, data in event.writes:
                key = (event.task, index)
                if index < 0 or key not in there:
                    there[key] = (event.path, channel, (tag, data))
        elif isinstance(event, CheckpointsForgotten):
            self._forget(version, event)

    def _take_values(self, version: int, values: Iterable[list[Any]]) -> None:
        for channel, label, tag, data in values:
            self.values[channel, label] = self._at[channel, version] = (tag, data)
            self._last[channel] = (version, (tag, data))

    def _forget(self, version: int, event: CheckpointsForgotten) -> None:
        if event.all:
            for known in (self.checkpoints, self.values, self.writes, self.forgotten, self._at, self._last):
                known.clear()
            self.cleared = version
        else:
            self.forgotten.update(event.ids)
            for identifier in event.ids:
                self.writes.pop(identifier, None)

    def holder(self, channel: str, value: Typed) -> int | None:
        """The version at which the channel's last import came, if it had that very value."""
        version, last = self._last.get(channel, (0, None))
        return version if last == value else None

    def values_of(self, event: CheckpointImported, versions: Mapping[str, Any]) -> dict[str, Typed]:
        """The serialised values of an imported checkpoint's channels."""
        if event.whole:
            found = {channel: (tag, data) for channel, _, tag, data in event.values}
            found.update({channel: self._at[channel, at] for channel, at in event.same})
        else:
            found = {
                channel: value
                for channel, label in versions.items()
                if (value := self.values.get((channel, label))) is not None
            }
        return {channel: value for channel, value in found.items() if value[0] != EMPTY_TAG}

    def writes_of(self, checkpoint: str) -> Iterator[tuple[tuple[str, str, int], str, Typed]]:
        """The writes imported for a checkpoint: (key to sort by, channel, value)."""
        for (task, index), (path, channel, value) in self.writes.get(checkpoint, {}).items():
            yield writes_sort_key(path, task, index), channel, value


class Imports:
    """What was imported into the streams of a log.

    Args:
        log: The log.
        loads: Reads a serialised value; None: data only.
    """

    def __init__(self, log: Streams, loads: Loads | None = None) -> None:
        self._log = log
        self._tables: OrderedDict[str, Table] = OrderedDict()
        self._lock = threading.RLock()
        if loads is None:
            from dashflow.checkpoint.serde.jsonplus import JsonPlusSerializer  # savers bring their own

            loads = JsonPlusSerializer(allowed_msgpack_modules=None).loads_typed
        self.loads: Loads = loads

    def table(self, stream: str) -> Table:
        """What was imported into a stream so far."""
        with self._lock:
            table = self._tables.get(stream) or Table()
            self._tables[stream] = table
            self._tables.move_to_end(stream)
            if self._log.version(stream) > table.version:
                for record in self._log.read(stream, after=table.version):
                    if record.type in IMPORTS:
                        table.take(record.version, from_record(record, _PLAIN, load=self._log.blob))
                    table.version = record.version
            while len(self._tables) > KEPT_TABLES:
                self._tables.popitem(last=False)
            return table

    def event(self, record: Record, stream: str) -> Event:
        """The event in a record of one of the ``IMPORTS`` types, understood.

        Args:
            record: Of the stream, or of one that it is a branch of.
            stream: The stream.

        Raises:
            CorruptEventError: It is damaged.
        """
        event = from_record(record, _PLAIN, load=self._log.blob)
        if isinstance(event, CheckpointImported) and event.latest:
            return self.understood(stream, Put(record.version, event), record.at)
        if isinstance(event, WritesImported):
            read = [[index, channel, self.loads((tag, data))] for index, channel, tag, data in event.writes]
            return msgspec.structs.replace(event, read=read)
        return event

    def raw(self, event: CheckpointImported) -> dict[str, Any]:
        """An imported checkpoint as it was put in, without its values."""
        told: dict[str, Any] = self.loads(_typed(event.checkpoint))
        return told

    def metadata(self, event: CheckpointImported) -> dict[str, Any]:
        """Its metadata."""
        told: dict[str, Any] = self.loads(_typed(event.metadata))
        return told

    def values(self, stream: str, event: CheckpointImported, versions: Mapping[str, Any]) -> dict[str, Any]:
        """Its channels' values, read anew."""
        stored = self.table(stream).values_of(event, versions)
        return {channel: self.loads(value) for channel, value in stored.items()}

    def understood(self, stream: str, put: Put, at: int) -> CheckpointImported:
        """An imported checkpoint with what it says; ``at`` is its time if it does not tell a valid one."""
        event = put.event
        try:
            told, metadata = self.raw(event), dict(self.metadata(event))
            versions = dict(told.get("channel_versions") or {})
            content = content_of(told, metadata, self.values(stream, event, versions), versions, at)
        except (KeyError, AttributeError) as problem:
            raise CorruptEventError(stream, put.version, f"no checkpoint: {problem!r}") from problem
        return msgspec.structs.replace(event, content=content)


def _typed(pair: list[Any]) -> Typed:
    tag, data = pair
    return tag, data


def content_of(
    told: Mapping[str, Any],
    metadata: dict[str, Any],
    values: dict[str, Any],
    versions: dict[str, Any],
    at: int,
) -> Content:
    seen = {name: dict(known) for name, known in (told.get("versions_seen") or {}).items()}
    layout = told.get("v", 4)
    if layout < 4 and (sends := told.get("pending_sends")):
        # Packets had a place of their own; now they are a channel's value.
        values[TASKS] = list(sends)
        versions[TASKS] = max(versions.values())
    number = numbering([*versions.values(), *(v for known in seen.values() for v in known.values())])
    numbered = {channel: number[label] for channel, label in versions.items()}
    return Content(
        at=_nanoseconds(told.get("ts"), at),
        step=metadata.get("step", -1),
        source=metadata.get("source", "input"),
        meta=metadata,
        values=values,
        versions=numbered,
        seen={name: {ch: number[label] for ch, label in known.items()} for name, known in seen.items()},
        updated=frozenset(told.get("updated_channels") or ()),
        labels={channel: (numbered[channel], label) for channel, label in versions.items()},
        layout=layout,
    )


def numbering(labels: Iterable[Any]) -> dict[Any, int]:
    """A number for each version: the whole number it starts with, else its rank, counted from 1."""
    known = set(labels)
    try:
        numbers = {label: _number(label) for label in known}
    except ValueError:
        numbers = {}
    texts = sorted(label for label in known if isinstance(label, str))
    if len(set(numbers.values())) < len(known) or texts != sorted(texts, key=numbers.__getitem__):
        numbers = {label: rank for rank, label in enumerate(sorted(known, key=_order), start=1)}
    return numbers


def _number(label: Any) -> int:
    """The whole number that a version is, or, as text, starts with.

    Raises:
        ValueError: There is none.
    """
    if isinstance(label, str):
        return int(label.partition(".")[0])
    if int(label) != label:
        raise ValueError("a version between whole numbers")
    return int(label)


def _order(label: Any) -> tuple[float, str]:
    return (0, label) if isinstance(label, str) else (label, "")


def _nanoseconds(ts: Any, otherwise: int) -> int:
    """ISO 8601 as nanoseconds since the Unix epoch."""
    try:
        moment = datetime.fromisoformat(ts)
    except (TypeError, ValueError):
        return otherwise
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1) * 1000
