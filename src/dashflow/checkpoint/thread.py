"""Reading threads out of the log: the latest state, the state at a version, the whole history.

Keeps the latest state of recently used threads, so that the next run or look costs one version check.
Reads only; the engine's journal does the writing.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, WeakValueDictionary

import msgspec

from dashflow.checkpoint.ahead import Ahead
from dashflow.checkpoint.events import Unknown, from_record
from dashflow.checkpoint.imported import Imports
from dashflow.checkpoint.kept import Classes, kept_event, with_kept
from dashflow.checkpoint.lines import CATEGORY, MARK, SUB_CATEGORY, Lines, inside_of, stream_of, thread_of
from dashflow.checkpoint.snapshots import (
    EVENT_BYTES,
    FACTOR,
    LEAST_BYTES,
    from_snapshot,
    state_of,
    to_snapshot,
)
from dashflow.core.events import (
    IMPORTS,
    OPENERS,
    CheckpointsForgotten,
    Event,
    HistoryForgotten,
    RunStarted,
    StateEdited,
    StepCompleted,
)
from dashflow.core.fold import EMPTY, ThreadState, fold
from dashflow.core.fold_steps import fold_steps
from dashflow.core.kept import Kept, Owned, Values
from dashflow.errors import (
    CorruptBlobError,
    CorruptEventError,
    LogError,
    MissingBlobError,
    StorageUnavailableError,
    ValueCodecError,
)
from dashflow.log.base import EventLog, Record
from dashflow.log.codec import Registry, decode, encode

__all__ = (
    "CATEGORY",
    "KEPT_THREADS",
    "SUB_CATEGORY",
    "ThreadReader",
    "base_of",
    "is_plain",
    "stream_of",
    "thread_of",
)

if TYPE_CHECKING:
    from dashflow.checkpoint.breakpoints import Stops

_SCALARS = (str, int, float, bool, bytes, type(None))
_Read = tuple[Record, Event | None]
"""A record, and its event where that was read already."""

AT_ONCE = 32
"""How many completed steps are folded at once: while a thread is opened, so many values are in memory."""

KEPT_THREADS = 256
"""How many threads' latest states are kept in memory."""

_LEFT: WeakKeyDictionary[EventLog, dict[str, str]] = WeakKeyDictionary()
"""By log, see ``ThreadReader.left``: a saver may be gone before what it left is taken care of."""


