"""What a search asks, as conditions of SQL on the rows of the table ``store AS s``. Values are parameters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import orjson

__all__ = ("Condition", "of_filter", "under", "where")

_KEY: Final = re.compile(r"[a-zA-Z0-9_.-]+")

_PART: Final = "json_extract(CAST(s.value AS TEXT), ?)"
"""A part of the value; CAST because LangGraph writes JSON as a blob, which newer SQLite reads otherwise."""

_ORDER: Final = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}


class Condition(NamedTuple):
    """A condition, and the values of the question marks in it."""

    text: str
    values: tuple[Any, ...] = ()


def where(conditions: list[Condition]) -> Condition:
    """A WHERE clause of all conditions; empty without any."""
    text = " AND ".join(condition.text for condition in conditions)
    values = tuple(value for condition in conditions for value in condition.values)
    return Condition(f"WHERE {text}" if text else "", values)


def under(labels: tuple[str, ...]) -> list[Condition]:
    """The namespace of these labels and all below it; an empty one is no condition."""
    if not labels:
        return []
    path = ".".join(labels)
    # "/" follows "." in the order of characters, so this is a range of the index on the column.
    text = "(s.prefix = ? OR (s.prefix >= ? AND s.prefix < ?))"
    return [Condition(text, (path, f"{path}.", f"{path}/"))]


def of_filter(wanted: dict[str, Any] | None) -> Iterator[Condition]:
    """The conditions of a search's filter.

    Raises:
        ValueError: A key has characters in it that keys in filters may not have, or an operator is unknown.
    """
    for key, value in (wanted or {}).items():
        if not _KEY.fullmatch(key):
            raise ValueError(
                f"Invalid filter key: '{key}'. Filter keys must contain only alphanumeric characters, "
                "underscores, dots, and hyphens."
            )
        yield from _part("$" + "".join(f'."{name}"' for name in key.split(".")), value)


def _part(path: str, wanted: Any) -> Iterator[Condition]:
    """Conditions on the part of the value at a path of JSON."""
    if not isinstance(wanted, dict):
        yield _equal(path, wanted, "=")
    elif any(name.startswith("$") for name in wanted):
        for name, other in wanted.items():
            yield _operator(path, name, other)
    else:
        for name, below in wanted.items():
            if '"' in name:  # would end the name in the path; SQLite knows no escape there
                raise ValueError(
                    f"Invalid filter key: '{name}'. Filter keys must contain no quotation marks."
                )
            yield from _part(f'{path}."{name}"', below)


def _operator(path: str, name: str, other: Any) -> Condition:
    if name == "$eq":
        return _equal(path, other, "=")
    if name == "$ne":
        return _equal(path, other, "!=")
    if name not in _ORDER:
        raise ValueError(f"Unsupported operator: {name}")
    if isinstance(other, int | float):
        return Condition(f"CAST({_PART} AS REAL) {_ORDER[name]} ?", (path, _number(other)))
    if isinstance(other, str):
        text = f"(typeof({_PART}) = 'text' AND {_PART} {_ORDER[name]} ?)"
        return Condition(text, (path, path, other))
    return Condition("FALSE")  # nothing is more or less than a list


def _equal(path: str, other: Any, sign: str) -> Condition:
    if other is None:
        return Condition(f"{_PART} IS {'NOT ' if sign == '!=' else ''}NULL", (path,))
    if isinstance(other, int | float):
        other = _number(other)
    elif not isinstance(other, str):
        other = orjson.dumps(other).decode()  # as SQLite says lists
    return Condition(f"{_PART} {sign} ?", (path, other))


def _number(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer beyond all floats
        return float("inf") if value > 0 else float("-inf")
