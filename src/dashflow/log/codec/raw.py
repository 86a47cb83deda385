"""Encoded values half opened: containers that msgpack has are there, whatever else is inside stays as it was
stored. So a message can be moved from one list to another without ever being made.
"""

from __future__ import annotations

from typing import Any, Final

from ormsgpack import Ext, unpackb

from dashflow.log.codec import codes

Raw = Ext
"""A value as it was stored; ``encode`` takes it for the value."""

_MARK: Final = b"\xc7\x20"
_TEXT, _BYTES = (_MARK + bytes((code,)) for code in codes.BLOBS)
"""How what stands for a large text, or for bytes, begins: an extension of 32 bytes."""


def half_opened(data: bytes) -> Any:
    """What ``encode`` made ``data`` of, with ``Raw`` for whatever msgpack has no type for.

    Raises:
        Exception: The data is none.
    """
    return unpackb(data, ext_hook=Raw)


def is_alone(data: bytes) -> bool:
    """Whether certainly nothing is kept beside an encoded value."""
    return _MARK not in data or (_TEXT not in data and _BYTES not in data)


def body_of(data: bytes) -> tuple[int, bytes] | None:
    """How many items an encoded list has, and these one after the other; None: it is no list."""
    first = data[0]
    if 0x90 <= first <= 0x9F:
        return first & 0x0F, data[1:]
    if first == 0xDC:
        return int.from_bytes(data[1:3], "big"), data[3:]
    if first == 0xDD:
        return int.from_bytes(data[1:5], "big"), data[5:]
    return None


def list_of(count: int, bodies: list[bytes]) -> bytes:
    """An encoded list of the items in ``bodies``, of which there are ``count``."""
    if count < 16:
        head = bytes((0x90 | count,))
    elif count < 1 << 16:
        head = b"\xdc" + count.to_bytes(2, "big")
    else:
        head = b"\xdd" + count.to_bytes(4, "big")
    return b"".join((head, *bodies))
