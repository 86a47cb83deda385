"""What a person or program sees of a thread: checkpoints computed from folded states when somebody looks.

Needs no graph: values, versions and origins are all in the log. Reads only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from dashflow._util.reserved import ERROR, INPUT, INTERRUPT
from dashflow.checkpoint.base import Checkpoint, CheckpointTuple
from dashflow.checkpoint.thread import ThreadReader, stream_of
from dashflow.core.fold import EMPTY, ThreadState
from dashflow.core.ids import checkpoint_id, checkpoint_version
from dashflow.log.base import EventLog
from dashflow.log.codec import Registry
from dashflow.types.interrupts import Interrupt

FORMAT = 4
"""LangGraph's number for this layout of a checkpoint."""


def timestamp(at: int) -> str:
    """Nanoseconds since the Unix epoch as ISO 8601 in UTC, microseconds kept."""
    return (
        datetime.fromtimestamp(at // 1_000_000_000, UTC)
        .replace(microsecond=at // 1000 % 1_000_000)
        .isoformat()
    )


def config_of(thread: str, version: int, at: int) -> dict[str, Any]:
    """The config that names a checkpoint."""
    identifier = checkpoint_id(stream_of(thread), version, at)
    return {"configurable": {"thread_id": thread, "checkpoint_ns": "", "checkpoint_id": identifier}}


def metadata_of(state: ThreadState) -> dict[str, Any]:
    """How a checkpoint came about, and what its run's caller said of it."""
    return {**state.meta, "source": state.source, "step": state.step, "parents": {}}


def parent_of(thread: str, state: ThreadState) -> dict[str, Any] | None:
    """The config of the checkpoint before; None for a thread's first."""
    return config_of(thread, state.parent, state.parent_at) if state.parent else None


def as_tuple(thread: str, state: ThreadState) -> CheckpointTuple:
    """A folded state as LangGraph's ``CheckpointTuple``; pending writes are named by task key."""
    config = config_of(thread, state.checkpoint, state.at)
    pending: list[tuple[str, str, Any]] = []
    for key, writes in state.done.items():
        pending.extend((key, chan, value) for chan, value in writes)
    for key, questions in state.questions.items():
        asked = tuple(Interrupt(q.value, q.id, response_schema=q.schema) for q in questions)
        pending.append((key, INTERRUPT, asked))
    pending.extend((key, ERROR, error) for key, error in state.errors.items())
    checkpoint: Checkpoint = {
        "v": FORMAT,
        "id": config["configurable"]["checkpoint_id"],
        "ts": timestamp(state.at),
        "channel_values": dict(state.values),
        "channel_versions": dict(state.versions),
        "versions_seen": {INPUT: {}, **{name: dict(versions) for name, versions in state.seen.items()}},
        "updated_channels": sorted(state.updated),
    }
    return CheckpointTuple(config, checkpoint, metadata_of(state), parent_of(thread, state), pending)


def checkpoints(
    reader: ThreadReader,
    thread: str,
    *,
    before: str | None = None,
    filter: Mapping[str, Any] | None = None,  # noqa: A002  # LangGraph's name
    limit: int | None = None,
) -> Iterator[ThreadState]:
    """The states at a thread's checkpoints, newest first, each with all that was asked and done at it.

    A run with durability "exit" shows only where it ended, as with LangGraph.
    """
    upto = checkpoint_version(before) if before else None
    shown = 0
    for state in reversed(_visible(reader.history(thread))):
        if upto is not None and state.checkpoint >= upto:
            continue
        metadata = metadata_of(state)
        if filter and any(metadata.get(key) != value for key, value in filter.items()):
            continue
        if limit is not None and shown >= limit:
            return
        shown += 1
        yield state


def _visible(states: list[ThreadState]) -> list[ThreadState]:
    """One state per checkpoint, oldest first, without the inner ones of runs with durability "exit"."""
    best: dict[int, ThreadState] = {}
    last_of_run: dict[str, int] = {}
    for state in states:
        if not state.checkpoint:
            continue
        known = best.get(state.checkpoint)
        if known is None or len(state.questions) >= len(known.questions):
            best[state.checkpoint] = state
        if state.run:
            last_of_run[state.run] = state.checkpoint
    shown = {
        version: state
        for version, state in best.items()
        if state.durability != "exit" or state.source == "update" or last_of_run.get(state.run) == version
    }
    return [_under_shown_parent(state, shown, best) for state in shown.values()]


def _under_shown_parent(
    state: ThreadState, shown: Mapping[int, ThreadState], best: Mapping[int, ThreadState]
) -> ThreadState:
    """The state with the nearest checkpoint before it that is shown as its parent."""
    parent = state.parent
    while parent and parent not in shown:
        parent = best[parent].parent
    if parent == state.parent:
        return state
    return msgspec.structs.replace(state, parent=parent, parent_at=shown[parent].at if parent else 0)


def as_shown(reader: ThreadReader, thread: str, state: ThreadState) -> ThreadState:
    """A thread's latest state, with the parent that history shows."""
    if state.durability != "exit" or not state.checkpoint:
        return state
    for known in reversed(_visible(reader.history(thread))):
        if known.checkpoint == state.checkpoint:
            return msgspec.structs.replace(state, parent=known.parent, parent_at=known.parent_at)
    return state


def read_state(log: EventLog, thread: str, at: int | None = None) -> ThreadState:
    """A thread's state at a version of its stream (None: the latest), without the program that wrote it.

    Values of classes that this process does not know come as ``Opaque``. An unknown thread, and a version
    before its first event, give the empty state.
    """
    reader = ThreadReader(log, Registry(), unknown="opaque")
    if at is None:
        return reader.head(thread)
    return reader.at(thread, min(at, log.version(stream_of(thread)))) if at > 0 else EMPTY
