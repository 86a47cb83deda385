"""How two states differ, key by key, and item by item in lists, dicts and sets. Pure.

Values are the same when the caller's ``encode`` gives the same for both. Items of lists that have an id,
messages for one, are the same item when they have the same id, and may have changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import SequenceMatcher
from typing import Any

from dashflow._util.sentinel import MISSING
from dashflow.types.branches import ItemChange, ValueChange

Encode = Callable[[Any], Any]
_MOST = 4_000_000
"""Lists whose differing parts have so many pairs of items are not aligned, but replaced there."""


def compare(
    before: Mapping[str, Any], after: Mapping[str, Any], keys: Iterable[str], encode: Encode
) -> dict[str, ValueChange]:
    """What differs between two states' values.

    Args:
        before: The one.
        after: The other.
        keys: Which keys to look at.
        encode: Equal results for equal values only.
    """
    found: dict[str, ValueChange] = {}
    for key in keys:
        one, other = before.get(key, MISSING), after.get(key, MISSING)
        if one is other:
            continue
        if one is MISSING:
            found[key] = ValueChange("added", None, other)
        elif other is MISSING:
            found[key] = ValueChange("removed", one, None)
        elif encode(one) != encode(other):
            found[key] = ValueChange("changed", one, other, _items(one, other, encode))
    return found


def _items(one: Any, other: Any, encode: Encode) -> tuple[ItemChange, ...]:
    if type(one) is not type(other):
        return ()
    if type(one) is list:
        return tuple(_of_lists(one, other, encode))
    if type(one) is dict:
        return tuple(_of_dicts(one, other, encode))
    if type(one) is set:
        gone = [ItemChange("removed", None, item) for item in sorted(one - other, key=repr)]
        return (*gone, *(ItemChange("added", None, None, item) for item in sorted(other - one, key=repr)))
    return ()


def _of_dicts(one: dict[Any, Any], other: dict[Any, Any], encode: Encode) -> Iterable[ItemChange]:
    for key, value in one.items():
        if key not in other:
            yield ItemChange("removed", key, value)
        elif encode(value) != encode(other[key]):
            yield ItemChange("changed", key, value, other[key])
    for key, value in other.items():
        if key not in one:
            yield ItemChange("added", key, None, value)


def _of_lists(one: list[Any], other: list[Any], encode: Encode) -> Iterable[ItemChange]:
    """Removed ones with their old index, then added and changed ones with their new index, each ascending."""
    was, now = [_key(item, encode) for item in one], [_key(item, encode) for item in other]
    removed: list[ItemChange] = []
    come: list[ItemChange] = []
    for kept, i1, i2, j1, j2 in _blocks(was, now):
        if not kept:
            removed += (ItemChange("removed", i, one[i]) for i in range(i1, i2))
            come += (ItemChange("added", j, None, other[j]) for j in range(j1, j2))
            continue
        for i, j in zip(range(i1, i2), range(j1, j2), strict=True):
            if type(was[i]) is tuple and encode(one[i]) != encode(other[j]):
                come.append(ItemChange("changed", j, one[i], other[j]))
    yield from removed
    yield from come


def _key(item: Any, encode: Encode) -> Any:
    """The item's kind and id, if it has one; else all of it."""
    name = item.get("id") if isinstance(item, Mapping) else getattr(item, "id", None)
    fields = getattr(item, "fields", None)  # of an object whose class is not known here
    if name is None and isinstance(fields, Mapping):
        name = fields.get("id")
    return (type(item), name) if isinstance(name, str) else encode(item)


def _blocks(was: list[Any], now: list[Any]) -> Iterable[tuple[bool, int, int, int, int]]:
    """(the same?, from, to, from, to): parts of both lists in order."""
    head, least = 0, min(len(was), len(now))
    while head < least and was[head] == now[head]:
        head += 1
    tail = 0
    while tail < least - head and was[-1 - tail] == now[-1 - tail]:
        tail += 1
    end, last = len(was) - tail, len(now) - tail
    yield True, 0, head, 0, head
    if (end - head) * (last - head) > _MOST:
        yield False, head, end, head, last
    else:
        matcher = SequenceMatcher(None, was[head:end], now[head:last], autojunk=False)
        for tag, i1, i2, j1, j2 in matcher.get_opcodes():
            yield tag == "equal", head + i1, head + i2, head + j1, head + j2
    yield True, end, len(was), last, len(now)
