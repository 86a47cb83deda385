"""How events of approvals are stored: bytes and envelope, and the way back; and what votes name. Knows the
log's vocabulary only.

MessagePack by msgspec, keys in a fixed order. A layout that changed gets a new number in ``SCHEMAS``.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any, Final, get_args

import msgspec

from dashflow.errors import CorruptEventError, LogFormatError, ValueCodecError
from dashflow.hitl.core.events import Event
from dashflow.log.base import NewEvent, Record

CATEGORY: Final = "approval"

EVENT_TYPES: Final[dict[str, type[Event]]] = {kind.__name__: kind for kind in get_args(Event)}

SCHEMAS: Final[dict[str, int]] = dict.fromkeys(EVENT_TYPES, 1)
"""The number of each type's present layout."""

_ENCODER: Final = msgspec.msgpack.Encoder(order="deterministic")
_DECODERS: Final = {name: msgspec.msgpack.Decoder(kind) for name, kind in EVENT_TYPES.items()}


def stream_of(approval: str) -> str:
    """Name of the stream of an approval."""
    return f"{CATEGORY}-{approval}"


def approval_of(stream: str) -> str:
    """The approval whose stream this is."""
    return stream.removeprefix(f"{CATEGORY}-")


def plain(payload: Any) -> Any:
    """The payload as a later reader will have it: lists for tuples, mappings for objects of data.

    Raises:
        ValueCodecError: It is no plain data.
    """
    return msgspec.msgpack.decode(_packed(payload))


def hash_of(subject: str, payload: Any) -> str:
    """What votes name: SHA-256 of subject and payload, in hexadecimal. Equal data has an equal hash.

    Raises:
        ValueCodecError: The payload is no plain data.
    """
    return sha256(_packed([subject, plain(payload)])).hexdigest()


def encode(event: Event, *, event_id: bytes, correlation_id: str, causation_id: bytes = b"") -> NewEvent:
    """The event with its envelope, ready to be appended."""
    name = type(event).__name__
    return NewEvent(
        type=name,
        data=_packed(event),
        event_id=event_id,
        at=event.at,
        schema=SCHEMAS[name],
        correlation_id=correlation_id,
        causation_id=causation_id,
    )


def decode(record: Record) -> Event:
    """The event of a record.

    Raises:
        LogFormatError: A type or layout that this program is too old for.
        CorruptEventError: Bytes that do not fit the type.
    """
    known = SCHEMAS.get(record.type, 0)
    if record.schema > known:
        where = f"{record.stream}, event {record.version} ({record.type})"
        raise LogFormatError(where, record.schema, known)
    try:
        return _DECODERS[record.type].decode(record.data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise CorruptEventError(record.stream, record.version, str(error)) from error


def _packed(value: Any) -> bytes:
    try:
        return _ENCODER.encode(value)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueCodecError("payload", f"not plain data: {error}") from error
