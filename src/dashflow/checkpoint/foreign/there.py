"""What a stream of the log has of a place that is brought over, from before or by hand. Reads only."""

from __future__ import annotations

from typing import Any

from dashflow.checkpoint.events import from_record
from dashflow.checkpoint.foreign.packed import Packing, UnreadableError, mark_of
from dashflow.checkpoint.imported import Typed
from dashflow.core.events import IMPORTS, CheckpointImported, CheckpointsForgotten, WritesImported
from dashflow.log.base import EventLog, Record
from dashflow.log.codec import Registry

_PAGE = 50
_PLAIN = Registry()


class There:
    """What the log has, and what is being added to it.

    Attributes:
        version: The stream's.
        ids: Of its checkpoints.
        latest: Id of the one that the thread goes on from; "" before the first.
        marks: Versions of the stream at which values came, by (channel, mark).
        writes: What tells a write from others, by (checkpoint, task, index).
        continued: Whether something else happened in the thread: a run, an edit, a deletion.
    """

    def __init__(self) -> None:
        self.version = 0
        self.ids: set[str] = set()
        self.latest = ""
        self.marks: dict[tuple[str, Any], int] = {}
        self.writes: dict[tuple[str, str, int], bytes] = {}
        self.continued = False

    @classmethod
    def read(cls, log: EventLog, stream: str, packing: Packing) -> There:
        """What a stream has now."""
        there = cls()
        while records := log.read(stream, after=there.version, limit=_PAGE):
            for record in records:
                there.version = record.version
                there._take(record, packing)
        return there

    def _take(self, record: Record, packing: Packing) -> None:
        if record.type not in IMPORTS:
            self.continued = True
            return
        event = from_record(record, _PLAIN)
        if isinstance(event, CheckpointImported):
            self.ids.add(event.id)
            if event.latest:
                self.latest = event.id
            self._take_values(event, record.version, packing)
        elif isinstance(event, WritesImported):
            for index, channel, tag, data in event.writes:
                mark = _mark_of_write(channel, self._opened(tag, data, packing))
                self.writes[event.checkpoint, event.task, index] = mark
        elif isinstance(event, CheckpointsForgotten) and event.all:
            self.__init__()  # type: ignore[misc]  # nothing of before counts
            self.version = record.version
        else:
            self.continued = True

    def _take_values(self, event: CheckpointImported, version: int, packing: Packing) -> None:
        for channel, label, tag, data in event.values:
            self.marks[channel, f"version {label}"] = version
            self.marks[channel, mark_of(self._opened(tag, data, packing))] = version

    @staticmethod
    def _opened(tag: str, data: bytes, packing: Packing) -> Typed:
        try:
            return packing.opened(tag, data)
        except UnreadableError:
            return tag, data  # put by hand and of another kind: it is only not known again

    def adds(self, key: tuple[str, str, int], channel: str, typed: Typed) -> bool:
        """Whether a write is new; from now on it is not. Special writes may change, others never do."""
        mark, before = _mark_of_write(channel, typed), self.writes.get(key)
        if before is not None and (before == mark or key[2] >= 0):
            return False
        self.writes[key] = mark
        return True


def _mark_of_write(channel: str, typed: Typed) -> bytes:
    return mark_of((f"{channel} {typed[0]}", typed[1]))
