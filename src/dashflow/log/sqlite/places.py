"""Checksums of what a row is besides its data, and of rows without data. Pure.

A row's checksum covers its own numbers, so that a row which an index leads to by mistake shows as damage, and
so does a number that changed. Everything that a reader or the writer trusts is under one.
"""

from __future__ import annotations

from struct import Struct
from typing import Any, Final
from zlib import crc32

EVENT: Final = Struct("<9q").pack
"""Packs an event's numbers: position, stream, version, type, schema, correlation, time, epoch, graph."""

_STREAM: Final = Struct("<8q").pack
_THREE: Final = Struct("<3q").pack


def of_event(
    position: int,
    stream: int,
    version: int,
    kind: int,
    schema: int,
    event_id: bytes,
    correlation: int,
    cause: bytes,
    at: int,
    epoch: int,
    fingerprint: int,
) -> int:
    """Of an event's envelope, in the order of its columns.

    Raises:
        struct.error, TypeError: Something is no number of 64 bits, or no bytes.
    """
    numbers = EVENT(position, stream, version, kind, schema, correlation, at, epoch, fingerprint)
    return crc32(numbers + event_id + cause)


def of_stream(
    stream: int,
    name: str,
    category: str,
    version: int,
    position: int,
    created: int,
    updated: int,
    owner: str,
    epoch: int,
    forgotten: int,
) -> int:
    """Of a stream's row, without the lease, which changes by itself.

    Raises:
        struct.error, TypeError, AttributeError: Something is not of its type.
    """
    texts = f"{name}\0{category}\0{owner}".encode()
    return crc32(_STREAM(stream, version, position, created, updated, epoch, forgotten, len(texts)) + texts)


def of_word(number: int, text: str) -> int:
    """Of a word's row."""
    return crc32(text.encode(), number & 0xFFFFFFFF)


def of_view(number: int, name: str, position: int) -> int:
    """Of a view's row."""
    return crc32(_THREE(number, position, 0) + name.encode())


def of_entry(view: int, key: str, data: bytes) -> int:
    """Of a view's entry."""
    return crc32(data, crc32(_THREE(view, len(data), 1) + key.encode()))


def of_snapshot(stream: int, version: int, schema: int) -> int:
    """Of what a snapshot's data belongs to."""
    return crc32(_THREE(stream, version, schema))


def of_blob(key: bytes) -> int:
    """Of what a large value's data belongs to."""
    return crc32(key)


FUNCTIONS: Final[dict[str, Any]] = {
    "crc_of_stream": of_stream,
    "crc_of_word": of_word,
    "crc_of_view": of_view,
    "crc_of_entry": of_entry,
}
"""For migrations: what SQL calls them."""
