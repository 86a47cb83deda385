"""How planner events are stored: bytes and envelope, and the way back. Knows the log's vocabulary only.

MessagePack by msgspec, keys in a fixed order: the same event is the same bytes. A layout that changed
has a row in ``SCHEMAS`` and a function in ``UPCASTS`` that makes the old one into the next.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, get_args

import msgspec

from dashflow.errors import CorruptEventError, LogFormatError, ValueCodecError
from dashflow.log.base import NewEvent, Record
from dashflow.planner.core.events import Event, PlanRequested, TasksPlanned
from dashflow.planner.core.state import PlannerState
from dashflow.planner.core.table import as_dict

CATEGORY: Final = "plan"

EVENT_TYPES: Final[dict[str, type[Event]]] = {kind.__name__: kind for kind in get_args(Event)}

SCHEMAS: Final[dict[str, int]] = {**dict.fromkeys(EVENT_TYPES, 1), "PlanRequested": 2, "TasksPlanned": 2}
"""The number of each type's present layout."""

UPCASTS: Final[dict[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]]] = {
    ("PlanRequested", 1): lambda plain: plain,
    ("TasksPlanned", 1): lambda plain: plain,
}
"""From (type, old number) to what makes plain data of that layout into the next number's."""

_ENCODER: Final = msgspec.msgpack.Encoder(order="deterministic")
_STATES: Final = msgspec.msgpack.Encoder(order="deterministic", enc_hook=as_dict)
_DECODERS: Final = {name: msgspec.msgpack.Decoder(kind) for name, kind in EVENT_TYPES.items()}


def stream_of(run: str) -> str:
    """Name of the stream of a run."""
    return f"{CATEGORY}-{run}"


def run_of(stream: str) -> str:
    """The run whose stream this is."""
    return stream.removeprefix(f"{CATEGORY}-")


def storable(text: str) -> str:
    """The text with what is no Unicode (bytes of an odd file name, half a pair) written out as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def encode(event: Event, *, event_id: bytes, correlation_id: str = "", causation_id: bytes = b"") -> NewEvent:
    """The event with its envelope, ready to be appended.

    Raises:
        ValueCodecError: it holds something that is no plain data.
    """
    name = type(event).__name__
    try:
        data = _ENCODER.encode(event)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueCodecError(name, f"not plain data: {error}") from error
    return NewEvent(
        type=name,
        data=data,
        event_id=event_id,
        at=event.at,
        schema=_schema(event, name),
        correlation_id=correlation_id,
        causation_id=causation_id,
    )


def decode(record: Record | NewEvent) -> Event:
    """The event of a record, of today's layout whatever layout it was stored in.

    Raises:
        LogFormatError: a type or layout that this program is too old for.
        CorruptEventError: bytes that do not fit the type.
    """
    stream, version = (record.stream, record.version) if isinstance(record, Record) else ("", 0)
    known = SCHEMAS.get(record.type, 0)
    if record.schema > known:
        raise LogFormatError(f"{stream}, event {version} ({record.type})", record.schema, known)
    try:
        if record.schema == known:
            return _DECODERS[record.type].decode(record.data)
        plain = msgspec.msgpack.decode(record.data)
        for number in range(record.schema, known):
            plain = UPCASTS[record.type, number](plain)
        return msgspec.convert(plain, EVENT_TYPES[record.type])
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise CorruptEventError(stream, version, str(error)) from error


def _schema(event: Event, name: str) -> int:
    """The number of an event's layout. Approvals came with the second one: a program that does not know of
    them must not run such a plan, and may run others."""
    if isinstance(event, PlanRequested) and not event.config.approvals:
        return 1
    if isinstance(event, TasksPlanned) and not any(task.approval for task in event.tasks):
        return 1
    return SCHEMAS[name]


def checked(
    event: Event, *, event_id: bytes, correlation_id: str, causation_id: bytes
) -> tuple[NewEvent, Event]:
    """``encode``, and the event as every later reader will decode it: nothing is stored that cannot be read.

    Raises:
        ValueCodecError: it holds something that is no plain data, or of another type than declared.
    """
    new = encode(event, event_id=event_id, correlation_id=correlation_id, causation_id=causation_id)
    try:
        return new, decode(new)
    except CorruptEventError as error:
        raise ValueCodecError(new.type, f"of a wrong type: {error.data['problem']}") from error


def state_data(state: PlannerState) -> dict[str, Any]:
    """The state as plain data, without what is made of the rest."""
    data: dict[str, Any] = msgspec.to_builtins(state, enc_hook=as_dict)
    del data["known"]
    return data


def state_bytes(state: PlannerState) -> bytes:
    """The state as bytes: equal states are equal bytes."""
    return _STATES.encode(state)
