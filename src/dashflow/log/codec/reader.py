"""Decoding: one call of the unpacker for data as it usually is; step by step where that fails.

The second way is for data that is wrong, to say where and what, and for data nested so deeply that the
first would need too much of the stack.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from ormsgpack import unpackb

from dashflow.errors import LogError
from dashflow.log.codec import blobs, classes, codes, foreign, plain, vocabulary
from dashflow.log.codec.blobs import Load
from dashflow.log.codec.codes import UnfitError, UnknownClassError
from dashflow.log.codec.opaque import Opaque
from dashflow.log.codec.paths import Index, Path, fault, in_payload
from dashflow.log.codec.registry import Registry
from dashflow.log.codec.writer import MAX_BYTES

_INLINE_DEPTH = 3
"""Values inside of values that the first way goes down. One call of the unpacker may take 0.8 MB of stack."""

_MAX_DEPTH = 150
"""Values inside of values that can be read; more than can be written."""

_LARGE = 1 << 18
"""Bytes that may become so many objects that the garbage collector had better wait for their end."""

_NOBODY = Registry()

_FROM_PARTS: dict[int, Callable[[list[Any], plain.Find], Any]] = {
    **plain.FROM,
    **vocabulary.FROM,
    codes.LANGCHAIN: lambda parts, find: foreign.langchain_from(parts),
    codes.PYDANTIC_VALUE: lambda parts, find: foreign.pydantic_value_from(parts),
}


def decode(
    data: bytes,
    registry: Registry | None = None,
    *,
    unknown: Literal["raise", "opaque"] = "raise",
    path: str = "",
    load: Load | None = None,
) -> Any:
    """The value that ``encode`` made ``data`` of.

    Nothing is imported or called because the data says so: classes come from ``registry``, from what this
    process itself encoded, and from a fixed table of LangChain's.

    Args:
        data: Bytes from anywhere; hostile ones cannot do more than be refused.
        registry: Classes that the data may become.
        unknown: What a class that is not registered gives: an error, or an ``Opaque``.
        path: Where the value is, for the message of an error.
        load: From keys to what is kept beside the data (``EventLog.blob``).

    Raises:
        LogError: As ``load``: what is beside the data is missing or damaged, or the log cannot be read.
        ValueCodecError: The data is damaged, or not made by ``encode``, or a class in it is unknown or no
            longer fits; ``data["path"]`` says where.
    """
    if len(data) > MAX_BYTES:
        raise fault(path, f"takes {len(data)} bytes; up to {MAX_BYTES} are read")
    reader = _Reader(registry or _NOBODY, unknown == "opaque", load)
    try:
        if len(data) < _LARGE:
            return unpackb(data, ext_hook=reader.hook)
        from dashflow._util.collector import resting

        with resting():
            return unpackb(data, ext_hook=reader.hook)
    except Exception:
        return reader.read_with_care(data, path)


class _Pending:
    """A stored value whose turn comes later, in the second way."""

    __slots__ = ("code", "payload")

    def __init__(self, code: int, payload: bytes) -> None:
        self.code = code
        self.payload = payload


class _Reader:
    """One decoding: where classes come from, and how deep it is."""

    __slots__ = ("_depth", "_load", "_opaque", "_registry")

    def __init__(self, registry: Registry, opaque: bool, load: Load | None) -> None:
        self._load = load
        self._registry = registry
        self._opaque = opaque
        self._depth = 0

    def hook(self, code: int, payload: bytes) -> Any:
        """Revive a value for the unpacker, which forgets what it failed with."""
        if code not in codes.RAW:
            depth = self._depth
            if depth == _INLINE_DEPTH:
                raise UnfitError("is nested deeply")
            self._depth = depth + 1
            parts = unpackb(payload, ext_hook=self.hook)
            self._depth = depth
            if code != codes.LANGCHAIN:
                return self._revive(code, parts, payload)
            try:  # conversations are mostly made of these
                return foreign.langchain_from(parts)
            except UnknownClassError:
                return self._revive(code, parts, payload)
        if code in codes.BLOBS:
            return blobs.revive(code, payload, self._load)
        return plain.RAW[code](payload)

    def _find(self, name: Any) -> type:
        kind = self._registry.find(name) if isinstance(name, str) else None
        if kind is None:
            raise UnknownClassError(
                f"is of {name!r}, which is not registered here. Name the class in the state's annotations, "
                "or register it"
            )
        return kind

    def _revive(self, code: int, parts: Any, payload: bytes) -> Any:
        if type(parts) is not list:
            raise UnfitError("is damaged: its parts are no list")
        try:
            if make := _FROM_PARTS.get(code):
                return make(parts, self._find)
            if code in classes.FROM:
                return self._instance(code, parts)
            from dashflow.log.codec import rare

            if make := rare.FROM.get(code):
                return make(parts, self._find)
        except UnknownClassError:
            if self._opaque and len(parts) > 1:
                return Opaque(str(parts[0]), parts[1], code, payload)
            raise
        raise UnfitError(f"is of kind {code}, which this version of DashFlow does not know")

    def _instance(self, code: int, parts: list[Any]) -> Any:
        name, fields, *rest = parts
        kind = self._find(name)
        if not classes.FITS[code](kind) or type(fields) is not dict:
            raise UnfitError(f"was stored when {name!r} was another sort of class")
        return classes.FROM[code](kind, fields, rest)

    # -- the second way -------------------------------------------------------------------------

    def read_with_care(self, data: bytes, path: str) -> Any:
        """What ``decode`` does for data that the first way failed on."""
        self._depth = 0
        try:
            return self._read(data, path)
        except RecursionError:
            raise fault(path, "is nested more deeply than can be read here") from None

    def _read(self, data: bytes, path: Path) -> Any:
        try:
            value = unpackb(data, ext_hook=_Pending)
        except Exception as problem:
            raise fault(path, f"is damaged: {problem}") from None
        if type(value) is _Pending:
            return self._settle(value, path)
        if type(value) is list or type(value) is dict:
            self._settle_items(value, path)
        return value

    def _settle_items(self, value: Any, path: Path) -> None:
        """Revive what is pending inside of a list or dict, however deep, in place."""
        todo: list[tuple[Any, Path]] = [(value, path)]
        while todo:
            container, place = todo.pop()
            named = type(container) is dict
            for key, item in list(container.items() if named else enumerate(container)):
                kind = type(item)
                if kind is _Pending or kind is list or kind is dict:
                    below = (place, key if named else Index(key))
                    if kind is _Pending:
                        container[key] = self._settle(item, below)
                    else:
                        todo.append((item, below))

    def _settle(self, pending: _Pending, path: Path) -> Any:
        code, payload = pending.code, pending.payload
        if self._depth == _MAX_DEPTH:
            raise fault(path, f"is nested more than {_MAX_DEPTH} values deep")
        self._depth += 1
        try:
            if raw := plain.RAW.get(code):
                return raw(payload)
            if code in codes.BLOBS:
                return blobs.revive(code, payload, self._load)
            return self._revive(code, self._parts(code, payload, path), payload)
        except (LogError, RecursionError):
            raise
        except UnfitError as problem:
            raise fault(path, str(problem)) from None
        except Exception as problem:
            raise fault(path, f"is damaged: {type(problem).__name__}: {problem}") from problem
        finally:
            self._depth -= 1

    def _parts(self, code: int, payload: bytes, path: Path) -> Any:
        parts = unpackb(payload, ext_hook=_Pending)
        if type(parts) is list:
            for index, part in enumerate(parts):
                below = in_payload(path, code, parts, index)
                if type(part) is _Pending:
                    parts[index] = self._settle(part, below)
                elif type(part) is list or type(part) is dict:
                    self._settle_items(part, below)
        return parts
