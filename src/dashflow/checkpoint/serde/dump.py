"""Values as LangGraph's msgpack: what msgpack has no type for becomes an extension that names its class."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import sys
from collections import deque
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import ormsgpack
from msgspec import Struct
from ormsgpack import Ext

from dashflow.checkpoint.serde import wire
from dashflow.checkpoint.serde.names import stored_name
from dashflow.checkpoint.serde.types import SendProtocol, _DeltaSnapshot

Parts = tuple[int, Any]
"""An extension's number, and what its payload says."""


_INLINE = 6
"""Values inside of values that the first way goes down; each takes a part of the stack."""


def dumps(value: Any) -> bytes:
    """``value`` as msgpack.

    Raises:
        ormsgpack.MsgpackEncodeError: Something in it cannot be stored; the message names its place. It is
            a ``TypeError``.
    """
    try:
        return _Writer().pack(value)
    except ormsgpack.MsgpackEncodeError:
        return _pack_with_care(value, "", 0)


class _Writer:
    """One encoding by the packer, which asks about every value that it has no type for."""

    __slots__ = ("_depth",)

    def __init__(self) -> None:
        self._depth = 0

    def pack(self, value: Any) -> bytes:
        return ormsgpack.packb(value, self._extend, wire.PACKING)

    def _extend(self, value: Any) -> Ext | str:
        if isinstance(value, BaseException):
            return repr(value)
        if self._depth == _INLINE:
            raise TypeError("nested deeply")
        self._depth += 1
        try:
            code, payload = parts_of(value)
            return Ext(code, self.pack(payload))
        finally:
            self._depth -= 1


def _pack_with_care(value: Any, place: str, depth: int) -> bytes:
    """What ``dumps`` does for a value that the packer refused: part by part, so that it can say which."""
    if depth == wire.MAX_DEPTH:
        raise _fault(place, value, f"it is nested more than {depth} levels deep, or contains itself")
    if type(value) is list or type(value) is tuple:
        parts = [_part(part, f"{place}[{index}]", depth) for index, part in enumerate(value)]
        return ormsgpack.packb(parts)
    if type(value) is dict:
        told = {key: _part(part, f"{place}[{key!r}]", depth) for key, part in value.items()}
        try:
            return ormsgpack.packb(told, option=wire.PACKING)
        except ormsgpack.MsgpackEncodeError as problem:
            raise _fault(place, value, f"a key of it cannot be stored: {problem}") from problem
    try:
        code, payload = parts_of(value)
    except Exception as problem:
        raise _fault(place, value, str(problem)) from problem
    return ormsgpack.packb(Ext(code, _pack_payload(value, payload, place, depth)))


def _pack_payload(value: Any, payload: Any, place: str, depth: int) -> bytes:
    """What an extension says; a class's fields are at the value's own place."""
    if type(payload) is tuple and len(payload) > 2 and type(payload[2]) is dict:
        fields = {name: _part(part, f"{place}.{name}", depth) for name, part in payload[2].items()}
        told = ormsgpack.Fragment(ormsgpack.packb(fields, option=wire.PACKING))
        return ormsgpack.packb([*payload[:2], told, *payload[3:]])
    if type(payload) is tuple and len(payload) > 2 and type(payload[0]) is str:
        told = _part(payload[2], place, depth)
        return ormsgpack.packb([*payload[:2], told, *payload[3:]])
    return _pack(payload, place, depth)


def _part(value: Any, place: str, depth: int) -> ormsgpack.Fragment:
    return ormsgpack.Fragment(_pack(value, place, depth + 1))


def _pack(value: Any, place: str, depth: int) -> bytes:
    """A part of a value that the packer refused; most parts it does not refuse."""
    try:
        return _Writer().pack(value)
    except ormsgpack.MsgpackEncodeError:
        return _pack_with_care(value, place, depth + 1)


def _fault(place: str, value: Any, problem: str) -> ormsgpack.MsgpackEncodeError:
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    return ormsgpack.MsgpackEncodeError(
        f"Value at {place or 'the top'} is a {kind}, which is not serializable: {problem}"
    )


def parts_of(value: Any) -> Parts:
    """The extension that says ``value``.

    Raises:
        TypeError: None can.
    """
    kind = type(value)
    taker = _BY_TYPE.get(kind)
    if taker is not None:
        return taker(value)
    for applies, taker in _BY_TRAIT:
        if applies(value):
            return taker(value)
    raise TypeError(f"Object of type {kind.__name__} is not serializable")


def _called(code: int, told: Callable[[Any], Any]) -> Callable[[Any], Parts]:
    """Stored as the class and what its constructor is given."""
    return lambda value: (code, (*stored_name(type(value)), told(value)))


Told = Callable[[Any], Any]


def _one(told: Told) -> Callable[[Any], Parts]:
    """Stored as the class and its constructor's only argument."""
    return _called(wire.EXT_CONSTRUCTOR_SINGLE_ARG, told)


