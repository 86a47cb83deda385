"""Checksums of what a row is besides its data. Pure.

The program knows an event's envelope when it sends it, but neither version, position nor epoch: these are
the server's, which mixes them in where it inserts the row (``append`` in migrations/). Each of them is
multiplied by an odd number, so that no two of its values come to the same.
"""

from __future__ import annotations

from struct import Struct
from typing import Final
from zlib import crc32

from dashflow.log.packing import CHECKSUM

_TWO: Final = Struct("<2q").pack


def of_event(
    stream: str,
    kind: str,
    schema: int,
    event_id: bytes,
    correlation: str,
    cause: bytes,
    at: int,
    fingerprint: str,
) -> int:
    """Of an event's envelope as its writer knows it.

    Raises:
        struct.error, TypeError: Something is no number of 64 bits, or no bytes.
    """
    texts = f"{stream}\0{kind}\0{correlation}\0{fingerprint}\0".encode()
    return crc32(event_id + cause, crc32(_TWO(schema, at) + texts))


def numbered(place: int, position: int, version: int, epoch: int) -> int:
    """The same with what the server gave it; as the function ``append`` does."""
    return (
        place
        ^ (position & CHECKSUM) * 2147483629 & CHECKSUM
        ^ (version & CHECKSUM) * 1640531527 & CHECKSUM
        ^ (epoch & CHECKSUM) * 1013904223 & CHECKSUM
    )


def of_snapshot(stream: str, version: int, schema: int) -> int:
    """Of what a snapshot's data belongs to."""
    return crc32(_TWO(version, schema) + stream.encode())


def of_blob(key: bytes) -> int:
    """Of what a large value's data belongs to."""
    return crc32(key)


def of_entry(view: str, key: str, data: bytes) -> int:
    """Of a view's entry."""
    return crc32(data, crc32(f"{view}\0{key}\0".encode()))
