"""Encoding: one call of the packer for a value as it usually is; step by step where that fails.

The packer is written in Rust and asks a hook about every value it has no type for. It cannot say where in
a value the hook gave up, nor take dicts whose keys are no plain text: for these, and only then, the second
way goes through the value itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ormsgpack
from ormsgpack import Ext, Fragment, packb

from dashflow.log.codec import classes, foreign, plain, vocabulary
from dashflow.log.codec.codes import UnfitError
from dashflow.log.codec.opaque import Opaque
from dashflow.log.codec.paths import Index, Path, fault, in_payload
from dashflow.log.codec.plain import Parts

MAX_BYTES = 1 << 29
"""Larger values are refused; stores have limits near this."""

MAX_DEPTH = 100
"""Levels that the second way goes down."""

_OPTIONS = (
    ormsgpack.OPT_PASSTHROUGH_BIG_INT
    | ormsgpack.OPT_PASSTHROUGH_DATACLASS
    | ormsgpack.OPT_PASSTHROUGH_DATETIME
    | ormsgpack.OPT_PASSTHROUGH_ENUM
    | ormsgpack.OPT_PASSTHROUGH_SUBCLASS
    | ormsgpack.OPT_PASSTHROUGH_TUPLE
    | ormsgpack.OPT_PASSTHROUGH_UUID
)

_Taker = Callable[[Any], Parts]

_takers: dict[type, _Taker] = {
    **plain.PARTS,
    **vocabulary.PARTS,
    Opaque: lambda value: value.raw,
}

_learned: dict[type, _Taker] = {}
"""Takers of classes met so far. Emptied when it has grown large: a program may make classes without end."""

_MOST_LEARNED = 4096

_PROCESS_BOUND = ("_asyncio", "_io", "_thread", "asyncio", "builtins", "socket", "threading")
"""Modules whose values mean nothing to another process."""

_RARE = ("fractions", "ipaddress", "numpy", "pathlib", "zoneinfo")
"""Modules whose values ``rare`` knows; it is imported for these only."""


def encode(value: Any, path: str = "") -> bytes:
    """``value`` as bytes that ``decode`` makes an equal value of, of the same types.

    Two exceptions: bytearray and memoryview come back as bytes, and an exception as a ``RecordedError``.

    Args:
        value: Any data; see the package's text for what counts as data.
        path: Where the value is, for the message of an error.

    Raises:
        ValueCodecError: Something in it cannot be stored; ``data["path"]`` says what.
    """
    try:
        data = packb(value, _HOOKS[0], _OPTIONS)
    except TypeError:
        data = _pack_with_care(value, path)
    if len(data) > MAX_BYTES:
        raise fault(path, f"takes {len(data)} bytes; up to {MAX_BYTES} can be stored")
    return data


def _take(value: Any) -> Parts:
    """The parts of a value that the packer has no type for.

    Raises:
        UnfitError: It cannot be stored.
    """
    kind = type(value)
    taker = _takers.get(kind) or _learned.get(kind) or _learn(kind)
    return taker(value)


def _learn(kind: type) -> _Taker:
    if issubclass(kind, BaseException):
        return vocabulary.error_parts
    taker = foreign.parts_of(kind) or classes.parts_of(kind)
    if kind.__module__.partition(".")[0] in _RARE:
        from dashflow.log.codec import rare

        taker = rare.parts_of(kind) or taker
    if taker is None:
        raise UnfitError(f"is {_what(kind)}, which cannot be stored")
    if len(_learned) >= _MOST_LEARNED:
        _learned.clear()
    _learned[kind] = taker
    return taker


def _what(kind: type) -> str:
    """A type in words, and what to use instead where there is something."""
    name = f"a {kind.__module__}.{kind.__qualname__}"
    if issubclass(kind, type):
        return f"{name} (a class and no data)"
    if kind.__module__ in ("builtins", "functools") and any(
        "__call__" in vars(base) for base in kind.__mro__
    ):
        return f"{name} (code and no data)"
    if kind.__module__ in _PROCESS_BOUND:
        return f"{name} (something that lives in this process only)"
    return f"{name} (make it a dataclass, pydantic model, msgspec.Struct, NamedTuple or dict)"


def _sorted_items(packed: list[bytes]) -> list[Fragment]:
    """A set's items in an order that depends on nothing but them."""
    return [Fragment(item) for item in sorted(packed)]


def _hook_at(depth: int) -> Callable[[Any], Any]:
    def hook(value: Any) -> Ext:
        code, payload = _take(value)
        if type(payload) is bytes:
            return Ext(code, payload)
        deeper = _HOOKS[depth + 1]
        if type(payload) is not list:
            payload = _sorted_items([packb(item, deeper, _OPTIONS) for item in payload])
        return Ext(code, packb(payload, deeper, _OPTIONS))

    return hook


def _too_deep(value: Any) -> Any:
    """Leave it to the second way, which takes less of the stack."""
    raise UnfitError("is nested deeply")


_HOOKS = [*map(_hook_at, range(12)), _too_deep]
"""The hook for each depth of values inside of values; each has a part of the stack below it."""


# -- the second way -----------------------------------------------------------------------------


def _pack_with_care(value: Any, path: Path, depth: int = 0) -> bytes:
    """What ``encode`` does for a value that the packer refused."""
    if depth >= MAX_DEPTH:
        raise fault(path, f"is nested more than {MAX_DEPTH} levels deep, or contains itself")
    kind = type(value)
    if kind is list:
        return packb([_part(item, (path, Index(index)), depth) for index, item in enumerate(value)])
    if kind is dict and all(map(_is_key, value)):
        return packb({key: _part(item, (path, key), depth) for key, item in value.items()})
    try:
        code, payload = _take(value)
    except UnfitError as problem:
        raise fault(path, str(problem)) from None
    except Exception as problem:
        raise fault(path, f"cannot be taken apart: {type(problem).__name__}: {problem}") from problem
    if type(payload) is bytes:
        return packb(Ext(code, payload))
    if type(payload) is list:
        items = [_part(item, in_payload(path, code, payload, at), depth) for at, item in enumerate(payload)]
    else:
        items = _sorted_items([_pack(item, (path, item), depth) for item in payload])
    return packb(Ext(code, packb(items)))


def _part(value: Any, path: Path, depth: int) -> Fragment:
    return Fragment(_pack(value, path, depth))


def _pack(value: Any, path: Path, depth: int) -> bytes:
    """A part of a value that the packer refused; most parts it does not refuse."""
    try:
        return packb(value, _HOOKS[0], _OPTIONS)
    except TypeError:
        return _pack_with_care(value, path, depth + 1)


def _is_key(key: Any) -> bool:
    """Whether the packer takes ``key`` as a dict's key: plain text that UTF-8 can say."""
    if type(key) is not str:
        return False
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True
