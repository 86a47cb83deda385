"""Values of modules that few programs load: paths, addresses, fractions, time zones by name, numpy.

Imported at the first value of such a type, so that nobody else pays for these modules.
"""

from __future__ import annotations

import ipaddress
import re
import sys
from collections.abc import Callable
from fractions import Fraction
from importlib import import_module
from pathlib import PosixPath, PurePath, PurePosixPath, PureWindowsPath, WindowsPath
from typing import Any
from zoneinfo import ZoneInfo

from dashflow.log.codec import codes
from dashflow.log.codec.codes import UnfitError
from dashflow.log.codec.plain import Find, Parts

_PATHS: dict[type[PurePath], str] = {
    PurePosixPath: "pure-posix",
    PureWindowsPath: "pure-windows",
    PosixPath: "posix",
    WindowsPath: "windows",
}

_ADDRESSES: dict[str, Callable[[Any], Any]] = {
    kind.__name__: kind
    for kind in (
        ipaddress.IPv4Address,
        ipaddress.IPv6Address,
        ipaddress.IPv4Network,
        ipaddress.IPv6Network,
        ipaddress.IPv4Interface,
        ipaddress.IPv6Interface,
    )
}

_ZONE_KEY = re.compile(r"[A-Za-z0-9_+\-]+(/[A-Za-z0-9_+\-]+)*")

_DTYPE = re.compile(r"[<>|=][biufcSUmM][1-9][0-9]{0,8}(\[[0-9a-zA-Zμ]{1,8}\])?")
"""Types of array items that are data alone: no objects, no structures."""


# -- to parts -----------------------------------------------------------------------------------


def parts_of(kind: type) -> Callable[[Any], Parts] | None:
    """What takes values of exactly this type apart; None for types this file knows nothing of."""
    if kind in _PARTS:
        return _PARTS[kind]
    numpy: Any = sys.modules.get("numpy")
    if numpy is not None:
        if kind is numpy.ndarray:
            return _array_parts
        if issubclass(kind, numpy.generic):
            return _scalar_parts
    return None


def _zone_info_parts(value: ZoneInfo) -> Parts:
    if value.key is None:
        raise UnfitError("is a ZoneInfo without a key; make it with ZoneInfo(key)")
    return codes.ZONE_INFO, [value.key]


def _path_parts(value: PurePath) -> Parts:
    return codes.PATH, [_PATHS[type(value)], str(value)]


def _address_parts(value: Any) -> Parts:
    return codes.IP, [type(value).__name__, str(value)]


def _array_parts(value: Any) -> Parts:
    order = "F" if value.flags.f_contiguous and not value.flags.c_contiguous else "C"
    return codes.NDARRAY, [_dtype(value), list(value.shape), order, value.tobytes(order)]


def _scalar_parts(value: Any) -> Parts:
    return codes.NUMPY_SCALAR, [_dtype(value), value.tobytes()]


def _dtype(value: Any) -> str:
    name: str = value.dtype.str
    if not _DTYPE.fullmatch(name):
        raise UnfitError(
            f"is a numpy value of dtype {value.dtype}; numbers, booleans, dates, bytes and text can be stored"
        )
    return name


_PARTS: dict[type, Callable[[Any], Parts]] = {
    Fraction: lambda value: (codes.FRACTION, [value.numerator, value.denominator]),
    ZoneInfo: _zone_info_parts,
    **dict.fromkeys(_PATHS, _path_parts),
    **{kind: _address_parts for kind in _ADDRESSES.values() if isinstance(kind, type)},
}


# -- and back -----------------------------------------------------------------------------------


def _zone_info_from(parts: list[Any]) -> ZoneInfo:
    (key,) = parts
    if not _ZONE_KEY.fullmatch(key):
        raise UnfitError(f"is no time zone: {key!r}")
    return ZoneInfo(key)


def _path_from(parts: list[Any]) -> PurePath:
    flavour, text = parts
    kind = next(kind for kind, name in _PATHS.items() if name == flavour)
    if kind is WindowsPath and sys.platform != "win32":
        kind = PureWindowsPath
    elif kind is PosixPath and sys.platform == "win32":
        kind = PurePosixPath
    return kind(text)


def _array_from(parts: list[Any]) -> Any:
    name, shape, order, data = parts
    if not _DTYPE.fullmatch(name) or order not in ("C", "F"):
        raise UnfitError(f"is an array of dtype {name!r} in order {order!r}")
    numpy = import_module("numpy")
    if not data:
        if 0 not in shape:
            raise UnfitError(f"is an array of shape {shape} without its data")
        return numpy.empty(shape, name, order)
    return numpy.frombuffer(data, name).reshape(shape, order=order).copy(order)


def _scalar_from(parts: list[Any]) -> Any:
    name, data = parts
    if not _DTYPE.fullmatch(name):
        raise UnfitError(f"is a numpy value of dtype {name!r}")
    (value,) = import_module("numpy").frombuffer(data, name)
    return value


FROM: dict[int, Callable[[list[Any], Find], Any]] = {
    codes.FRACTION: lambda parts, find: Fraction(*parts),
    codes.ZONE_INFO: lambda parts, find: _zone_info_from(parts),
    codes.PATH: lambda parts, find: _path_from(parts),
    codes.IP: lambda parts, find: _ADDRESSES[parts[0]](parts[1]),
    codes.NDARRAY: lambda parts, find: _array_from(parts),
    codes.NUMPY_SCALAR: lambda parts, find: _scalar_from(parts),
}
