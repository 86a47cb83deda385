"""How batch events are stored: bytes and envelope, and the way back. Knows the log's vocabulary only.

MessagePack by msgspec, keys in a fixed order. A layout that changed gets a new number in ``SCHEMAS``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, get_args

import msgspec

from dashflow.batch.core.events import Event
from dashflow.errors import CorruptEventError, LogFormatError
from dashflow.log.base import NewEvent, Record

CATEGORY: Final = "batch"

EVENT_TYPES: Final[dict[str, type[Event]]] = {kind.__name__: kind for kind in get_args(Event)}

SCHEMAS: Final[dict[str, int]] = dict.fromkeys(EVENT_TYPES, 1)
"""The number of each type's present layout."""

_ENCODER: Final = msgspec.msgpack.Encoder(order="deterministic")
_DECODERS: Final = {name: msgspec.msgpack.Decoder(kind) for name, kind in EVENT_TYPES.items()}
_PACKED: Final = msgspec.msgpack.Decoder(list[bytes])


def stream_of(name: str) -> str:
    """Name of the stream of a batch."""
    return f"{CATEGORY}-{name}"


def name_of(stream: str) -> str:
    """The batch whose stream this is."""
    return stream.removeprefix(f"{CATEGORY}-")


def pack(values: Iterable[bytes]) -> bytes:
    """Many encoded values as one piece of bytes."""
    return _ENCODER.encode(list(values))


def unpack(packed: bytes) -> list[bytes]:
    """What was packed; raises ``msgspec.MsgspecError`` for anything else."""
    return _PACKED.decode(packed)


def encode(event: Event, *, event_id: bytes, correlation_id: str, causation_id: bytes = b"") -> NewEvent:
    """The event with its envelope, ready to be appended."""
    name = type(event).__name__
    return NewEvent(
        type=name,
        data=_ENCODER.encode(event),
        event_id=event_id,
        at=event.at,
        schema=SCHEMAS[name],
        correlation_id=correlation_id,
        causation_id=causation_id,
    )


def decode(record: Record) -> Event:
    """The event of a record.

    Raises:
        LogFormatError: a type or layout that this program is too old for.
        CorruptEventError: bytes that do not fit the type.
    """
    known = SCHEMAS.get(record.type, 0)
    if record.schema > known:
        where = f"{record.stream}, event {record.version} ({record.type})"
        raise LogFormatError(where, record.schema, known)
    try:
        return _DECODERS[record.type].decode(record.data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise CorruptEventError(record.stream, record.version, str(error)) from error
