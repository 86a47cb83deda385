"""LangGraph's msgpack back to values. Makes nothing but data, and instances of classes that are allowed.

An instance whose class is not allowed, or that cannot be made any more, comes as the data it was stored
with; so nothing is lost, and whoever checks the state's schema sees it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

import ormsgpack

from dashflow.checkpoint.serde import notices, wire
from dashflow.checkpoint.serde._msgpack import SAFE_MSGPACK_METHODS
from dashflow.checkpoint.serde.names import Classes
from dashflow.checkpoint.serde.types import _DeltaSnapshot

_DTYPE = re.compile(r"[<>|=]?[biufcSUVmM][0-9]+(\[[0-9A-Za-z/]+\])?")
"""Numpy's plain data: no objects, no names of fields."""


class _Stored:
    """An extension that is not revived yet."""

    __slots__ = ("code", "payload")

    def __init__(self, code: int, payload: bytes) -> None:
        self.code = code
        self.payload = payload


def loads(data: bytes, classes: Classes) -> Any:
    """The value that ``dump.dumps``, or LangGraph, made ``data`` of.

    Raises:
        ValueError: The data is damaged, or nested too deeply.
    """
    return _Reader(classes).read(data)


class _Reader:
    """One decoding. Extensions are kept aside by the unpacker and revived afterwards, from the inside out:
    hostile nesting then costs no stack of the unpacker's."""

    __slots__ = ("_classes", "_depth", "_met")

    def __init__(self, classes: Classes) -> None:
        self._classes = classes
        self._depth = 0
        self._met = False

    def _meet(self, code: int, payload: bytes) -> _Stored:
        self._met = True
        return _Stored(code, payload)

    def read(self, data: bytes) -> Any:
        self._met = False
        value = ormsgpack.unpackb(data, ext_hook=self._meet, option=wire.UNPACKING)
        return self._settled(value) if self._met else value

    def _settled(self, value: Any) -> Any:
        """``value`` with everything in it revived; lists and dicts are changed in place."""
        if type(value) is _Stored:
            return self._revive(value)
        todo = [value]
        while todo:
            container = todo.pop()
            if type(container) is list:
                for index, item in enumerate(container):
                    if type(item) is _Stored:
                        container[index] = self._revive(item)
                    elif type(item) is list or type(item) is dict:
                        todo.append(item)
            elif type(container) is dict:
                self._settle_dict(container, todo)
        return value

    def _settle_dict(self, container: dict[Any, Any], todo: list[Any]) -> None:
        if any(type(key) is _Stored or type(key) is tuple for key in container):
            items = [(self._key(key), item) for key, item in container.items()]
            container.clear()
            try:
                container.update(items)
            except TypeError as problem:
                raise ValueError(f"Stored data is damaged: a key of a dict is none ({problem})") from problem
        for key, item in container.items():
            if type(item) is _Stored:
                container[key] = self._revive(item)
            elif type(item) is list or type(item) is dict:
                todo.append(item)

    def _key(self, key: Any) -> Any:
        if type(key) is _Stored:
            return self._revive(key)
        return tuple(map(self._key, key)) if type(key) is tuple else key

    def _revive(self, stored: _Stored) -> Any:
        if self._depth == wire.MAX_DEPTH:
            raise ValueError(f"Stored data is nested more than {wire.MAX_DEPTH} values deep")
        self._depth += 1
        try:
            parts = self.read(stored.payload)
        finally:
            self._depth -= 1
        if stored.code == wire.EXT_DELTA_SNAPSHOT:
            return _DeltaSnapshot(parts)
        if stored.code == wire.EXT_NUMPY_ARRAY:
            return _array(parts)
        make = _MAKERS.get(stored.code)
        if make is None:
            raise ValueError(f"Stored data has an extension {stored.code}, which this version does not know")
        return self._instance(stored.code, make, parts)

    def _instance(self, code: int, make: Callable[[Any, Any], Any], parts: Any) -> Any:
        if not (isinstance(parts, list) and len(parts) >= 3 and _are_texts(parts[0], parts[1])):
            raise ValueError("Stored data is damaged: an extension does not say what it is")
        module, name, payload = parts[:3]
        if code == wire.EXT_METHOD_SINGLE_ARG:
            method = parts[3] if len(parts) > 3 else ""
            if not isinstance(method, str) or (module, name, method) not in SAFE_MSGPACK_METHODS:
                notices.say_method_blocked(module, name, str(method))
                return payload
            make = lambda kind, told: getattr(kind, method)(told)  # noqa: E731
        try:
            kind = self._classes.find(module, name)
            return payload if kind is None else make(kind, payload)
        except Exception as problem:
            notices.say_unrevivable(module, name, problem)
            return payload


def _are_texts(*values: Any) -> bool:
    return all(isinstance(value, str) for value in values)


def _positional(kind: Any, told: Any) -> Any:
    if kind.__module__.startswith("dashflow.") and len(told) == 3:  # a Send: its third part is no position
        return kind(told[0], told[1], timeout=told[2])
    return kind(*told)


def _pydantic_v1(kind: Any, told: Any) -> Any:
    try:
        return kind(**told)
    except Exception:
        return kind.construct(**told)


def _pydantic_v2(kind: Any, told: Any) -> Any:
    try:
        return kind(**told)
    except Exception:
        return kind.model_construct(**told)


_MAKERS: dict[int, Callable[[Any, Any], Any]] = {
    wire.EXT_CONSTRUCTOR_SINGLE_ARG: lambda kind, told: kind(told),
    wire.EXT_CONSTRUCTOR_POS_ARGS: _positional,
    wire.EXT_CONSTRUCTOR_KW_ARGS: lambda kind, told: kind(**told),
    wire.EXT_METHOD_SINGLE_ARG: lambda kind, told: kind(told),
    wire.EXT_PYDANTIC_V1: _pydantic_v1,
    wire.EXT_PYDANTIC_V2: _pydantic_v2,
}


def _array(parts: Any) -> Any:
    try:
        dtype, shape, order, data = parts
        if not _DTYPE.fullmatch(dtype):
            raise ValueError(f"an array of dtype {dtype!r}")
        return import_module("numpy").frombuffer(data, dtype).reshape(shape, order=order)
    except Exception as problem:
        raise ValueError(f"Stored data has an array that cannot be read: {problem}") from problem