def _many(told: Told) -> Callable[[Any], Parts]:
    """Stored as the class and its constructor's arguments."""
    return _called(wire.EXT_CONSTRUCTOR_POS_ARGS, told)


def _named(told: Told) -> Callable[[Any], Parts]:
    """Stored as the class and its constructor's arguments by name."""
    return _called(wire.EXT_CONSTRUCTOR_KW_ARGS, told)


def _has_method(name: str) -> Callable[[Any], bool]:
    return lambda value: callable(getattr(value, name, None))


def _is_of(module: str, *names: str) -> Callable[[Any], bool]:
    """Instances of classes of a module, which is not imported to find out."""

    def applies(value: Any) -> bool:
        loaded = sys.modules.get(module)
        return loaded is not None and isinstance(value, tuple(getattr(loaded, name) for name in names))

    return applies


def _datetime(value: dt.datetime) -> Parts:
    return wire.EXT_METHOD_SINGLE_ARG, (*stored_name(type(value)), value.isoformat(), "fromisoformat")


def _time(value: dt.time) -> dict[str, Any]:
    return {
        name: getattr(value, name) for name in ("hour", "minute", "second", "microsecond", "tzinfo", "fold")
    }


def _pydantic(value: Any) -> Parts:
    return wire.EXT_PYDANTIC_V2, (*stored_name(type(value)), value.model_dump(), "model_validate_json")


def _send(value: Any) -> tuple[Any, ...]:
    timeout = getattr(value, "timeout", None)
    return (value.node, value.arg) if timeout is None else (value.node, value.arg, timeout)


def _fields(value: Any) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}


def _item(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in ("value", "key", "namespace", "created_at", "updated_at")}


def _array(value: Any) -> Parts:
    fortran = value.flags.f_contiguous and not value.flags.c_contiguous
    data = (
        memoryview(value) if value.flags.c_contiguous and value.dtype.kind not in "mM" else value.tobytes("A")
    )
    return wire.EXT_NUMPY_ARRAY, (value.dtype.str, value.shape, "F" if fortran else "C", data)


_BY_TYPE: dict[type, Callable[[Any], Parts]] = {
    _DeltaSnapshot: lambda value: (wire.EXT_DELTA_SNAPSHOT, value.value),
    dt.datetime: _datetime,
    dt.date: _many(lambda value: (value.year, value.month, value.day)),
    dt.time: _named(_time),
    dt.timedelta: _many(lambda value: (value.days, value.seconds, value.microseconds)),
    dt.timezone: _many(lambda value: value.__getinitargs__()),
    UUID: _one(lambda value: value.hex),
    Decimal: _one(str),
    set: _one(tuple),
    frozenset: _one(tuple),
    deque: _one(tuple),
}

_BY_TRAIT: tuple[tuple[Callable[[Any], bool], Callable[[Any], Parts]], ...] = (
    (_has_method("model_dump"), _pydantic),
    (_has_method("get_secret_value"), _one(lambda value: value.get_secret_value())),
    (_has_method("dict"), _called(wire.EXT_PYDANTIC_V1, lambda value: value.dict())),
    (_has_method("_asdict"), _named(lambda value: value._asdict())),
    (_is_of("pathlib", "Path"), _many(lambda value: value.parts)),
    (
        lambda value: isinstance(value, re.Pattern),
        lambda value: (wire.EXT_CONSTRUCTOR_POS_ARGS, ("re", "compile", (value.pattern, value.flags))),
    ),
    (lambda value: isinstance(value, UUID), _one(lambda value: value.hex)),
    (lambda value: isinstance(value, Decimal), _one(str)),
    (lambda value: isinstance(value, set | frozenset | deque), _one(tuple)),
    (
        _is_of(
            "ipaddress",
            *("IPv4Address", "IPv4Interface", "IPv4Network", "IPv6Address", "IPv6Interface", "IPv6Network"),
        ),
        _one(str),
    ),
    (lambda value: isinstance(value, dt.datetime), _datetime),
    (
        lambda value: isinstance(value, dt.timedelta),
        _many(lambda value: (value.days, value.seconds, value.microseconds)),
    ),
    (lambda value: isinstance(value, dt.date), _many(lambda value: (value.year, value.month, value.day))),
    (lambda value: isinstance(value, dt.time), _named(_time)),
    (_is_of("zoneinfo", "ZoneInfo"), _one(lambda value: value.key)),
    (lambda value: isinstance(value, Enum), _one(lambda value: value.value)),
    (lambda value: isinstance(value, SendProtocol), _many(_send)),
    (dataclasses.is_dataclass, _named(_fields)),
    (_is_of("dashflow.store.base", "Item"), _named(_item)),
    (
        lambda value: isinstance(value, Struct),
        _named(lambda value: {name: getattr(value, name) for name in value.__struct_fields__}),
    ),
    (_is_of("numpy", "ndarray"), _array),
)
"""In this order: what a value can do counts before what it is."""
