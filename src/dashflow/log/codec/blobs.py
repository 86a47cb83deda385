"""Large texts and bytes of an encoded value, put beside it under the hash of what they say.

The same document in many events is kept once then. Small values cost one comparison of a length.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Any, Final

from ormsgpack import Ext, packb, unpackb

from dashflow.log.codec import codes
from dashflow.log.codec.codes import UnfitError

LEAST: Final = 16_384
"""Bytes from which on a text or byte string is kept beside its event."""

KEY_BYTES: Final = 32
"""Length of a key: BLAKE2b of a mark for text or bytes, and of the content."""

Load = Callable[[bytes], bytes]


class _Kept:
    """An extension as it was packed."""

    __slots__ = ("code", "payload")

    def __init__(self, code: int, payload: bytes) -> None:
        self.code = code
        self.payload = payload


def _packed(kept: _Kept) -> Ext:
    return Ext(kept.code, kept.payload)


def split(data: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    """An encoded value without its large texts and byte strings, and these by their keys."""
    blobs: dict[bytes, bytes] = {}
    if len(data) >= LEAST:
        data = _without(data, blobs)
    return data, blobs


def _without(data: bytes, blobs: dict[bytes, bytes]) -> bytes:
    """Packed data without what is large in it; the same bytes when nothing is."""
    root = [unpackb(data, ext_hook=_Kept)]
    return packb(root[0], _packed) if _take_out(root, blobs) else data


def _take_out(root: list[Any], blobs: dict[bytes, bytes]) -> bool:
    """Replace what is large by its key, in place and however deep; whether there was any."""
    found = False
    todo: list[Any] = [root]
    while todo:
        container = todo.pop()
        for key, item in list(container.items()) if type(container) is dict else enumerate(container):
            kind = type(item)
            if kind is list or kind is dict:
                todo.append(item)
            elif small := _smaller(item, blobs):
                container[key] = small
                found = True
    return found


def _smaller(item: Any, blobs: dict[bytes, bytes]) -> _Kept | None:
    """What stands for a large item; None when it is not large."""
    kind = type(item)
    if kind is str and len(item) * 4 >= LEAST and len(raw := item.encode()) >= LEAST:
        return _beside(codes.BLOB_TEXT, raw, blobs)
    if kind is bytes and len(item) >= LEAST:
        return _beside(codes.BLOB_BYTES, item, blobs)
    if kind is _Kept and len(item.payload) >= LEAST and item.code not in codes.RAW:
        payload = _without(item.payload, blobs)
        return None if payload is item.payload else _Kept(item.code, payload)
    return None


def _beside(code: int, raw: bytes, blobs: dict[bytes, bytes]) -> _Kept:
    key = _key(code, raw)
    blobs[key] = raw
    return _Kept(code, key)


def _key(code: int, raw: bytes) -> bytes:
    kind = b"text" if code == codes.BLOB_TEXT else b"bytes"
    return blake2b(raw, digest_size=KEY_BYTES, person=kind).digest()


def keys_in(data: bytes) -> set[bytes]:
    """The keys of what an encoded value needs from beside it.

    Raises:
        ValueError: The data is no encoded value.
    """
    found: set[bytes] = set()

    def look(code: int, payload: bytes) -> None:
        if code in codes.BLOBS:
            found.add(payload)
        elif code not in codes.RAW:
            unpackb(payload, ext_hook=look)

    unpackb(data, ext_hook=look)
    return found


def revive(code: int, key: bytes, load: Load | None) -> Any:
    """What is kept beside under a key.

    Raises:
        UnfitError: It cannot be had, or is not what its key says.
        MissingBlobError: As ``load``.
    """
    if load is None:
        raise UnfitError("is kept beside its event, and nobody said where")
    raw = load(key)
    if _key(code, raw) != key:
        raise UnfitError("is kept beside its event and is damaged there: its content does not fit its key")
    return raw.decode() if code == codes.BLOB_TEXT else raw
