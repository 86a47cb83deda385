"""What is in a log in memory: streams, the global order, blobs, views. Changed under the store's lock.

Decides nothing about who may write (see ``admission``) and knows no log object but those that are open.
"""

from __future__ import annotations

import weakref
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from operator import attrgetter
from threading import Lock

from dashflow.log.admission import category_of
from dashflow.log.base import NewEvent, Record, Snapshot, StreamInfo
from dashflow.log.subscriptions import Bell

_position = attrgetter("position")


class Stream:
    """One stream: its records, what goes with them, and who owns it.

    ``version`` is that of the last record, forgotten or not; ``forgotten`` the version up to which its
    events are gone; ``lease`` the clock's time at which the ownership ends; ``needs`` the last version
    that needs a blob, by the blob's key.
    """

    __slots__ = (
        *("category", "created", "epoch", "forgotten", "lease", "name", "needs", "owner", "position"),
        *("records", "snapshots", "updated", "version"),
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.category = category_of(name)
        self.records: list[Record] = []
        self.version = 0
        self.forgotten = 0
        self.position = 0
        self.created = 0
        self.updated = 0
        self.owner = ""
        self.epoch = 0
        self.lease = 0
        self.needs: dict[bytes, int] = {}
        self.snapshots: dict[int, Snapshot] = {}

    def between(self, after: int, upto: int | None) -> list[Record]:
        """Records with ``after < version <= upto``."""
        start = max(after - self.forgotten, 0)
        return self.records[start : None if upto is None else max(upto - self.forgotten, 0)]

    def info(self, owner: str) -> StreamInfo:
        """What is told of it, with an owner that the caller knows to be alive or dead."""
        return StreamInfo(self.name, self.category, self.version, self.created, self.updated, owner)


class View:
    """Entries by key, and how far the log was looked at for them."""

    __slots__ = ("_entries", "_keys", "position")

    def __init__(self) -> None:
        self._entries: dict[str, bytes] = {}
        self._keys: list[str] = []
        self.position = 0

    def change(self, changes: Mapping[str, bytes | None]) -> None:
        """Put values by key; None removes one."""
        for key, value in changes.items():
            if value is not None:
                if key not in self._entries:
                    insort(self._keys, key)
                self._entries[key] = value
            elif self._entries.pop(key, None) is not None:
                del self._keys[bisect_left(self._keys, key)]

    def found(self, prefix: str, after: str, limit: int | None) -> dict[str, bytes]:
        """Entries whose keys begin with ``prefix`` and come after ``after``, in key order."""
        keys, found = self._keys, dict[str, bytes]()
        start = bisect_right(keys, after) if after and after >= prefix else bisect_left(keys, prefix)
        for key in islice(keys, start, None if limit is None else start + max(limit, 0)):
            if not key.startswith(prefix):
                break
            found[key] = self._entries[key]
        return found


class MemoryStore:
    """What several ``MemoryLog`` objects share, as several processes share a file."""

    def __init__(self) -> None:
        self.lock = Lock()
        self.head = 0
        self.records: list[Record] = []
        self.streams: dict[str, Stream] = {}
        self.categories: dict[str, list[Record]] = {}
        self.ids: dict[bytes, Record] = {}
        self.blobs: dict[bytes, bytes] = {}
        self.needed: dict[bytes, int] = {}
        """How many streams need a blob, by its key."""
        self.views: dict[str, View] = {}
        self.bells: tuple[Bell, ...] = ()
        self.open: weakref.WeakValueDictionary[str, object] = weakref.WeakValueDictionary()
        """The logs on this store by their instances, as long as they are open and somebody has them."""

    def add(self, stream: Stream, events: Sequence[NewEvent], records: list[Record]) -> None:
        """Put the records that ``events`` became at the end of a stream and of the log."""
        self.streams[stream.name] = stream
        if not records:
            return
        if not stream.version:
            stream.created = records[0].at
        stream.updated = records[-1].at
        self.head = stream.position = records[-1].position
        self.records += records
        self.categories.setdefault(stream.category, []).extend(records)
        stream.records += records
        version = stream.version
        for event, record in zip(events, records, strict=True):
            self.ids[record.event_id] = record
            version += 1
            if event.blobs:
                self._need(stream, version, event.blobs)
        stream.version = version

    def _need(self, stream: Stream, version: int, blobs: Mapping[bytes, bytes]) -> None:
        """Keep what an event needs, and that it does."""
        for key, data in blobs.items():
            self.blobs.setdefault(key, bytes(data))
            if key not in stream.needs:
                self.needed[key] = self.needed.get(key, 0) + 1
            stream.needs[key] = version

    def forget(self, stream: Stream, upto: int) -> None:
        """Drop a stream's records up to a version, and all that only they needed."""
        gone = stream.between(0, upto)
        if gone:
            del stream.records[: len(gone)]
            stream.forgotten = gone[-1].version
            for records in (self.records, self.categories[stream.category]):
                _remove(records, gone)
            for record in gone:
                del self.ids[record.event_id]
        for key in [key for key, version in stream.needs.items() if version <= upto]:
            del stream.needs[key]
            self.needed[key] -= 1
            if not self.needed[key]:
                del self.needed[key], self.blobs[key]
        for version in [version for version in stream.snapshots if version <= upto]:
            del stream.snapshots[version]


def page_after(
    records: list[Record], position: int, limit: int, matches: Callable[[Record], bool] | None
) -> list[Record]:
    """At most ``limit`` records with a larger position; records are in the order of positions."""
    start = bisect_right(records, position, key=_position)
    if matches is None:
        return records[start : start + max(limit, 0)]
    page: list[Record] = []
    for number in range(start, len(records)):
        if len(page) >= limit:
            break
        if matches(records[number]):
            page.append(records[number])
    return page


def filter_of(types: Sequence[str], correlation: str) -> Callable[[Record], bool] | None:
    """Whether a record is one of those that are asked for; None when all are."""
    if not types and not correlation:
        return None
    wanted = frozenset(types)
    return lambda record: (not wanted or record.type in wanted) and correlation in ("", record.correlation_id)


def _remove(records: list[Record], gone: list[Record]) -> None:
    """Take one stream's records out of a list in the order of positions."""
    start = bisect_right(records, gone[0].position - 1, key=_position)
    end = bisect_right(records, gone[-1].position, key=_position)
    positions = {record.position for record in gone}
    records[start:end] = [record for record in records[start:end] if record.position not in positions]
