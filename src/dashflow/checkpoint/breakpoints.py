"""Breakpoints on live threads, kept in the log beside the threads, so that they can be set and cleared from
any process while runs go on.

The stream ``breakpoints-THREAD`` has one event each time they change, with all that hold from then on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from random import getrandbits
from typing import Any, ClassVar, Final, TypeVar

import msgspec

from dashflow._util.ids import uuid7
from dashflow._util.reserved import NS_SEP
from dashflow.core.condition import condition
from dashflow.errors import CorruptEventError, UsageError, VersionConflictError
from dashflow.log.base import Append, EventLog, NewEvent, Record
from dashflow.log.codec import Registry, decode, encode
from dashflow.types.breakpoints import Breakpoint

CATEGORY: Final = "breakpoints"
SCHEMA: Final = 1
INTERVAL_NS: Final = 10_000_000
"""A run looks for breakpoints at its first step and at steps that begin so long after the last look,
nanoseconds; those set in its own process it sees at once."""

MANY: Final = 100
"""Threads at work in one process from which on the interval grows, as their number does."""

T = TypeVar("T")
Test = Callable[[Any], bool]
_PLAIN = Registry()


class BreakpointsSet(msgspec.Struct, frozen=True):
    """A thread's breakpoints changed.

    Attributes:
        points: All that hold from now on.
    """

    type: ClassVar[str] = "BreakpointsSet"
    points: list[Breakpoint]


class Stops:
    """The breakpoints of one thread, as its runs in this process know them.

    Args:
        log: Where they are kept.
        thread: Whose they are.
        others: Gives those of all threads of the log that anybody is at work on in this process.

    Attributes:
        log: See above.
        thread: See above.
        stream: The one that keeps them.
        points: Those that hold.
        until: Time, nanoseconds since the Unix epoch, up to which nobody needs to look for others.
    """

    __slots__ = ("__weakref__", "_others", "_tests", "log", "points", "stream", "thread", "until", "version")

    def __init__(self, log: EventLog, thread: str, others: Callable[[], list[Stops]] = list) -> None:
        self.log = log
        self.thread = thread
        self.stream = stream_of(thread)
        self._others = others
        self.points: tuple[Breakpoint, ...] = ()
        self.until = 0
        self.version = 0
        self._tests: dict[tuple[str, str], dict[str, Test | None]] = {}

    def looked(self, at: int) -> None:
        """Nobody needs to look again for a while after ``at``."""
        self.until = max(self.until, at + INTERVAL_NS)

    def due(self, at: int) -> list[Stops]:
        """These, and those of other threads that somebody would have to look for at ``at`` or soon after:
        whoever looks does so for all, so that many runs at once ask the log one question and not one each."""
        live = self._others()
        pause = max(INTERVAL_NS, len(live) * INTERVAL_NS // MANY)
        soon, until = at + pause // 2, at + pause
        found = [self, *[other for other in live if other.until < soon and other is not self]]
        for one in found:
            one.until = until
        return found

    def refresh(self, version: int | None = None) -> None:
        """Read what the log says; ``version`` is the stream's, where that is known already.

        Raises:
            CorruptEventError: The last event of the stream cannot be read.
        """
        version = self.log.version(self.stream) if version is None else version
        if version > self.version:
            version, points = read(self.log, self.thread, version)
            self.take(version, points)

    def take(self, version: int, points: Sequence[Breakpoint]) -> None:
        """Breakpoints as they were read; what is older than what is known is left alone."""
        if version >= self.version:
            self._tests = {}
            self.version, self.points = version, tuple(points)

    def of(self, path: str, at: str) -> dict[str, Test | None]:
        """For the graph at a path of nodes: its nodes with breakpoints, and on which condition."""
        known = self._tests.get((path, at))
        if known is None:
            head = path + NS_SEP if path else ""
            known = self._tests[path, at] = {}
            for point in self.points:
                node = point.node.removeprefix(head)
                if point.at == at and point.node.startswith(head) and NS_SEP not in node:
                    known[node] = condition(point.when) if point.when else None
        return known


def stream_of(thread: str) -> str:
    """The stream that keeps a thread's breakpoints."""
    return f"{CATEGORY}-{thread}"


def read(log: EventLog, thread: str, version: int | None = None) -> tuple[int, list[Breakpoint]]:
    """The stream's version, and the breakpoints that hold.

    Raises:
        CorruptEventError: The last event of the stream cannot be read.
    """
    stream = stream_of(thread)
    version = log.version(stream) if version is None else version
    last = log.read(stream, after=version - 1, upto=version) if version else []
    return version, (_points(last[0]) if last else [])


def _points(record: Record) -> list[Breakpoint]:
    if record.type != BreakpointsSet.type or record.schema > SCHEMA:
        problem = f"its type {record.type!r} (schema {record.schema}) is unknown to this program"
        raise CorruptEventError(record.stream, record.version, problem)
    try:
        points = msgspec.convert(decode(record.data, _PLAIN), BreakpointsSet).points
        for point in points:
            if point.when:
                condition(point.when)
    except (msgspec.ValidationError, UsageError, ValueError) as error:
        raise CorruptEventError(record.stream, record.version, str(error)) from error
    return points


def change(
    log: EventLog, thread: str, decide: Callable[[list[Breakpoint]], tuple[Iterable[Breakpoint], T]]
) -> tuple[int, list[Breakpoint], T]:
    """Change a thread's breakpoints, whoever else does at the same time.

    Args:
        log: Where the thread is.
        thread: Its id.
        decide: From those that hold to those that are to, and to what is returned; called again when
            somebody else was faster.

    Returns:
        The stream's version, the breakpoints that hold, and what ``decide`` returned with them.

    Raises:
        StorageUnavailableError: The log cannot be written.
    """
    while True:
        version, known = read(log, thread)
        wanted, result = decide(known)
        points = list(wanted)
        if points == known:
            return version, points, result
        try:
            appended = log.append(Append(stream_of(thread), (new_set(points),), version))
        except VersionConflictError:
            continue
        return appended.version, points, result


def new_set(points: list[Breakpoint]) -> NewEvent:
    """The event that these hold from now on."""
    now = time.time_ns()
    data = encode(msgspec.to_builtins(BreakpointsSet(points)))
    return NewEvent(BreakpointsSet.type, data, uuid7(now, getrandbits(62)), now, SCHEMA)


def added(known: Iterable[Breakpoint], point: Breakpoint) -> list[Breakpoint]:
    """These breakpoints and one more, in the place of one for the same node and side.

    Raises:
        UsageError: Its condition is none, or it names no node.
    """
    if not point.node or not all(point.node.split(NS_SEP)):
        raise UsageError(
            f"{point.node!r} names no node. Give a node's name, '*' for all, or 'outer{NS_SEP}inner' "
            "for one in a graph inside.",
            node=point.node,
        )
    if point.at not in ("before", "after"):
        raise UsageError(f"A breakpoint is 'before' or 'after' a node, not {point.at!r}.", at=point.at)
    if point.when:
        condition(point.when)
    return [*(p for p in known if (p.node, p.at) != (point.node, point.at)), point]


def parted(
    known: Iterable[Breakpoint], node: str | None, at: str | None
) -> tuple[list[Breakpoint], list[Breakpoint]]:
    """The breakpoints to keep, and those to clear: of a node (None: all), on a side of it (None: both)."""
    gone = [p for p in known if node in (None, p.node) and at in (None, p.at)]
    return [p for p in known if p not in gone], gone
