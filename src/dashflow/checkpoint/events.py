"""A thread's events to bytes and back. The only place that knows how graph events look in the log.

Its counterpart for plans is in ``dashflow.planner.core``. Values pass through ``dashflow.log.codec``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from dashflow.core.events import EVENTS, SCHEMA, Event, StepCompleted
from dashflow.errors import CorruptEventError, ValueCodecError
from dashflow.log.base import NewEvent, Record
from dashflow.log.codec import Registry, decode, encode
from dashflow.log.codec.blobs import LEAST, Load, split

if TYPE_CHECKING:
    from dashflow.core.inbox import InboxEvent

Unknown = Literal["raise", "opaque"]
"""What becomes of values of unregistered classes: an error, or an ``Opaque``."""

_OURS = frozenset({"dashflow.core.events", "dashflow.core.inbox"})

UPCASTS: Final[dict[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]]] = {}
"""From (type, old schema) to what makes plain data of that layout into the next one's; a type without a row
did not change there. Events are never edited: they are brought up to date whenever they are read."""

_FIELDS: dict[type, tuple[tuple[str, Any], ...]] = {}
"""Names and defaults of the fields of our own structs met so far."""


def _learn(kind: type[msgspec.Struct]) -> tuple[tuple[str, Any], ...]:
    _FIELDS[kind] = fields = tuple(
        (f.name, f.default_factory() if f.default_factory is not msgspec.NODEFAULT else f.default)
        for f in msgspec.structs.fields(kind)
    )
    return fields


def _plain(value: Any) -> Any:
    """Our own structs as dicts without what is at its default; everything else as it is."""
    kind = type(value)
    fields = _FIELDS.get(kind)
    if fields is None:
        if kind is list and value and isinstance(value[0], msgspec.Struct):
            return [_plain(part) for part in value]
        if not isinstance(value, msgspec.Struct) or kind.__module__ not in _OURS:
            return value
        fields = _learn(kind)
    out: dict[str, Any] = {}
    for name, default in fields:
        part = getattr(value, name)
        if type(part) is not type(default) or part != default:
            out[name] = _plain(part)
    return out


def _told(event: Event | InboxEvent) -> Any:
    """``_plain`` of an event; the one that every step makes without asking its class for its fields."""
    if type(event) is not StepCompleted:
        return _plain(event)
    change = event.change
    told: dict[str, Any] = {}
    if change.put:
        told["put"] = change.put
    if change.ops:
        told["ops"] = change.ops
    if change.cleared:
        told["cleared"] = change.cleared
    if change.kept:
        told["kept"] = change.kept
    if event.wrote:
        return {"step": event.step, "ran": event.ran, "change": told, "wrote": event.wrote}
    return {"step": event.step, "ran": event.ran, "change": told}


def to_new(
    event: Event | InboxEvent, event_id: bytes, at: int, run: str, causation: bytes, fingerprint: str
) -> NewEvent:
    """The event, ready to be appended.

    Raises:
        ValueCodecError: A value in it cannot be stored; the message names its key's path.
    """
    data = encode(_told(event))
    blobs: dict[bytes, bytes] = {}
    if len(data) >= LEAST:
        data, blobs = split(data)
    return NewEvent(
        type=event.type,
        data=data,
        event_id=event_id,
        at=at,
        schema=SCHEMA,
        correlation_id=run,
        causation_id=causation,
        fingerprint=fingerprint,
        blobs=blobs,
    )


def from_record(
    record: Record, registry: Registry, *, unknown: Unknown = "raise", load: Load | None = None
) -> Event:
    """The event in a record.

    Args:
        record: Of a ``run-`` stream.
        registry: Classes that may be revived.
        unknown: ``raise`` or ``opaque``: what becomes of values of unregistered classes.
        load: Where large values are (``EventLog.blob``).

    Raises:
        MissingBlobError: A large value is not there.
        CorruptEventError: Its data cannot be read as that type of event.
        ValueCodecError: A value's class is not registered.
    """
    event: Event = read_as(record, EVENTS.get(record.type), registry, unknown, load)
    return event


def is_current(record: Record) -> bool:
    """Whether a record is of today's layout."""
    return record.schema == SCHEMA


def read_as(record: Record, kind: Any, registry: Registry, unknown: Unknown, load: Load | None) -> Any:
    """What a record holds, as an event of a kind; see ``from_record``. No kind: nobody knows the type."""
    if kind is None or record.schema > SCHEMA:
        raise CorruptEventError(
            record.stream,
            record.version,
            f"its type {record.type!r} (schema {record.schema}) is unknown to this program; it may be newer",
        )
    plain = decode(record.data, registry, unknown=unknown, load=load)
    try:
        for number in range(record.schema, SCHEMA):
            if (upcast := UPCASTS.get((record.type, number))) is not None:
                plain = upcast(plain)
        return msgspec.convert(plain, kind)
    except ValueCodecError:
        raise
    except (msgspec.ValidationError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise CorruptEventError(record.stream, record.version, str(error)) from error
