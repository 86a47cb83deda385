"""How a group's events are stored: bytes and envelope, and the way back."""

from __future__ import annotations

from typing import Final, get_args

import msgspec

from dashflow.errors import CorruptEventError, LogFormatError
from dashflow.log.base import NewEvent, Record
from dashflow.log.groups.core.events import FROM_NOW, GroupCreated
from dashflow.log.groups.core.state import Event

CATEGORY: Final = "group"

SCHEMA: Final = 1
"""Number of the present layout of all these events."""

EVENT_TYPES: Final[dict[str, type[Event]]] = {kind.type: kind for kind in get_args(Event)}

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODERS: Final = {name: msgspec.msgpack.Decoder(kind) for name, kind in EVENT_TYPES.items()}


def stream_of(group: str) -> str:
    """Name of the stream of a group."""
    return f"{CATEGORY}-{group}"


def encode(event: Event, event_id: bytes) -> NewEvent:
    """The event, ready to be appended."""
    return NewEvent(event.type, _ENCODER.encode(event), event_id, event.at, SCHEMA)


def decode(record: Record) -> Event:
    """The event of a record.

    Raises:
        LogFormatError: A type or layout that this program is too old for.
        CorruptEventError: Bytes that do not fit the type.
    """
    decoder = _DECODERS.get(record.type)
    if decoder is None or record.schema > SCHEMA:
        known = SCHEMA if decoder is not None else 0
        raise LogFormatError(f"{record.stream}, event {record.version} ({record.type})", record.schema, known)
    try:
        event = decoder.decode(record.data)
    except (msgspec.MsgspecError, ValueError) as error:
        raise CorruptEventError(record.stream, record.version, str(error)) from error
    if isinstance(event, GroupCreated) and event.start == FROM_NOW:
        return msgspec.structs.replace(event, start=record.position)
    return event
