"""What a search asks, as conditions of SQL on the rows of the table ``store AS s``. Values are parameters."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import orjson

from dashflow.store.base import MatchCondition

__all__ = ("Parameters", "has_nul", "is_text", "of_filter", "of_match", "under", "where")

_ORDER: Final = {"$gt": ">", "$gte": ">=", "$lt": "<", "$lte": "<="}
_NUMBER: Final = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?\s*$"
_NUL: Final = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")


class Parameters(dict[str, Any]):
    """Values of a statement; each gets a name of its own."""

    def add(self, value: Any) -> str:
        """What stands for the value in the statement."""
        name = f"p{len(self)}"
        self[name] = value
        return f"%({name})s"


def has_nul(text: str) -> bool:
    """Whether JSON has the character NUL in it, which PostgreSQL keeps nowhere."""
    return "\\u0000" in text and _NUL.search(text) is not None


def is_text(text: str) -> bool:
    """Whether PostgreSQL can keep a text: without NUL, and in UTF-8."""
    return "\0" not in text and text.encode(errors="replace").decode() == text


def where(conditions: Sequence[str]) -> str:
    """A WHERE clause of all conditions; empty without any."""
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""


def under(labels: Sequence[str], values: Parameters) -> list[str]:
    """The namespace of these labels and all below it; an empty one is no condition."""
    if not labels:
        return []
    path = ".".join(labels)
    if not is_text(path):
        return ["FALSE"]
    # "/" follows "." in the order of bytes, so this is a range of the index on the column.
    exact, start, end = (values.add(text) for text in (path, f"{path}.", f"{path}/"))
    return [f"(s.prefix = {exact} OR (s.prefix ~>=~ {start} AND s.prefix ~<~ {end}))"]


def of_match(condition: MatchCondition, values: Parameters) -> list[str]:
    """What a namespace must begin or end with.

    Raises:
        ValueError: The condition is of no known kind.
    """
    kind, path = condition
    if kind not in ("prefix", "suffix"):
        raise ValueError(f"Unsupported match type: {kind}")
    if kind == "prefix" and "*" not in path:
        return under(path, values)
    labels = "string_to_array(s.prefix, '.')"
    count = f"cardinality({labels})"
    first = "0" if kind == "prefix" else f"{count} - {len(path)}"
    return [
        f"{count} >= {len(path)}",
        *(
            f"({labels})[{first} + {place}] = {values.add(label)}" if is_text(label) else "FALSE"
            for place, label in enumerate(path, start=1)
            if label != "*"
        ),
    ]


def of_filter(wanted: dict[str, Any] | None, values: Parameters) -> Iterator[str]:
    """The conditions of a search's filter. Any text may be a key: it is a parameter too.

    Raises:
        ValueError: An operator is unknown.
        TypeError: A value has something in it that JSON has not.
    """
    for key, value in (wanted or {}).items():
        yield from _part(f"s.value -> {_key(key, values)}", value, values)


def _key(key: Any, values: Parameters) -> str:
    # No stored value has such a key; `->` finds nothing under NULL. As text, `->` looks in no list.
    return f"{values.add(str(key))}::text" if is_text(str(key)) else "NULL::text"


def _part(part: str, wanted: Any, values: Parameters) -> Iterator[str]:
    """Conditions on a part of the value."""
    if not isinstance(wanted, dict):
        yield _equal(part, wanted, "=", values)
    elif any(str(name).startswith("$") for name in wanted):
        for name, other in wanted.items():
            yield _operator(part, name, other, values)
    else:
        if not wanted:
            yield f"jsonb_typeof({part}) = 'object'"
        for name, below in wanted.items():
            yield from _part(f"{part} -> {_key(name, values)}", below, values)


def _operator(part: str, name: str, other: Any, values: Parameters) -> str:
    if name == "$eq":
        return _equal(part, other, "=", values)
    if name == "$ne":
        return _equal(part, other, "<>", values)
    if name not in _ORDER:
        raise ValueError(f"Unsupported operator: {name}")
    if isinstance(other, int | float) and not math.isnan(other if isinstance(other, float) else 0):
        text = f"({part}) #>> '{{}}'"
        number = (
            f"CASE jsonb_typeof({part}) WHEN 'number' THEN ({text})::numeric "
            f"WHEN 'string' THEN CASE WHEN {text} ~ '{_NUMBER}' THEN ({text})::numeric END END"
        )
        return f"{number} {_ORDER[name]} {values.add(_digits(other))}::numeric"
    if isinstance(other, str) and is_text(other):
        text = f"(({part}) #>> '{{}}') COLLATE \"C\""
        return f"(jsonb_typeof({part}) = 'string' AND {text} {_ORDER[name]} {values.add(other)})"
    return "FALSE"  # nothing is more or less than a list


def _digits(number: float) -> str:
    if isinstance(number, float):
        return repr(number)
    try:
        return str(int(number))
    except ValueError:  # more digits than Python writes, so beyond all floats
        return "inf" if number > 0 else "-inf"


def _equal(part: str, other: Any, sign: str, values: Parameters) -> str:
    if other is None:
        return f"coalesce({part}, 'null') {sign} 'null'"
    text = _json(other)
    if text is None or has_nul(text):  # equals nothing that is stored
        return f"({part}) IS NOT NULL" if sign == "<>" else "FALSE"
    return f"{part} {sign} {values.add(text)}::jsonb"


def _json(value: Any) -> str | None:
    """A value as JSON; None for one that JSON has not."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        # Integers of any size, and half surrogate pairs; of anything else it says what it is.
        text = json.dumps(value, ensure_ascii=False)
        return text if is_text(text) else None
