"""JsonPlusSerializer: the serialiser that savers, stores and caches have unless they are given another.

Reads what LangGraph's writes, and writes what LangGraph's reads. Unlike it, never imports a class because
stored data names it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any, Literal, Self

import ormsgpack

from dashflow.checkpoint.serde import _msgpack, dump, legacy, load, notices, pickles, wire
from dashflow.checkpoint.serde._msgpack import AllowedMsgpackModules
from dashflow.checkpoint.serde.base import SerializerProtocol
from dashflow.checkpoint.serde.legacy import InvalidModuleError
from dashflow.checkpoint.serde.names import Allowed, Classes, normalized
from dashflow.checkpoint.serde.wire import (
    EXT_CONSTRUCTOR_KW_ARGS,
    EXT_CONSTRUCTOR_POS_ARGS,
    EXT_CONSTRUCTOR_SINGLE_ARG,
    EXT_DELTA_SNAPSHOT,
    EXT_METHOD_SINGLE_ARG,
    EXT_NUMPY_ARRAY,
    EXT_PYDANTIC_V1,
    EXT_PYDANTIC_V2,
)
from dashflow.log.codec import Registry

__all__ = (
    "EXT_CONSTRUCTOR_KW_ARGS",
    "EXT_CONSTRUCTOR_POS_ARGS",
    "EXT_CONSTRUCTOR_SINGLE_ARG",
    "EXT_DELTA_SNAPSHOT",
    "EXT_METHOD_SINGLE_ARG",
    "EXT_NUMPY_ARRAY",
    "EXT_PYDANTIC_V1",
    "EXT_PYDANTIC_V2",
    "InvalidModuleError",
    "JsonPlusSerializer",
)

_warned_unregistered_types = notices.unregistered
_warned_blocked_types = notices.blocked


class JsonPlusSerializer(SerializerProtocol):
    """Values as msgpack, with LangGraph's tags and extensions.

    Instances of classes come back when the class is one of a fixed table of data types, is allowed or
    registered by the program, or was stored earlier by this process. Any other comes as the data it was
    stored with, and a warning says so once.

    Args:
        pickle_fallback: Pickle what msgpack cannot say. Such data is read through a closed table that
            knows pandas and numpy.
        allowed_json_modules: (module, name) of classes that JSON of LangGraph's first releases may
            become; True: those that this process stored.
        allowed_msgpack_modules: The same for msgpack, or the classes themselves; None: only the fixed
            table. Left out: True, unless the environment says ``LANGGRAPH_STRICT_MSGPACK=true``.
        __unpack_ext_hook__: Reads msgpack's extensions instead.
    """

    def __init__(
        self,
        *,
        pickle_fallback: bool = False,
        allowed_json_modules: Iterable[tuple[str, ...]] | Literal[True] | None = None,
        allowed_msgpack_modules: AllowedMsgpackModules | Literal[True] | None = _msgpack._SENTINEL,
        __unpack_ext_hook__: Callable[[int, bytes], Any] | None = None,
    ) -> None:
        if allowed_msgpack_modules is _msgpack._SENTINEL:
            allowed_msgpack_modules = None if _msgpack.STRICT_MSGPACK_ENABLED else True
        self.pickle_fallback = pickle_fallback
        self._allowed_json_modules: Allowed = normalized(allowed_json_modules)
        self._classes = Classes(normalized(allowed_msgpack_modules))
        self._hook = __unpack_ext_hook__

    @property
    def _allowed_msgpack_modules(self) -> Allowed:
        return self._classes.allowed

    def with_msgpack_allowlist(self, extra_allowlist: Iterable[tuple[str, ...] | type]) -> JsonPlusSerializer:
        """A serialiser that revives these classes too; itself when it does so already."""
        allowed = self._classes.allowed
        extra = normalized(extra_allowlist)
        if allowed is True or not isinstance(extra, set) or extra <= (allowed or set()):
            return self
        return self._with(Classes((allowed or set()) | extra, self._classes.registry))

    def with_registry(self, registry: Registry) -> JsonPlusSerializer:
        """A serialiser that revives the registry's classes too, also those registered later."""
        if self._classes.registry is registry:
            return self
        return self._with(Classes(self._classes.allowed, registry))

    def _with(self, classes: Classes) -> Self:
        clone = copy.copy(self)
        clone._classes = classes
        return clone

    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        """``obj`` as (``null``, ``bytes``, ``bytearray``, ``msgpack`` or ``pickle``; bytes).

        Raises:
            ormsgpack.MsgpackEncodeError: Something in it cannot be stored. It is a ``TypeError``.
        """
        if obj is None:
            return "null", b""
        if isinstance(obj, bytes):
            return "bytes", obj
        if isinstance(obj, bytearray):
            return "bytearray", obj  # type: ignore[return-value]  # as it is, for whoever compares
        try:
            return "msgpack", dump.dumps(obj)
        except ormsgpack.MsgpackEncodeError:
            if not self.pickle_fallback:
                raise
            return "pickle", pickles.dumps(obj)

    def loads_typed(self, data: tuple[str, bytes]) -> Any:
        """What ``dumps_typed``, or LangGraph's, made ``data`` of.

        Raises:
            ValueError: The data is damaged.
            NotImplementedError: The tag is not known, or is that of a pickle and these are not allowed.
        """
        tag, content = data
        match tag:
            case "null":
                return None
            case "bytes":
                return content
            case "bytearray":
                return bytearray(content)
            case "msgpack" if self._hook is not None:
                return ormsgpack.unpackb(content, ext_hook=self._hook, option=wire.UNPACKING)
            case "msgpack":
                return load.loads(content, self._classes)
            case "json":
                return legacy.loads(content, self._allowed_json_modules)
            case "pickle" if self.pickle_fallback:
                return pickles.loads(content, self._classes.allowed)
        raise NotImplementedError(f"Unknown serialization type: {tag}")
