"""How errors name a place inside of a value: ``messages[3].tool``."""

from __future__ import annotations

from typing import Any

from dashflow.errors import ValueCodecError
from dashflow.log.codec import codes

_LONGEST = 160


def at_key(path: str, key: Any) -> str:
    """The value of a key, or of a field."""
    if isinstance(key, str) and key.isidentifier():
        return f"{path}.{key}" if path else key
    shown = repr(key) if isinstance(key, (str, bytes, int, float, tuple, bool)) else type(key).__name__
    return f"{path}[{shown[:40]}]"


def at_index(path: str, index: int) -> str:
    """An item of a sequence."""
    return f"{path}[{index}]"


def in_payload(path: str, code: int, payload: list[Any], index: int) -> str:
    """An item of the payload that a value at ``path`` is stored as.

    Where an item is no item of the value, but holds its fields or its items, it is the value's own place.
    """
    if code in codes.ITEMS:
        return at_index(path, index)
    if code in codes.PAIRS:
        return at_key(path, payload[index - index % 2])
    return path


def fault(path: str, problem: str) -> ValueCodecError:
    """The error for a value at ``path``."""
    if len(path) > _LONGEST:
        path = f"{path[: _LONGEST // 2]} ... {path[-_LONGEST // 4 :]}"
    return ValueCodecError(path or "value", problem)
