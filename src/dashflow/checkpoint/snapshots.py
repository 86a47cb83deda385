"""Folded threads as bytes and back: what a log keeps as a stream's snapshot, so that a thread opens quickly
however long its history is.

A snapshot is never needed: whatever is wrong with one, the events are folded instead.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from dashflow.checkpoint.kept import Classes, Stored, from_stored, kept
from dashflow.core.events import Question
from dashflow.core.fold import ThreadState
from dashflow.core.kept import Kept, Values
from dashflow.core.written import wrote_of
from dashflow.errors import ValueCodecError
from dashflow.log.base import Snapshot
from dashflow.log.codec import decode, encode

SCHEMA: Final = 2
"""Goes up whenever folding comes to something else than before: older snapshots are left alone then."""

EVENT_BYTES: Final = 1_000
"""What folding an event costs besides reading its bytes, as so many bytes more: 10 us, at 100 MB/s."""

LEAST_BYTES: Final = 131_072
"""Events that cost less to fold are folded again rather than snapshotted."""

FACTOR: Final = 2
"""A snapshot is taken when folding the events since the last one costs so many times reading it: so taking
snapshots writes at most half of that cost, however long the thread grows."""

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
    if state.wrote:
        told["wrote"] = wrote_of(state)
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


def to_snapshot(state: ThreadState, classes: Classes) -> Snapshot:
    """A thread's state for the log: what is large in it stays as it is kept, and is packed.

    Raises:
        ValueCodecError: Something in it cannot be stored.
    """
    values = state.values if isinstance(state.values, Values) else Values(state.values)
    plain: dict[str, Any] = {}
    framed: dict[str, bytes] = {}
    whole: dict[str, bytes] = {}
    for name, part in values.parts():
        if type(one := part if isinstance(part, Kept) else kept(part, classes)) is not Stored:
            plain[name] = part
        elif (frame := one.frame()) is not None:
            framed[name] = frame
        else:
            whole[name] = one.data()
    told = plain_of(msgspec.structs.replace(state, values=plain, wrote={}))
    if state.wrote:
        told["wrote"] = state.wrote
    told["kept"] = [[*values], framed, whole]
    return Snapshot(state.version, encode(told), SCHEMA)


def from_snapshot(snapshot: Snapshot, classes: Classes) -> ThreadState | None:
    """The state in a snapshot; None when it is another program's, damaged, or of classes not known here."""
    if snapshot.schema != SCHEMA:
        return None
    try:
        told = decode(snapshot.data, classes.registry, unknown=classes.unknown)
        names, framed, whole = told.pop("kept")
        parts = told["values"]
        for found, frame in ((framed, True), (whole, False)):
            for name, data in found.items():
                parts[name] = from_stored(data, classes, frame=frame)
        told["values"] = Values({name: parts[name] for name in names})
        return state_of(told)
    except (ValueCodecError, TypeError, AttributeError, LookupError, ValueError):
        return None
