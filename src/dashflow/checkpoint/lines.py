"""Streams of branches, as they are read: first what the branch began with, then what happened in it.

A branch is a stream that begins where another one was, and copies nothing: its first event names the other
thread and a version of it. Here that becomes one stream again, whose versions go on counting. Knows the
log's port and two names of events; nothing of states.

A graph inside a node has a stream of its own per namespace. In a branch it begins where the other thread's
was when the branch's checkpoint was left, without any event that says so.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import msgspec

from dashflow.checkpoint.events import from_record
from dashflow.core.events import BranchStarted, RunStarted, StepCompleted
from dashflow.log.base import ANY, EVERYTHING, Append, Appended, EventLog, Record, Snapshot, Ticket
from dashflow.log.codec import Registry

MARK = "~"
"""Between a thread's id and the name of a branch in the branch's id: other ids may have it too, at the cost
of one look."""

CATEGORY = "run"
SUB_CATEGORY = "sub"
_KEPT = 4096
_GOING_ON = frozenset({RunStarted.type, StepCompleted.type})
"""After one of these a run is in the middle of its work."""

_replace = msgspec.structs.replace
T = TypeVar("T")


def stream_of(thread: str, ns: str = "") -> str:
    """The stream that holds a thread's events; ``ns`` names a graph inside of its graph."""
    if not ns:
        return f"{CATEGORY}-{thread}"
    return f"{inside_of(thread)}{ns}"


def inside_of(thread: str) -> str:
    """What the names of all streams of graphs inside a thread's graph begin with."""
    return f"{SUB_CATEGORY}-{thread.replace('%', '%25').replace('|', '%7C')}|"


def thread_of(stream: str) -> tuple[str, str]:
    """The thread and namespace whose events a stream holds."""
    category, _, name = stream.partition("-")
    if category == CATEGORY:
        return name, ""
    thread, _, ns = name.partition("|")
    return thread.replace("%7C", "|").replace("%25", "%"), ns


class Origin(NamedTuple):
    """Where a branch's stream begins.

    Attributes:
        stream: Which other stream.
        version: Its version.
    """

    stream: str
    version: int


class Beginning(NamedTuple):
    """A branch's first event and its place in the log."""

    event: BranchStarted
    position: int
    at: int


