"""Common values of the standard library that msgpack has no type for: each one's parts, and back.

Exact types only. Decoding makes these types from checked parts and runs nothing else.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable
from decimal import Decimal
from typing import Any
from uuid import UUID

from dashflow._util.sentinel import MISSING
from dashflow.log.codec import codes
from dashflow.log.codec.codes import UnfitError
from dashflow.log.codec.registry import note_stored

Parts = tuple[int, Any]
"""A kind's number and its payload: bytes for a raw kind, otherwise a list (a set for sets)."""

Find = Callable[[str], type]
"""Finds a class by its stored name, or raises ``UnknownClassError``."""

_MAX_INT_BYTES = 1 << 20
"""Integers of more bytes are refused: arithmetic on them would stop the program that reads them."""

_FACTORIES: dict[str, type] = {
    f"builtins:{kind.__name__}": kind
    for kind in (bool, bytes, dict, float, frozenset, int, list, set, str, tuple)
}

_PATTERN_FLAGS = int(re.A | re.I | re.L | re.M | re.S | re.X | re.U)
"""Flags that change what a pattern matches; another one would print while compiling."""


# -- to parts -----------------------------------------------------------------------------------


def _int_parts(value: int) -> Parts:
    size = value.bit_length() // 8 + 1
    if size > _MAX_INT_BYTES:
        raise UnfitError(f"is an integer of {size} bytes; up to {_MAX_INT_BYTES} can be stored")
    return codes.BIG_INT, value.to_bytes(size, "big", signed=True)


def _default_dict_parts(value: defaultdict[Any, Any]) -> Parts:
    factory: Any = value.default_factory
    if factory is not None and not isinstance(factory, type):
        raise UnfitError(
            f"is a defaultdict whose factory is {factory!r}: code cannot be stored. Use a class such as "
            "list or int as its factory, or a plain dict"
        )
    name = None if factory is None else note_stored(factory)
    return codes.DEFAULT_DICT, [name, dict(value)]


def _zone(zone: dt.tzinfo | None) -> dt.tzinfo | None:
    """A time zone that can be stored inside of a time."""
    known = zone is None or type(zone) is dt.timezone or hasattr(zone, "key")
    if not known:
        raise UnfitError(
            f"has a time zone of type {type(zone).__module__}.{type(zone).__qualname__}; "
            "use datetime.timezone or zoneinfo.ZoneInfo"
        )
    return zone


def _moment_parts(code: int, value: dt.datetime | dt.time) -> Parts:
    if value.tzinfo is None and not value.fold:
        return code, [value.isoformat()]
    bare = value.replace(tzinfo=None, fold=0)
    return code, [bare.isoformat(), _zone(value.tzinfo), value.fold]


def _pairs(code: int) -> Callable[[Any], Parts]:
    return lambda value: (code, [part for pair in value.items() for part in pair])


PARTS: dict[type, Callable[[Any], Parts]] = {
    int: _int_parts,
    str: lambda value: (codes.TEXT, value.encode("utf-8", "surrogatepass")),
    UUID: lambda value: (codes.UUID, value.bytes),
    Decimal: lambda value: (codes.DECIMAL, str(value).encode()),
    complex: lambda value: (codes.COMPLEX, f"{value.real!r} {value.imag!r}".encode()),
    tuple: lambda value: (codes.TUPLE, list(value)),
    set: lambda value: (codes.SET, value),
    frozenset: lambda value: (codes.FROZENSET, value),
    dict: _pairs(codes.MAP),
    OrderedDict: _pairs(codes.ORDERED_DICT),
    Counter: _pairs(codes.COUNTER),
    deque: lambda value: (codes.DEQUE, [value.maxlen, list(value)]),
    defaultdict: _default_dict_parts,
    range: lambda value: (codes.RANGE, [value.start, value.stop, value.step]),
    dt.datetime: lambda value: _moment_parts(codes.DATETIME, value),
    dt.date: lambda value: (codes.DATE, [value.isoformat()]),
    dt.time: lambda value: _moment_parts(codes.TIME, value),
    dt.timedelta: lambda value: (codes.TIMEDELTA, [value.days, value.seconds, value.microseconds]),
    dt.timezone: lambda value: (codes.TIMEZONE, list(value.__getinitargs__())),
    re.Pattern: lambda value: (codes.PATTERN, [value.pattern, value.flags & _PATTERN_FLAGS]),
    type(MISSING): lambda value: (codes.MISSING, []),
}


# -- and back -----------------------------------------------------------------------------------


def _int_from(payload: bytes) -> int:
    if len(payload) > _MAX_INT_BYTES:
        raise UnfitError(f"is an integer of {len(payload)} bytes")
    return int.from_bytes(payload, "big", signed=True)


def _complex_from(payload: bytes) -> complex:
    real, imag = payload.decode().split(" ")
    return complex(float(real), float(imag))


RAW: dict[int, Callable[[bytes], Any]] = {
    codes.BIG_INT: _int_from,
    codes.TEXT: lambda payload: payload.decode("utf-8", "surrogatepass"),
    codes.UUID: lambda payload: UUID(bytes=payload),
    codes.DECIMAL: lambda payload: Decimal(payload.decode()),
    codes.COMPLEX: _complex_from,
}


def _from_pairs(parts: list[Any]) -> dict[Any, Any]:
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _default_dict_from(parts: list[Any], find: Find) -> defaultdict[Any, Any]:
    name, items = parts
    factory = None if name is None else _FACTORIES.get(name) or find(name)
    return defaultdict(factory, items)


def _moment_from(kind: Any, parts: list[Any]) -> Any:
    moment = kind.fromisoformat(parts[0])
    if len(parts) == 1:
        return moment
    _, zone, fold = parts
    return moment.replace(tzinfo=zone, fold=fold)


def _missing_from(parts: list[Any]) -> Any:
    if parts:
        raise UnfitError("is no value, and yet has parts")
    return MISSING


FROM: dict[int, Callable[[list[Any], Find], Any]] = {
    codes.TUPLE: lambda parts, find: tuple(parts),
    codes.SET: lambda parts, find: set(parts),
    codes.FROZENSET: lambda parts, find: frozenset(parts),
    codes.MAP: lambda parts, find: _from_pairs(parts),
    codes.ORDERED_DICT: lambda parts, find: OrderedDict(_from_pairs(parts)),
    codes.COUNTER: lambda parts, find: Counter(_from_pairs(parts)),
    codes.DEQUE: lambda parts, find: deque(parts[1], parts[0]),
    codes.DEFAULT_DICT: _default_dict_from,
    codes.RANGE: lambda parts, find: range(*parts),
    codes.DATETIME: lambda parts, find: _moment_from(dt.datetime, parts),
    codes.DATE: lambda parts, find: dt.date.fromisoformat(parts[0]),
    codes.TIME: lambda parts, find: _moment_from(dt.time, parts),
    codes.TIMEDELTA: lambda parts, find: dt.timedelta(*parts),
    codes.TIMEZONE: lambda parts, find: dt.timezone(*parts),
    codes.PATTERN: lambda parts, find: re.compile(parts[0], parts[1] & _PATTERN_FLAGS),
    codes.MISSING: lambda parts, find: _missing_from(parts),
}
