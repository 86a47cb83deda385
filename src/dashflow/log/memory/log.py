"""``MemoryLog``: the port over a store in memory.

Nothing survives the process. An append is done when ``submit`` returns. May not import another
backend.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from zlib import crc32

from dashflow.errors import (
    DashFlowError,
    DuplicateEventError,
    LogClosedError,
    MissingBlobError,
    VersionConflictError,
)
from dashflow.log.admission import admit, category_of, check_append
from dashflow.log.base import ANY, Append, Appended, Record, Snapshot, StreamInfo, Subscription
from dashflow.log.memory.store import MemoryStore, Stream, View, filter_of, page_after
from dashflow.log.subscriptions import Bell, PagedSubscription


class _Settled:
    """A ticket that was done before it was handed out."""

    __slots__ = ("_error", "_result", "done")

    def __init__(self, result: Appended | None, error: DashFlowError | None) -> None:
        self._result = result
        self._error = error
        self.done = True

    def wait(self) -> Appended:
        if self._result is None:
            assert self._error is not None
            raise self._error
        return self._result

    def on_done(self, callback: Callable[[], None]) -> None:
        callback()


class MemoryLog:
    """An ``EventLog`` in memory.

    Args:
        store: What another ``MemoryLog`` has as its ``store``, to act as a second process on the
            same log. Without it the log is empty.
        lease_seconds: How long an owner of another instance is left alone after its last append.
        clock: Nanoseconds; asked for leases only. Without it a lease lasts as long as its log is open.
    """

    def __init__(
        self,
        store: MemoryStore | None = None,
        *,
        lease_seconds: float = 10.0,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self.store = MemoryStore() if store is None else store
        self._instance = f"memory-{os.urandom(6).hex()}"
        self._lease = int(lease_seconds * 1e9)
        self._clock = clock
        self._bell = Bell()
        self._closed = False
        with self.store.lock:
            self.store.bells += (self._bell,)
            self.store.open[self._instance] = self

    @property
    def instance(self) -> str:
        """Identity of this log object; see ``EventLog.instance``."""
        return self._instance

    @property
    def where(self) -> str:
        """Always ``memory://``."""
        return "memory://"

    # -- writing ------------------------------------------------------------------------------

    def submit(self, append: Append) -> _Settled:
        """Append now; the ticket is done already."""
        try:
            return _Settled(self.append(append), None)
        except LogClosedError:
            raise
        except DashFlowError as error:
            return _Settled(None, error)

    def append(self, append: Append) -> Appended:
        """See ``EventLog.append``."""
        with self.store.lock:
            if self._closed:
                raise LogClosedError(self.where)
            check_append(append, self._instance)
            stream = self.store.streams.get(append.stream) or Stream(append.stream)
            try:
                appended = self._write(stream, append)
            except DashFlowError:
                earlier = self._already(stream, append)
                if earlier is None:
                    raise
                return earlier
        for bell in self.store.bells:
            bell.ring()
        return appended

    def _write(self, stream: Stream, append: Append) -> Appended:
        """Everything or, with an error, nothing."""
        before = stream.version
        epoch = admit(
            append,
            version=before,
            owner=stream.owner,
            epoch=stream.epoch,
            held=stream.owner != append.owner and self._alive(stream),
        )
        self.store.add(stream, append.events, self._records(stream, append, epoch))
        if append.forget:
            self.store.forget(stream, min(append.forget, before))
        if append.owner:
            stream.owner = "" if append.release else append.owner
            stream.epoch = epoch
            stream.lease = self._now() + self._lease
        return Appended(stream.version, stream.position, epoch)

    def _records(self, stream: Stream, append: Append, epoch: int) -> list[Record]:
        """The records that the events become."""
        records: list[Record] = []
        position, version = self.store.head, stream.version
        ids, seen = self.store.ids, set[bytes]()
        for event in append.events:
            position += 1
            version += 1
            known = ids.get(event.event_id)
            if known is not None or event.event_id in seen:
                used_by = None if known is None else known.stream
                raise DuplicateEventError(stream.name, event.event_id.hex(), used_by)
            seen.add(event.event_id)
            records.append(
                Record(
                    position,
                    stream.name,
                    version,
                    stream.category,
                    event.type,
                    event.schema,
                    event.event_id,
                    event.correlation_id,
                    event.causation_id,
                    event.at,
                    epoch,
                    event.fingerprint,
                    crc32(event.data),
                    event.data,
                )
            )
        return records

    def _already(self, stream: Stream, append: Append) -> Appended | None:
        """The result of the same append, if it was made before."""
        if not append.events:
            return None
        first = append.expected + 1
        if append.expected == ANY:
            known = self.store.ids.get(append.events[0].event_id)
            if known is None or known.stream != stream.name:
                return None
            first = known.version
        there = stream.between(first - 1, first - 1 + len(append.events))
        if [record.event_id for record in there] != [event.event_id for event in append.events]:
            return None
        return Appended(there[-1].version, there[-1].position, there[-1].epoch)

    # -- reading ------------------------------------------------------------------------------

    def read(
        self, stream: str, *, after: int = 0, upto: int | None = None, limit: int | None = None
    ) -> list[Record]:
        """See ``EventLog.read``."""
        self._check_open()
        with self.store.lock:
            known = self.store.streams.get(stream)
            records = known.between(after, upto) if known else []
        return records if limit is None else records[: max(limit, 0)]

    def read_all(
        self,
        *,
        after: int = 0,
        category: str | None = None,
        types: Sequence[str] = (),
        correlation: str = "",
        limit: int = 1000,
    ) -> list[Record]:
        """See ``EventLog.read_all``."""
        self._check_open()
        with self.store.lock:
            records = self.store.records if category is None else self.store.categories.get(category, [])
            return page_after(records, after, limit, filter_of(types, correlation))

    def version(self, stream: str) -> int:
        """See ``EventLog.version``."""
        self._check_open()
        with self.store.lock:
            known = self.store.streams.get(stream)
            return known.version if known else 0

    def versions(self, streams: Sequence[str]) -> list[int]:
        """See ``EventLog.versions``."""
        self._check_open()
        with self.store.lock:
            known = map(self.store.streams.get, streams)
            return [0 if stream is None else stream.version for stream in known]

    def glance(self, streams: Sequence[str]) -> list[int]:
        """See ``EventLog.glance``: always possible."""
        return self.versions(streams)

    def streams(self, *, category: str | None = None, prefix: str = "", stream: str = "") -> list[StreamInfo]:
        """See ``EventLog.streams``."""
        self._check_open()
        with self.store.lock:
            return [
                one.info(one.owner if self._alive(one) else "")
                for one in reversed(self._in_order(category, stream))
                if one.name.startswith(prefix)
            ]

    def abandoned(self, *, category: str | None = None) -> list[StreamInfo]:
        """See ``EventLog.abandoned``."""
        self._check_open()
        with self.store.lock:
            return [
                stream.info(stream.owner)
                for stream in self._in_order(category)
                if stream.owner and not self._alive(stream)
            ]

    def _in_order(self, category: str | None, name: str = "") -> list[Stream]:
        """Streams that have events, those first that were not written for the longest time."""
        known = self.store.streams
        looked_at = known.values() if not name else [known[name]] if name in known else []
        found = [one for one in looked_at if one.records and category in (None, one.category)]
        return sorted(found, key=lambda stream: stream.position)

    def subscribe(
        self,
        *,
        after: int = 0,
        stream: str | None = None,
        category: str | None = None,
        types: Sequence[str] = (),
        correlation: str = "",
    ) -> Subscription:
        """See ``EventLog.subscribe``."""
        self._check_open()
        matches = filter_of(types, correlation)

        def fetch(cursor: int, limit: int) -> tuple[list[Record], int]:
            self._check_open()
            with self.store.lock:
                if stream is not None:
                    known = self.store.streams.get(stream)
                    source = known.records if known else []
                elif category is not None:
                    source = self.store.categories.get(category, [])
                else:
                    source = self.store.records
                page = page_after(source, cursor, limit, matches)
                # The page is not full: everything up to the head was looked at.
                return page, page[-1].position if page and len(page) >= limit else max(
                    self.store.head, cursor
                )

        if stream is not None and category not in (None, category_of(stream)):
            return PagedSubscription(lambda cursor, _limit: ([], cursor), after, self._bell)
        return PagedSubscription(fetch, after, self._bell)

    # -- beside the events ----------------------------------------------------------------------

    def blob(self, key: bytes) -> bytes:
        """See ``EventLog.blob``."""
        self._check_open()
        with self.store.lock:
            found = self.store.blobs.get(key)
        if found is None:
            raise MissingBlobError(self.where, key)
        return found

    def needs(self, stream: str) -> dict[bytes, int]:
        """See ``EventLog.needs``."""
        self._check_open()
        with self.store.lock:
            known = self.store.streams.get(stream)
            return dict(known.needs) if known else {}

    def keep_snapshot(self, stream: str, snapshot: Snapshot, *, alone: bool = False) -> None:
        """See ``EventLog.keep_snapshot``."""
        with self.store.lock:
            self._check_open()
            known = self.store.streams.get(stream)
            if known is not None and known.forgotten < snapshot.version <= known.version:
                if alone:
                    known.snapshots.clear()
                known.snapshots[snapshot.version] = snapshot

    def snapshot(self, stream: str, *, upto: int | None = None) -> Snapshot | None:
        """See ``EventLog.snapshot``."""
        self._check_open()
        with self.store.lock:
            known = self.store.streams.get(stream)
            fit = [at for at in known.snapshots if upto is None or at <= upto] if known else []
            return known.snapshots[max(fit)] if known and fit else None

    def project(
        self, view: str, position: int, changes: Mapping[str, bytes | None], *, expected: int
    ) -> None:
        """See ``EventLog.project``."""
        with self.store.lock:
            self._check_open()
            known = self.store.views.get(view) or View()
            if known.position != expected:
                raise VersionConflictError(view, expected, known.position)
            known.change(changes)
            known.position = position
            self.store.views[view] = known

    def view_position(self, view: str) -> int:
        """See ``EventLog.view_position``."""
        self._check_open()
        with self.store.lock:
            known = self.store.views.get(view)
            return known.position if known else 0

    def view(
        self, view: str, *, prefix: str = "", after: str = "", limit: int | None = None
    ) -> dict[str, bytes]:
        """See ``EventLog.view``."""
        self._check_open()
        with self.store.lock:
            known = self.store.views.get(view) or View()
            return known.found(prefix, after, limit)

    def drop_view(self, view: str) -> None:
        """See ``EventLog.drop_view``."""
        with self.store.lock:
            self._check_open()
            self.store.views.pop(view, None)

    # -- the end ------------------------------------------------------------------------------

    def close(self) -> None:
        """See ``EventLog.close``."""
        with self.store.lock:
            if self._closed:
                return
            self._closed = True
            self._leave()
        self._bell.close()

    def abandon(self) -> None:
        """End as a killed process does."""
        with self.store.lock:
            self._closed = True
            self._leave()
        self._bell.close()

    def _leave(self) -> None:
        self.store.open.pop(self._instance, None)
        self.store.bells = tuple(bell for bell in self.store.bells if bell is not self._bell)

    def _check_open(self) -> None:
        if self._closed:
            raise LogClosedError(self.where)

    def _now(self) -> int:
        return 0 if self._clock is None else self._clock()

    def _alive(self, stream: Stream) -> bool:
        """Whether the stream's owner is: an open log here, and within the lease if of another one."""
        instance = stream.owner.partition("/")[0]
        if not instance or instance not in self.store.open:
            return False
        return instance == self._instance or self._clock is None or self._clock() < stream.lease
