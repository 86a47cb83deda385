"""Whether a value is what a search's filter wants, for stores that keep values as Python objects."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final

__all__ = ("fits",)

_ORDER: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}


def fits(value: Any, wanted: Any) -> bool:
    """Whether ``value`` has what ``wanted`` names.

    Args:
        value: Part of an item's value; None where there is none.
        wanted: A dict whose keys are operators, a dict whose keys are the value's, a list, or what the
            value must equal.

    Raises:
        ValueError: A key looks like an operator and is none.
    """
    if isinstance(wanted, dict):
        if any(key.startswith("$") for key in wanted):
            return all(_holds(value, name, other) for name, other in wanted.items())
        return isinstance(value, dict) and all(fits(value.get(key), part) for key, part in wanted.items())
    if isinstance(wanted, list | tuple):
        return isinstance(value, list | tuple) and len(value) == len(wanted) and all(map(fits, value, wanted))
    return bool(value == wanted)


def _holds(value: Any, name: str, other: Any) -> bool:
    if name == "$eq":
        return bool(value == other)
    if name == "$ne":
        return bool(value != other)
    if name not in _ORDER:
        raise ValueError(f"Unsupported operator: {name}")
    try:
        return _ORDER[name](float(value), float(other))
    except (TypeError, ValueError):
        # No numbers: texts have an order of their own, other things and what is not there have none.
        return isinstance(value, str) and isinstance(other, str) and _ORDER[name](value, other)
    except OverflowError:
        return _ORDER[name](value, other)
