"""Lists as PostgreSQL's binary arrays, packed in one go.

psycopg packs a list value by value through Python calls; an append sends twenty of them. One dimension
only, counted from 1. Knows the wire format and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import Struct, pack
from typing import Any, Final

from psycopg import Connection
from psycopg.adapt import Dumper
from psycopg.pq import Format

_INT8: Final = 20
_TEXT: Final = 25
_BYTEA: Final = 17
_UUID: Final = 2950

_HEAD: Final = Struct("!iIIii")
_NULL: Final = b"\xff\xff\xff\xff"
_SIXTEEN: Final = b"\0\0\0\x10"


class Int8s(bytes):
    """A packed ``bigint[]``."""


class Texts(bytes):
    """A packed ``text[]``."""


class Byteas(bytes):
    """A packed ``bytea[]``."""


class Uuids(bytes):
    """A packed ``uuid[]``."""


def int8s(values: Sequence[int]) -> Int8s:
    """Raises:
    struct.error: One of them does not fit into 64 bits.
    """
    count = len(values)
    flat: list[int] = [8] * (2 * count)
    flat[1::2] = values
    return Int8s(_head(_INT8, count) + pack("!" + "iq" * count, *flat))


def texts(values: Sequence[str]) -> Texts:
    """Raises:
    UnicodeEncodeError: One of them is no text (a lone surrogate).
    """
    parts = [_head(_TEXT, len(values))]
    for value in values:
        encoded = value.encode()
        parts += (len(encoded).to_bytes(4, "big"), encoded)
    return Texts(b"".join(parts))


def byteas(values: Sequence[bytes | None]) -> Byteas:
    """None becomes NULL."""
    parts = [_head(_BYTEA, len(values), nulls=True)]
    for value in values:
        parts += (_NULL,) if value is None else (len(value).to_bytes(4, "big"), value)
    return Byteas(b"".join(parts))


def uuids(values: Iterable[bytes]) -> Uuids:
    """16 bytes each; empty ones become NULL.

    Raises:
        ValueError: One of them has another length.
    """
    parts: list[bytes] = [b""]
    count = 0
    for value in values:
        count += 1
        if len(value) == 16:
            parts += (_SIXTEEN, value)
        elif not value:
            parts.append(_NULL)
        else:
            raise ValueError(f"an event's ids have 16 bytes, not {len(value)}")
    parts[0] = _head(_UUID, count, nulls=True)
    return Uuids(b"".join(parts))


def teach(connection: Connection[Any]) -> None:
    """Have a connection take packed lists as parameters."""
    for dumper in _DUMPERS:
        connection.adapters.register_dumper(dumper.packs, dumper)


def _head(kind: int, count: int, *, nulls: bool = False) -> bytes:
    return _HEAD.pack(1, nulls, kind, count, 1) if count else pack("!iII", 0, 0, kind)


class _Packed(Dumper):
    """Hands the bytes on as they are."""

    format = Format.BINARY
    packs: type[bytes]

    def dump(self, obj: Any) -> bytes:
        return bytes(obj)


def _dumper(packs: type[bytes], array: int) -> type[_Packed]:
    return type(f"{packs.__name__}Dumper", (_Packed,), {"packs": packs, "oid": array})


_DUMPERS: Final = (_dumper(Int8s, 1016), _dumper(Texts, 1009), _dumper(Byteas, 1001), _dumper(Uuids, 2951))
