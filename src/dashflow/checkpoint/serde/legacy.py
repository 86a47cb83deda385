"""Reading the JSON that LangGraph wrote before msgpack. Never written; imports nothing that data names."""

from __future__ import annotations

import json
from functools import lru_cache
from importlib import import_module
from typing import Any

from dashflow.checkpoint.serde import notices
from dashflow.checkpoint.serde._msgpack import SAFE_MSGPACK_TYPES
from dashflow.checkpoint.serde.names import Allowed, Classes, allowed_class


class InvalidModuleError(Exception):
    """Stored JSON names a class that the program does not allow."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def loads(data: bytes, allowed: Allowed) -> Any:
    """The value in stored JSON.

    Args:
        data: JSON; objects with ``"lc"`` in them stand for instances.
        allowed: Names of classes that may be revived besides LangChain's messages and the graph's
            vocabulary; True: what this process stored itself.
    """
    return json.loads(data, object_hook=lambda value: _revived(value, allowed))


def _revived(value: dict[str, Any], allowed: Allowed) -> Any:
    match value:
        case {"lc": 1}:
            return _langchain_reviver()(value)
        case {"lc": 2, "type": "constructor", "id": [*path, str(name)]} if path:
            try:
                kind = _class_of(".".join(map(str, path)), name, tuple(map(str, value["id"])), allowed)
            except InvalidModuleError as refused:
                notices.logger.warning("%s", refused.message)
                return value
            return _instance(kind, value)
    return value


def _class_of(module: str, name: str, path: tuple[str, ...], allowed: Allowed) -> Any:
    key = (module, name)
    if key in SAFE_MSGPACK_TYPES:
        return Classes(None).find(module, name)
    if allowed is True:
        if (kind := Classes(True).find(module, name)) is not None:
            return kind
    elif allowed and (key in allowed or path in allowed):
        return allowed_class(key)
    raise InvalidModuleError(
        f"Refused to deserialize {module}.{name} from JSON. To allow it, pass "
        f"JsonPlusSerializer(allowed_json_modules=[{key!r}])."
    )


def _instance(kind: Any, value: dict[str, Any]) -> Any:
    """An instance from its stored arguments; a stored ``method`` is ignored: only constructors are called."""
    if isinstance(kind, type) and issubclass(kind, BaseException):
        return None
    try:
        return kind(*(value.get("args") or ()), **(value.get("kwargs") or {}))
    except Exception as problem:
        notices.logger.warning(
            "Failed to revive %s from JSON (legacy_method_field=%s, error=%s); returning None",
            ".".join(map(str, value["id"])),
            "method" in value,
            type(problem).__name__,
        )
        return None


@lru_cache(maxsize=1)
def _langchain_reviver() -> Any:
    """LangChain's own reader of its own classes; it takes no secrets from the environment."""
    return import_module("langchain_core.load.load").Reviver(allowed_objects="core", secrets_from_env=False)