class ThreadReader:
    """The threads of one log.

    Args:
        log: Where they are.
        registry: Classes that values may be revived as.
        unknown: ``raise`` or ``opaque``: what becomes of values of unregistered classes.
        loads: Reads what was imported: (tag, bytes). None: data only.

    Attributes:
        unknown: See above.
        lines: The log, with all of its past in the stream of a branch.
        imports: What was put into the threads by hand.
        left: By stream, the owner of a run that ended and could not give the stream back, since the log
            could not be written. Whoever comes next does it. All readers of the log have this one.
        holders: By stream, what runs it here: see ``Host.here``.
        inboxes: By thread, a version of its inbox and what waited then.
        queues: By thread, the line of those of this process who wait for it.
        present: Whether this process has said that it is there, for who waits.
        ahead: How far runs may be ahead of the log.
    """

    def __init__(
        self,
        log: EventLog,
        registry: Registry,
        *,
        unknown: Unknown = "raise",
        loads: Callable[[tuple[str, bytes]], Any] | None = None,
    ) -> None:
        self.log = log
        self.registry = registry
        self.lines = Lines(log)
        self.imports = Imports(self.lines, loads)
        self.left = _left_in(log)
        self.holders: dict[str, Any] = {}
        self.inboxes: dict[str, tuple[int, tuple[Any, ...]]] = {}
        self.queues: dict[str, Any] = {}
        self.present = False
        self.unknown = unknown
        self.ahead = Ahead()
        self.classes = Classes(registry, unknown)
        self._heads: OrderedDict[str, ThreadState] = OrderedDict()
        self._costs: dict[str, tuple[int, int]] = {}
        self._stops: WeakValueDictionary[str, Stops] = WeakValueDictionary()
        self._lock = threading.Lock()

    def lenient(self) -> ThreadReader:
        """A reader of the same log for who looks at threads of any program, and not at their values: those of
        classes that are not known here are shown as such."""
        return ThreadReader(self.log, self.registry, unknown="opaque", loads=self.imports.loads)

    def stops(self, thread: str) -> Stops:
        """The thread's breakpoints, one object for all who are at work on it in this process."""
        with self._lock:
            found = self._stops.get(thread)
            if found is None:
                from dashflow.checkpoint.breakpoints import Stops  # only where there are threads

                found = self._stops[thread] = Stops(self.log, thread, self._all_stops)
            return found

    def _all_stops(self) -> list[Stops]:
        with self._lock:
            return [stops for one in self._stops.valuerefs() if (stops := one()) is not None]

    def has_opened(self, stream: str) -> bool:
        """Whether a state of a stream is kept here, an earlier one perhaps."""
        return stream in self._heads

    def known(self, stream: str, version: int) -> ThreadState | None:
        """The state of a stream at its last version, if nothing has to be read for it."""
        if version == 0:
            return EMPTY
        known = self._heads.get(stream)
        return known if known is not None and known.version == version else None

    def head(self, thread: str, ns: str = "", version: int | None = None) -> ThreadState:
        """The thread after its last event; ``EMPTY`` for an unknown one. ``version``: of that event, where it
        is known already."""
        stream = stream_of(thread, ns)
        log = self.lines if MARK in stream else self.log
        version = log.version(stream) if version is None else version
        with self._lock:
            known = self._heads.get(stream)
        if known is not None and known.version == version:
            return known
        if version == 0:
            return EMPTY
        if known is not None and known.version < version:
            tail = log.read(stream, after=known.version, upto=version)
            events = [(r, self.kept_event(r, stream)) for r in tail]
            if all(base_of(e, r.version) in (None, r.version - 1) for r, e in events):
                state = self._after(known, events, stream)
                self._spent(stream, tail, state)
                self.remember(thread, state, ns)
                return state
        state, read = self._opened(stream, version)
        self._spent(stream, read, state)
        self.remember(thread, state, ns)
        return state

    def is_costly(self, stream: str, events: int, size: int) -> bool:
        """Whether to fold so many events of so many bytes, which a run wrote, costs much more than to read
        what they come to."""
        cost, known = self._costs.get(stream, (0, 0))
        return cost + size + events * EVENT_BYTES >= max(LEAST_BYTES, FACTOR * known)

    def open_again(self, stream: str) -> None:
        """Fold what a run wrote that is over, so that nobody who opens the thread has to wait for that.

        Nothing needs it: whatever is in the way is left to who looks next.
        """
        from dashflow._util.collector import resting

        with suppress(LogError, ValueCodecError), resting():
            self.head(*thread_of(stream))

    def _spent(self, stream: str, read: Sequence[Record], state: ThreadState) -> None:
        """Take a snapshot when opening the stream the next time would cost much more than reading one."""
        if self.unknown == "opaque":  # who only looks in writes nothing
            return
        cost, size = self._costs.pop(stream, (0, 0))
        cost += sum(len(record.data) + EVENT_BYTES for record in read)
        if cost >= max(LEAST_BYTES, FACTOR * size):
            # Nothing needs a snapshot: that it cannot be had is no reason to show no thread.
            with suppress(StorageUnavailableError, ValueCodecError):
                snapshot = to_snapshot(state, self.classes)
                size = len(snapshot.data)
                if cost >= FACTOR * size:
                    self.lines.keep_snapshot(stream, snapshot, alone=True)
                    cost = 0
        self._costs[stream] = (cost, size)
        if len(self._costs) > KEPT_THREADS:
            del self._costs[next(iter(self._costs))]

    def own(self, state: ThreadState) -> ThreadState:
        """The same state with values of its own, so that whoever changes them in place harms nobody."""
        own = self.copied
        fields: dict[str, Any] = {}
        if state.done:
            fields["done"] = {
                key: [
                    (chan, value if type(value) in _SCALARS else self._own_value(value))
                    for chan, value in writes
                ]
                for key, writes in state.done.items()
            }
        if state.questions:
            fields["questions"] = {
                key: [msgspec.structs.replace(q, value=own(q.value), schema=own(q.schema)) for q in asked]
                for key, asked in state.questions.items()
            }
        if state.answers:
            fields["answers"] = {key: own(value) for key, value in state.answers.items()}
        if state.later:
            fields["later"] = {name: self._own_value(value) for name, value in state.later.items()}
        if state.answer:
            fields["answer"] = own(state.answer)
        values = state.values
        return msgspec.structs.replace(
            state,
            values=Values({name: self._own_part(part) for name, part in dict.items(values)}),
            **fields,
        )

    def _own_part(self, part: Any) -> Any:
        """A value, or as it is kept: of that everybody makes one of his own."""
        return part if type(part) in _SCALARS or isinstance(part, Kept) else self.copied(part)

    def _own_value(self, value: Any) -> Any:
        """A value of its own, of one that may be kept."""
        return value.value() if isinstance(value, Kept) else self.copied(value)

    def copied(self, value: Any) -> Any:
        """A value of a thread once more, so that whoever changes it in place harms nobody."""
        if type(value) in _SCALARS:
            return value
        return decode(encode(value), self.registry, unknown=self.unknown)

    def remember(self, thread: str, state: ThreadState, ns: str = "") -> None:
        """Keep ``state`` as the thread's latest; the caller knows that it is."""
        stream = stream_of(thread, ns)
        with self._lock:
            self._heads[stream] = state
            self._heads.move_to_end(stream)
            while len(self._heads) > KEPT_THREADS:
                self._heads.popitem(last=False)

    def forget(self, thread: str, ns: str = "") -> None:
        """Drop what is kept of a thread."""
        with self._lock:
            self._heads.pop(stream_of(thread, ns), None)

    def at(self, thread: str, version: int, ns: str = "") -> ThreadState:
        """The thread as it was at ``version`` of its stream, on the branch that version is on.

        Raises:
            CorruptEventError: An event cannot be read, or one that it needs is missing.
        """
        return self._opened(stream_of(thread, ns), version)[0]

    def _opened(self, stream: str, version: int) -> tuple[ThreadState, list[Record]]:
        """The state at a version, from the last snapshot on its branch or from the beginning; and what was
        read for it."""
        snapshot = self.lines.snapshot(stream, upto=version)
        if snapshot is not None:
            begun = from_snapshot(snapshot, self.classes)
            records = (
                self.lines.read(stream, after=snapshot.version, upto=version)
                if snapshot.version < version
                else []
            )
            start, path = self._lineage(records, version, stream)
            if begun is not None and start == snapshot.version:
                return self._folded(begun, path, stream), records
        records = self.lines.read(stream, upto=version)
        start, path = self._lineage(records, version, stream)
        begun = EMPTY if start == 0 else self._base(stream, start)
        return self._folded(begun, path, stream), records

    def _folded(self, state: ThreadState, path: Sequence[_Read], stream: str) -> ThreadState:
        """The state after more records."""
        read = ((record, event or self.kept_event(record, stream)) for record, event in path)
        return self._after(state, read, stream)

    def _after(self, state: ThreadState, events: Iterable[tuple[Record, Event]], stream: str) -> ThreadState:
        """The state after more events. In between, nobody else has it: they change it in place."""
        values = state.values if isinstance(state.values, Values) else Values(state.values)
        state = msgspec.structs.replace(
            state,
            values=Owned(values.twins()),
            versions=dict(state.versions),
            seen={name: dict(known) for name, known in state.seen.items()},
        )
        steps: list[tuple[StepCompleted, int, int]] = []
        for record, event in events:
            if type(event) is StepCompleted and not state.deltas and record.stream == stream:
                if len(steps) == AT_ONCE:
                    state = self._through(state, steps, stream)
                    steps.clear()
                steps.append((event, record.version, record.at))
                continue
            state = self.folded(self._through(state, steps, stream), event, record, stream)
            steps.clear()
        state = self._through(state, steps, stream)
        return msgspec.structs.replace(state, values=Values(state.values))

    def _through(
        self, state: ThreadState, steps: Sequence[tuple[StepCompleted, int, int]], stream: str
    ) -> ThreadState:
        """The state after steps that were completed in a row.

        Raises:
            CorruptEventError: One does not fit the state.
        """
        try:
            return fold_steps(state, steps) if steps else state
        except ValueError as error:
            raise CorruptEventError(stream, steps[0][1], str(error)) from error

    def line(
        self, thread: str, version: int | None = None, ns: str = ""
    ) -> Iterator[tuple[Record, Event, ThreadState]]:
        """What led to ``version`` of the thread's stream (None: the last), oldest first: each event, and the
        state after it."""
        stream = stream_of(thread, ns)
        version = self.lines.version(stream) if version is None else version
        start, path = self._lineage(self.lines.read(stream, upto=version), version, stream)
        state = EMPTY if start == 0 else self._base(stream, start)
        for record, _ in path:
            event = self.event(record, stream)
            state = self.folded(state, event, record, stream)
            yield record, event, state

    def history(self, thread: str, ns: str = "") -> list[ThreadState]:
        """The state at each version of the stream, on whatever branch; index 0 is before the first. Versions
        that were dropped are empty.

        Raises:
            CorruptEventError: An event cannot be read, or one that it needs is missing.
        """
        return self.states(stream_of(thread, ns))[0]

    def states(self, stream: str) -> tuple[list[ThreadState], dict[int, ThreadState]]:
        """``history`` of a stream, and the states that stand for what was dropped from it, by version."""
        records = self.lines.read(stream)
        first = records[0].version if records else 1
        bases = self._bases(stream, records) if first > 1 else {}
        states = [EMPTY] * first
        for record in records:
            event = self.kept_event(record, stream)
            base = base_of(event, record.version)
            base = record.version - 1 if base is None else base
            before = states[base] if base >= first or base == 0 else bases.get(base)
            if before is None:
                raise CorruptEventError(stream, base, "it is missing")
            states.append(self.folded(before, event, record, stream))
        return states, bases

    def branching(self, stream: str, after: int) -> Iterator[int]:
        """The versions that events after a version go on from elsewhere than from the one before them."""
        for record in self.lines.read(stream, after=after):
            if record.type in OPENERS:
                base = base_of(self.kept_event(record, stream), record.version)
                if base is not None:
                    yield base

    def _base(self, stream: str, version: int) -> ThreadState:
        """The state that stands for what was dropped up to a version."""
        found = self._bases(stream).get(version)
        if found is None:
            raise CorruptEventError(stream, version, "it is missing")
        return found

    def _bases(self, stream: str, records: Sequence[Record] | None = None) -> dict[int, ThreadState]:
        """States that stand for the events which were dropped from a stream's beginning, by version."""
        if (origin := self.lines.origin(stream)) is not None:
            # Branches are never shortened; the thread that one began in may have been, and says so later on.
            return self._bases(origin.stream)
        records = self.lines.read(stream) if records is None else records
        last = next((record for record in reversed(records) if record.type == HistoryForgotten.type), None)
        event = None if last is None else self.event(last, stream)
        if not isinstance(event, HistoryForgotten) or last is None:
            return {}
        try:
            return {version: state_of(told) for version, told in event.bases.items()}
        except (TypeError, AttributeError) as error:
            raise CorruptEventError(stream, last.version, str(error)) from error

    def threads(self) -> list[str]:
        """Ids of all threads, most recently used first."""
        return [info.stream[len(CATEGORY) + 1 :] for info in self.log.streams(category=CATEGORY)]

    def namespaces(self, thread: str) -> list[str]:
        """Namespaces in which the thread has events; "" is always one."""
        inside = self.log.streams(category=SUB_CATEGORY, prefix=inside_of(thread))
        own = ["", *(thread_of(info.stream)[1] for info in inside)]
        if (began := self.lines.beginning(thread)) is not None:
            there = self.namespaces(began.event.thread)
            own += [n for n in there if n not in own and self.lines.origin(stream_of(thread, n)) is not None]
        return own

    def event(self, record: Record, stream: str) -> Event:
        """The event in a record of a thread, or of what the branch ``stream`` began with.

        Raises:
            CorruptEventError: It cannot be read.
            CorruptBlobError, MissingBlobError: A large value of it cannot.
            ValueCodecError: A value's class is not registered.
        """
        try:
            if record.type in IMPORTS:
                return self.imports.event(record, stream)
            return from_record(record, self.registry, unknown=self.unknown, load=self.log.blob)
        except (CorruptBlobError, MissingBlobError) as error:
            raise error.of(stream, record.version) from error

    def kept_event(self, record: Record, stream: str) -> Event:
        """``event`` for folding: what it says of channels is left as it is stored, where that can be."""
        if (event := kept_event(record, self.classes)) is not None:
            return event
        return with_kept(self.event(record, stream), self.classes)

    def folded(self, state: ThreadState, event: Event, record: Record, stream: str) -> ThreadState:
        """The state after an event of a stream.

        Raises:
            CorruptEventError: The event does not fit the state.
        """
        try:
            state = fold(state, event, record.version, record.at)
        except ValueError as error:
            raise CorruptEventError(record.stream, record.version, str(error)) from error
        if record.stream != stream and state.checkpoint == record.version:
            return msgspec.structs.replace(state, home=record.stream)  # it has its name from there
        return state

    def _lineage(self, records: Sequence[Record], version: int, stream: str) -> tuple[int, list[_Read]]:
        """The records that lead to a version, oldest first, and the version that they go on from: a branch
        leaves out what it did not follow."""
        path: list[_Read] = []
        for record in reversed(records):
            if record.version > version:
                continue
            version, event = record.version - 1, None
            if record.type in OPENERS:
                event = self.kept_event(record, stream)
                base = base_of(event, record.version)
                version = version if base is None else base
            path.append((record, event))
        path.reverse()
        return version, path


def is_plain(state: ThreadState) -> bool:
    """Whether giving the state's values away costs next to nothing: nobody can change them in place."""
    if state.done or state.questions or state.answers or state.answer:
        return False
    for part in dict.values(state.values):  # as they are kept: who gets them makes values of his own
        if type(part) not in _SCALARS and not isinstance(part, Kept):
            return False
    return True


def base_of(event: Event, version: int) -> int | None:
    """The version an opener goes on from; None for events that follow the one before them."""
    if isinstance(event, RunStarted | StateEdited):
        return event.base
    return event.base if isinstance(event, CheckpointsForgotten) and event.base >= 0 else None


def _left_in(log: EventLog) -> dict[str, str]:
    with suppress(TypeError):  # a log of somebody's own that cannot be kept so: then every reader for itself
        return _LEFT.setdefault(log, {})
    return {}
