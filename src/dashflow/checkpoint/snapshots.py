"""Folded threads as bytes and back: what a log keeps as a stream's snapshot, so that a thread opens quickly
however long its history is.

A snapshot is never needed: whatever is wrong with one, the events are folded instead.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from dashflow.core.events import Question
from dashflow.core.fold import ThreadState
from dashflow.errors import ValueCodecError
from dashflow.log.base import Snapshot
from dashflow.log.codec import Registry, decode, encode

SCHEMA: Final = 2
"""Goes up whenever folding comes to something else than before: older snapshots are left alone then."""

EVENT_BYTES: Final = 1_000
"""What folding an event costs besides reading its bytes, as so many bytes more: 10 us, at 100 MB/s."""

LEAST_BYTES: Final = 131_072
"""Events that cost less to fold are folded again rather than snapshotted."""

FACTOR: Final = 4
"""A snapshot is taken when folding the events since the last one costs so many times reading it: so taking
snapshots writes at most a quarter of that cost, however long the thread grows."""

_FIELDS = tuple(
    (field.name, field.default_factory() if field.default is msgspec.NODEFAULT else field.default)
    for field in msgspec.structs.fields(ThreadState)
)


def plain_of(state: ThreadState) -> dict[str, Any]:
    """A state as plain data around its values; what is at its default is left out."""
    told = {
        name: value
        for name, default in _FIELDS
        if (value := getattr(state, name)) != default or type(value) is not type(default)
    }
    told["values"] = dict(state.values)
    if state.questions:
        told["questions"] = {
            key: [list(msgspec.structs.astuple(q)) for q in asked] for key, asked in state.questions.items()
        }
    return told


def state_of(told: dict[str, Any]) -> ThreadState:
    """The state that ``plain_of`` told of.

    Raises:
        TypeError, AttributeError: It is none.
    """
    if "questions" in told:
        asked = {key: [Question(*parts) for parts in all_] for key, all_ in told["questions"].items()}
        told = {**told, "questions": asked}
    return ThreadState(**told)


def to_snapshot(state: ThreadState) -> Snapshot:
    """A thread's state for the log.

    Raises:
        ValueCodecError: Something in it cannot be stored.
    """
    return Snapshot(state.version, encode(plain_of(state)), SCHEMA)


def from_snapshot(snapshot: Snapshot, registry: Registry, unknown: Any) -> ThreadState | None:
    """The state in a snapshot; None when it is another program's, damaged, or of classes not known here."""
    if snapshot.schema != SCHEMA:
        return None
    try:
        return state_of(decode(snapshot.data, registry, unknown=unknown))
    except (ValueCodecError, TypeError, AttributeError):
        return None
