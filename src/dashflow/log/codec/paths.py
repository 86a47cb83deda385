"""How errors name a place inside of a value: ``messages[3].tool``.

A path is a text to begin with, or a pair of the path around and a step; it becomes text only in an error.
"""

from __future__ import annotations

from typing import Any

from dashflow.errors import ValueCodecError
from dashflow.log.codec import codes

Path = str | tuple[Any, Any]

_ENDS = 12
"""So many steps at either end of a long path are shown."""


class Index(int):
    """A step to an item of a sequence; any other step is to a key or a field."""

    __slots__ = ()


def in_payload(path: Path, code: int, payload: list[Any], index: int) -> Path:
    """An item of the payload that a value at ``path`` is stored as.

    Where an item is no item of the value, but holds its fields or its items, it is the value's own place.
    """
    if code in codes.ITEMS:
        return (path, Index(index))
    if code in codes.PAIRS:
        return (path, payload[index - index % 2])
    return path


def fault(path: Path, problem: str) -> ValueCodecError:
    """The error for a value at ``path``."""
    steps: list[str] = []
    while not isinstance(path, str):
        path, step = path
        steps.append(_step(step))
    steps.append(path)
    steps.reverse()
    if len(steps) > 3 * _ENDS:
        steps = [*steps[:_ENDS], " ... ", *steps[-_ENDS:]]
    return ValueCodecError("".join(steps).removeprefix(".") or "value", problem)


def _step(step: Any) -> str:
    if isinstance(step, str) and step.isidentifier():
        return f".{step}"
    plain = isinstance(step, (str, bytes, int, float, tuple))
    return f"[{repr(step)[:40] if plain else type(step).__name__}]"
