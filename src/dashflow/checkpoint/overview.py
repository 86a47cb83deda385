"""How far graph threads are, from the log alone: a projection with a row per thread.

Reads types and counts, never a value, so that threads of programs whose classes are unknown here, or whose
payloads are sealed, have their row too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import msgspec

from dashflow.checkpoint.events import from_record
from dashflow.checkpoint.thread import CATEGORY
from dashflow.constants import START
from dashflow.core.events import (
    CancelRequested,
    CheckpointsForgotten,
    Event,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunPaused,
    RunStarted,
    StateEdited,
    StepCompleted,
    TaskCompleted,
    TaskFailed,
    TaskInterrupted,
)
from dashflow.errors import CorruptEventError, ValueCodecError
from dashflow.log.base import Record
from dashflow.log.codec import Registry
from dashflow.log.projections import Projection, View


class ThreadProgress(msgspec.Struct, frozen=True):
    """Where a graph thread stands. Times are nanoseconds since the Unix epoch.

    Attributes:
        thread: Its id.
        status: ``idle``, ``running``, ``waiting`` (for an answer), ``paused`` (at a breakpoint), ``failed``,
            ``cancelling`` (its work has not stopped yet), ``cancelled`` or ``completed``.
        run: Id of the last run that began with an input; the counts are this run's.
        steps: Supersteps that are completed.
        tasks_done: Tasks that are, those of the step under way included.
        tasks_failed: Tasks of the step under way that raised, and that no handler took over.
        tasks_waiting: Tasks of it that ask somebody.
        error: Why the run failed; "" while it has not.
        created_at: When the thread began.
        started_at: When the run did.
        updated_at: The last event's time.
        partial: Of ``tasks_done``, those of the step under way.
    """

    thread: str
    status: str = "idle"
    run: str = ""
    steps: int = 0
    tasks_done: int = 0
    tasks_failed: int = 0
    tasks_waiting: int = 0
    error: str = ""
    created_at: int = 0
    started_at: int = 0
    updated_at: int = 0
    partial: int = 0


_replace = msgspec.structs.replace


class ThreadOverview(Projection):
    """Rows are ``ThreadProgress``, by thread. Graphs inside others are part of the outermost one's run."""

    name: ClassVar[str] = "threads"
    category: ClassVar[str | None] = CATEGORY
    _decoder = msgspec.msgpack.Decoder(ThreadProgress)
    _registry = Registry()

    def changes(self, record: Record, view: View) -> Mapping[str, Any]:
        """See ``Projection.changes``."""
        thread = record.stream.removeprefix(f"{CATEGORY}-")
        row: ThreadProgress | None = view.get(thread)
        if row is None:
            row = ThreadProgress(thread, created_at=record.at)
        event = self._event(record)
        if isinstance(event, CheckpointsForgotten) and event.all:
            return {thread: None}
        change = _CHANGES.get(record.type)
        if change is not None:
            row = change(row, event, record)
        return {thread: _replace(row, updated_at=record.at)}

    def dump(self, value: Any) -> bytes:
        """See ``Projection.dump``."""
        return msgspec.msgpack.encode(value)

    def load(self, data: bytes) -> ThreadProgress:
        """See ``Projection.load``."""
        return self._decoder.decode(data)

    def _event(self, record: Record) -> Event | None:
        """What the record says; None for what cannot be read here, such as sealed payloads."""
        try:
            return from_record(record, self._registry, unknown="opaque")
        except (CorruptEventError, ValueCodecError):
            return None


# One function per kind of event: (row, event or None where it cannot be read, record) -> row.


def _started(row: ThreadProgress, event: RunStarted | None, record: Record) -> ThreadProgress:
    if event is None or event.kind not in ("resume", "continue"):
        run = record.correlation_id
        row = ThreadProgress(row.thread, run=run, created_at=row.created_at, started_at=record.at)
    return _replace(row, status="running", tasks_failed=0, tasks_waiting=0, error="")


def _stepped(row: ThreadProgress, event: StepCompleted | None, record: Record) -> ThreadProgress:
    done = max(row.partial, 1)
    if event is not None:
        # What takes the input in is no step of the user's graph.
        done = sum((ran if isinstance(ran, str) else ran[0]) != START for ran in event.ran)
    return _replace(
        row,
        steps=row.steps + (done > 0),
        tasks_done=row.tasks_done - row.partial + done,
        tasks_failed=0,
        tasks_waiting=0,
        partial=0,
    )


def _task_done(row: ThreadProgress, event: TaskCompleted | None, record: Record) -> ThreadProgress:
    return _replace(row, tasks_done=row.tasks_done + 1, partial=row.partial + 1)


def _task_asks(row: ThreadProgress, event: TaskInterrupted | None, record: Record) -> ThreadProgress:
    return _replace(row, tasks_waiting=row.tasks_waiting + 1)


def _task_failed(row: ThreadProgress, event: TaskFailed | None, record: Record) -> ThreadProgress:
    handled = event is not None and event.handler
    return row if handled else _replace(row, tasks_failed=row.tasks_failed + 1)


def _paused(row: ThreadProgress, event: RunPaused | None, record: Record) -> ThreadProgress:
    asks = event is None or event.reason == "interrupt"
    if event is not None and event.exceeded:
        told = event.exceeded
        error = f"budget of {told['limit']}: {told['used']:g} of {told['allowed']:g} used"
        return _replace(row, status="paused", error=error)
    return _replace(row, status="waiting" if asks else "paused")


def _finished(row: ThreadProgress, event: RunFinished | None, record: Record) -> ThreadProgress:
    return _replace(row, status="completed")


def _failed(row: ThreadProgress, event: RunFailed | None, record: Record) -> ThreadProgress:
    error = "unknown" if event is None else f"{event.kind}: {event.error}"
    return _replace(row, status="failed", error=error)


def _cancelling(row: ThreadProgress, event: CancelRequested | None, record: Record) -> ThreadProgress:
    return _replace(row, status="cancelling") if row.status == "running" else row


def _cancelled(row: ThreadProgress, event: RunCancelled | None, record: Record) -> ThreadProgress:
    return _replace(row, status="cancelled", tasks_waiting=0)


def _edited(row: ThreadProgress, event: StateEdited | None, record: Record) -> ThreadProgress:
    return _replace(row, tasks_failed=0, tasks_waiting=0, partial=0)


_CHANGES: dict[str, Callable[[ThreadProgress, Any, Record], ThreadProgress]] = {
    RunStarted.type: _started,
    StepCompleted.type: _stepped,
    TaskCompleted.type: _task_done,
    TaskInterrupted.type: _task_asks,
    TaskFailed.type: _task_failed,
    RunPaused.type: _paused,
    RunFinished.type: _finished,
    RunFailed.type: _failed,
    CancelRequested.type: _cancelling,
    RunCancelled.type: _cancelled,
    StateEdited.type: _edited,
}
