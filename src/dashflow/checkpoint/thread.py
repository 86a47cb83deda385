"""Reading threads out of the log: the latest state, the state at a version, the whole history.

Keeps the latest state of recently used threads, so that the next run or look costs one version check.
Reads only; the engine's journal does the writing.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from dashflow.checkpoint.events import Unknown, from_record
from dashflow.checkpoint.imported import Imports
from dashflow.core.events import IMPORTS, OPENERS, CheckpointsForgotten, Event, RunStarted, StateEdited
from dashflow.core.fold import EMPTY, ThreadState, fold
from dashflow.errors import CorruptEventError
from dashflow.log.base import EventLog, Record
from dashflow.log.codec import Registry, decode, encode

_SCALARS = (str, int, float, bool, bytes, type(None))
CATEGORY = "run"
SUB_CATEGORY = "sub"
KEPT_THREADS = 256
"""How many threads' latest states are kept in memory."""


def stream_of(thread: str, ns: str = "") -> str:
    """The stream that holds a thread's events; ``ns`` names a graph inside of its graph."""
    if not ns:
        return f"{CATEGORY}-{thread}"
    return f"{SUB_CATEGORY}-{thread.replace('%', '%25').replace('|', '%7C')}|{ns}"


def thread_of(stream: str) -> tuple[str, str]:
    """The thread and namespace whose events a stream holds."""
    category, _, name = stream.partition("-")
    if category == CATEGORY:
        return name, ""
    thread, _, ns = name.partition("|")
    return thread.replace("%7C", "|").replace("%25", "%"), ns


class ThreadReader:
    """The threads of one log.

    Args:
        log: Where they are.
        registry: Classes that values may be revived as.
        unknown: ``raise`` or ``opaque``: what becomes of values of unregistered classes.
        loads: Reads what was imported: (tag, bytes). None: data only.

    Attributes:
        unknown: See above.
        imports: What was put into the threads by hand.
        left: By stream, the owner of a run that ended and could not give the stream back, since the log
            could not be written. Whoever comes next does it.
        holders: By stream, what runs it here: see ``Host.here``.
        inboxes: By thread, a version of its inbox and what waited then.
        lines: By thread, those of this process who wait for it.
        present: Whether this process has said that it is there, for who waits.
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
        self.imports = Imports(log, loads)
        self.left: dict[str, str] = {}
        self.holders: dict[str, Any] = {}
        self.inboxes: dict[str, tuple[int, tuple[Any, ...]]] = {}
        self.lines: dict[str, Any] = {}
        self.present = False
        self.unknown = unknown
        self._heads: OrderedDict[str, ThreadState] = OrderedDict()
        self._lock = threading.Lock()

    def lenient(self) -> ThreadReader:
        """A reader of the same log for who looks at threads of any program, and not at their values: those of
        classes that are not known here are shown as such."""
        return ThreadReader(self.log, self.registry, unknown="opaque", loads=self.imports.loads)

    def head(self, thread: str, ns: str = "") -> ThreadState:
        """The thread after its last event; ``EMPTY`` for an unknown one."""
        stream = stream_of(thread, ns)
        version = self.log.version(stream)
        with self._lock:
            known = self._heads.get(stream)
        if known is not None and known.version == version:
            return known
        if version == 0:
            return EMPTY
        if known is not None and known.version < version:
            tail = self.log.read(stream, after=known.version, upto=version)
            events = [(r, self.event(r)) for r in tail]
            if all(_base(e, r.version) in (None, r.version - 1) for r, e in events):
                state = known
                for record, event in events:
                    state = self._fold(state, event, record)
                self.remember(thread, state, ns)
                return state
        state = self.at(thread, version, ns)
        self.remember(thread, state, ns)
        return state

    def own(self, state: ThreadState) -> ThreadState:
        """The same state with values of its own, so that whoever changes them in place harms nobody."""
        own = self._copy
        return msgspec.structs.replace(
            state,
            values={name: own(value) for name, value in state.values.items()},
            done={key: own(writes) for key, writes in state.done.items()},
            questions={
                key: [msgspec.structs.replace(q, value=own(q.value), schema=own(q.schema)) for q in asked]
                for key, asked in state.questions.items()
            },
            answers={key: own(value) for key, value in state.answers.items()},
            answer=own(state.answer),
        )

    def _copy(self, value: Any) -> Any:
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
        """The thread as it was at ``version`` of its stream, on the branch that version is on."""
        records = self.log.read(stream_of(thread, ns), upto=version)
        state = EMPTY
        for record, event in self._lineage(records):
            state = self._fold(state, event, record)
        return state

    def history(self, thread: str, ns: str = "") -> list[ThreadState]:
        """The state at each version of the stream, on whatever branch; index 0 is before the first."""
        states = [EMPTY]
        for record in self.log.read(stream_of(thread, ns)):
            event = self.event(record)
            base = _base(event, record.version)
            before = states[record.version - 1 if base is None else base]
            states.append(self._fold(before, event, record))
        return states

    def threads(self) -> list[str]:
        """Ids of all threads, most recently used first."""
        return [info.stream[len(CATEGORY) + 1 :] for info in self.log.streams(category=CATEGORY)]

    def namespaces(self, thread: str) -> list[str]:
        """Namespaces in which the thread has events; "" is always one."""
        found = (thread_of(info.stream) for info in self.log.streams(category=SUB_CATEGORY))
        return ["", *(ns for owner, ns in found if owner == thread)]

    def event(self, record: Record) -> Event:
        """The event in a record of a thread.

        Raises:
            CorruptEventError: It cannot be read.
            ValueCodecError: A value's class is not registered.
        """
        if record.type in IMPORTS:
            return self.imports.event(record)
        return from_record(record, self.registry, unknown=self.unknown)

    def _fold(self, state: ThreadState, event: Event, record: Record) -> ThreadState:
        try:
            return fold(state, event, record.version, record.at)
        except ValueError as error:
            raise CorruptEventError(record.stream, record.version, str(error)) from error

    def _lineage(self, records: Sequence[Record]) -> Iterator[tuple[Record, Event]]:
        """The records that lead to the last one, oldest first: a branch leaves out what it did not follow."""
        path: list[Record] = []
        wanted = len(records)
        for record in reversed(records):
            if record.version > wanted:
                continue
            path.append(record)
            wanted = record.version - 1
            if record.type in OPENERS:
                base = _base(self.event(record), record.version)
                wanted = record.version - 1 if base is None else base
        for record in reversed(path):
            yield record, self.event(record)


def _base(event: Event, version: int) -> int | None:
    """The version an opener goes on from; None for events that follow the one before them."""
    if isinstance(event, RunStarted | StateEdited):
        return event.base
    return event.base if isinstance(event, CheckpointsForgotten) and event.base >= 0 else None
