"""Values of items as JSON, for stores that keep them so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

__all__ = ("encoded",)


def encoded(value: Mapping[str, Any], namespace: tuple[str, ...], key: str) -> str:
    """A value as JSON.

    Raises:
        TypeError: Something in it has no place in JSON; the message names it.
    """
    value = dict(value)
    try:
        return orjson.dumps(value).decode()
    except TypeError as error:
        path, problem = _culprit(value, "value")
        raise TypeError(
            f"Item {key!r} of {namespace} cannot be stored: {path} {problem} ({error}). "
            "Values are JSON: texts as keys, and texts, numbers, booleans, None, lists and dicts."
        ) from error


def _culprit(value: Any, path: str) -> tuple[str, str]:
    """The innermost part that cannot be stored, and what is wrong with it."""
    if isinstance(value, dict):
        for name in value:
            if not isinstance(name, str):
                return path, f"has the key {name!r}, which is no text"
    pairs = value.items() if isinstance(value, dict) else enumerate(value if isinstance(value, list) else ())
    for name, part in pairs:
        try:
            orjson.dumps(part)
        except TypeError:
            return _culprit(part, f"{path}[{name!r}]")
    return path, f"is of type {type(value).__name__}"