class Lines:
    """A log in which the stream of a branch has all of its past, and its versions go on counting.

    What threads need of an ``EventLog``; streams of no branch are handed through.

    Args:
        inner: The log.
    """

    def __init__(self, inner: EventLog) -> None:
        self.inner = inner
        self._beginnings: dict[str, Beginning | None] = {}
        self._origins: dict[str, Origin | None] = {}
        self._lock = threading.Lock()

    # -- where branches begin ---------------------------------------------------------------------

    def beginning(self, thread: str) -> Beginning | None:
        """How a thread began as a branch; None for one that is none."""
        if MARK not in thread:
            return None
        if thread in self._beginnings:
            return self._beginnings[thread]
        first = self.inner.read(stream_of(thread), limit=1)
        if not first:
            return None
        found = None
        if first[0].type == BranchStarted.type:
            event = from_record(first[0], Registry())
            assert isinstance(event, BranchStarted)
            found = Beginning(event, first[0].position, first[0].at)
        self._keep(self._beginnings, thread, found)
        return found

    def origin(self, stream: str) -> Origin | None:
        """Where a stream begins; None: with itself."""
        if MARK not in stream:
            return None
        if stream in self._origins:
            return self._origins[stream]
        thread, ns = thread_of(stream)
        began = self.beginning(thread)
        if began is None:
            return None
        event = began.event
        source = stream_of(event.thread, ns)
        version = event.version if not ns else self._until(source, self._left_at(began))
        found = Origin(source, version) if version else None
        self._keep(self._origins, stream, found)
        return found

    def _keep(self, known: dict[str, T], name: str, found: T) -> None:
        with self._lock:
            if len(known) >= _KEPT:
                known.clear()
            known[name] = found

    def _left_at(self, began: Beginning) -> int:
        """The log's position from which on events are none of the branch's."""
        event = began.event
        source = stream_of(event.thread)
        last = self.read(source, after=event.version - 1, limit=2)
        if last and last[0].type in _GOING_ON:
            return last[0].position
        return min(began.position, last[1].position if len(last) > 1 else began.position)

    def _until(self, stream: str, position: int) -> int:
        """How many events a stream has before a position of the log."""
        low, high = 0, self.version(stream)
        while low < high:
            middle = (low + high + 1) // 2
            if self.read(stream, after=middle - 1, limit=1)[0].position < position:
                low = middle
            else:
                high = middle - 1
        return low

    # -- as a log ---------------------------------------------------------------------------------

    @property
    def instance(self) -> str:
        """See ``EventLog.instance``."""
        return self.inner.instance

    @property
    def where(self) -> str:
        """See ``EventLog.where``."""
        return self.inner.where

    def version(self, stream: str) -> int:
        """See ``EventLog.version``."""
        return self.counted(stream, self.inner.version(stream))

    def counted(self, stream: str, version: int) -> int:
        """What a version of the log below is here, where a branch's versions go on counting."""
        origin = self.origin(stream)
        return version if origin is None else version + origin.version

    def read(
        self, stream: str, *, after: int = 0, upto: int | None = None, limit: int | None = None
    ) -> list[Record]:
        """See ``EventLog.read``; a record says which stream it is kept in."""
        origin = self.origin(stream)
        if origin is None:
            return self.inner.read(stream, after=after, upto=upto, limit=limit)
        first = origin.version
        found: list[Record] = []
        if after < first:
            end = first if upto is None else min(first, upto)
            found = self.read(origin.stream, after=after, upto=end, limit=limit)
            limit = None if limit is None else limit - len(found)
        if limit == 0 or (upto is not None and upto <= first):
            return found
        own = self.inner.read(
            stream, after=max(0, after - first), upto=None if upto is None else upto - first, limit=limit
        )
        return [*found, *(_replace(record, version=record.version + first) for record in own)]

    def append(self, append: Append) -> Appended:
        """See ``EventLog.append``."""
        origin = self.origin(append.stream)
        if origin is None:
            return self.inner.append(append)
        return _counted(self.inner.append(_own(append, origin)), origin)

    def submit(self, append: Append) -> Ticket:
        """See ``EventLog.submit``."""
        origin = self.origin(append.stream)
        if origin is None:
            return self.inner.submit(append)
        return _Counting(self.inner.submit(_own(append, origin)), origin)

    def blob(self, key: bytes) -> bytes:
        """See ``EventLog.blob``."""
        return self.inner.blob(key)

    def keep_snapshot(self, stream: str, snapshot: Snapshot, *, alone: bool = False) -> None:
        """See ``EventLog.keep_snapshot``; of a branch, only those of its own versions are kept."""
        origin = self.origin(stream)
        if origin is not None:
            if snapshot.version <= origin.version:
                return
            snapshot = _replace(snapshot, version=snapshot.version - origin.version)
        self.inner.keep_snapshot(stream, snapshot, alone=alone)

    def snapshot(self, stream: str, *, upto: int | None = None) -> Snapshot | None:
        """See ``EventLog.snapshot``; of a branch, one of its own versions."""
        origin = self.origin(stream)
        if origin is None:
            return self.inner.snapshot(stream, upto=upto)
        own = None if upto is None else upto - origin.version
        if own is None or own > 0:
            found = self.inner.snapshot(stream, upto=own)
            if found is not None:
                return _replace(found, version=found.version + origin.version)
        return None

    def forget(self, thread: str) -> None:
        """Look again where a thread began."""
        with self._lock:
            self._beginnings.pop(thread, None)
            for stream in [one for one in self._origins if thread_of(one)[0] == thread]:
                del self._origins[stream]


def _own(append: Append, origin: Origin) -> Append:
    """The append as the log below takes it, which counts the branch's own events only. What it began with is
    the other thread's and is not forgotten here."""
    if append.expected != ANY:
        append = _replace(append, expected=append.expected - origin.version)
    if 0 < append.forget < EVERYTHING:
        append = _replace(append, forget=max(0, append.forget - origin.version))
    return append


def _counted(appended: Appended, origin: Origin) -> Appended:
    return _replace(appended, version=appended.version + origin.version)


class _Counting:
    """The ticket of an append to a branch."""

    def __init__(self, inner: Ticket, origin: Origin) -> None:
        self._inner = inner
        self._origin = origin

    @property
    def done(self) -> bool:
        """See ``Ticket.done``."""
        return self._inner.done

    def wait(self) -> Appended:
        """See ``Ticket.wait``."""
        return _counted(self._inner.wait(), self._origin)

    def on_done(self, callback: Callable[[], None]) -> None:
        """See ``Ticket.on_done``."""
        self._inner.on_done(callback)
