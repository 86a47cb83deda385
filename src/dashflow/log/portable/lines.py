"""One line of an export: JSON that ends in its own checksum. Pure.

A payload stands in its line as JSON where that gives back the very same bytes, else as base64.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from zlib import crc32

import orjson
import ormsgpack

from dashflow.log.base import NewEvent, Record

FORMAT: Final = 1
"""Number of the files' format; a higher one is refused."""

NAME: Final = "events"
"""What the first line's ``dashflow`` says."""

_SEAL: Final = b',"crc":"'
_SEALED: Final = len(_SEAL) + 8 + 3
"""Length of the end of a line: the checksum, a quote, a brace, the line's end."""


class BadLineError(Exception):
    """A line that is not as it was written; the text says how."""


class Line(NamedTuple):
    """An event as its line has it, and where it was in the log that it comes from."""

    position: int
    stream: str
    version: int
    epoch: int
    event: NewEvent

    def record(self) -> Record:
        """The event as its log had it."""
        event = self.event
        return Record(
            position=self.position,
            stream=self.stream,
            version=self.version,
            category=self.stream.partition("-")[0],
            type=event.type,
            schema=event.schema,
            event_id=event.event_id,
            correlation_id=event.correlation_id,
            causation_id=event.causation_id,
            at=event.at,
            epoch=self.epoch,
            fingerprint=event.fingerprint,
            checksum=crc32(event.data),
            data=event.data,
        )


def sealed(told: Mapping[str, Any]) -> bytes:
    """A line with its checksum."""
    start = orjson.dumps(told)[:-1]
    return b'%s%s%08x"}\n' % (start, _SEAL, crc32(start))


def opened(line: bytes) -> dict[str, Any]:
    """What a line says.

    Raises:
        BadLineError: It was changed, or is only the beginning of one.
    """
    start, end = line[:-_SEALED], line[-_SEALED:]
    if not (line.endswith(b'"}\n') and end.startswith(_SEAL)):
        raise BadLineError("it is no whole line of an export")
    if end[len(_SEAL) : -3] != b"%08x" % crc32(start):
        raise BadLineError("its checksum is another one")
    try:
        told: dict[str, Any] = orjson.loads(line)
    except ValueError as problem:
        raise BadLineError(f"it is no JSON: {problem}") from problem
    return told


def told_of(record: Record, shown: Any = None) -> dict[str, Any]:
    """A record as its line has it.

    Args:
        record: The event.
        shown: What it says, for people; written where the payload itself is not readable.
    """
    told: dict[str, Any] = {
        "position": record.position,
        "stream": record.stream,
        "version": record.version,
        "type": record.type,
        "schema": record.schema,
        "event_id": record.event_id.hex(),
        "correlation_id": record.correlation_id,
        "causation_id": record.causation_id.hex(),
        "at": record.at,
        "epoch": record.epoch,
        "fingerprint": record.fingerprint,
    }
    plain = _readable(record.data)
    if plain is not None:
        return {**told, "data": plain}
    if shown is not None:
        told["shown"] = shown
    return {**told, "base64": b64encode(record.data).decode()}


def _readable(data: bytes) -> Any:
    """The payload as plain data, if JSON can hold it and gives the same bytes back; else None."""
    try:
        plain = orjson.loads(orjson.dumps(ormsgpack.unpackb(data)))
        return plain if ormsgpack.packb(plain) == data else None
    except (ValueError, TypeError):
        return None


def line_of(told: Mapping[str, Any]) -> Line:
    """The event that a line tells.

    Raises:
        BadLineError: Something is missing in it, or is not what it has to be.
    """
    try:
        packed = told.get("base64")
        event = NewEvent(
            type=_text(told["type"]),
            data=ormsgpack.packb(told["data"]) if packed is None else b64decode(packed, validate=True),
            event_id=bytes.fromhex(told["event_id"]),
            at=int(told["at"]),
            schema=int(told["schema"]),
            correlation_id=_text(told["correlation_id"]),
            causation_id=bytes.fromhex(told["causation_id"]),
            fingerprint=_text(told["fingerprint"]),
        )
        place = (int(told["position"]), _text(told["stream"]), int(told["version"]), int(told["epoch"]))
    except (KeyError, TypeError, ValueError) as problem:
        raise BadLineError(f"it is no event: {problem!r}") from problem
    return Line(*place, event)


def blob_of(told: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """Key and content of the blob that a line tells.

    Raises:
        BadLineError: It tells none.
    """
    try:
        return bytes.fromhex(told["blob"]), b64decode(told["base64"], validate=True)
    except (KeyError, TypeError, ValueError) as problem:
        raise BadLineError(f"it is no value: {problem!r}") from problem


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value
