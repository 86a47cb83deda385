"""What changed in a value: a small plain description that turns the old value into the new one.

The log records the outcome of a step, channel by channel, so folding it needs no reducer and no user
code. ``diff`` must never miss a change. Parts of a container count as unchanged only when

* their encodings are equal (by ``fingerprint``; plain scalars stand for themselves), or
* the caller vouches for identity (``written`` is given: the reducer is known to build a new value and
  to leave the old one's parts alone), the part is the same object, and it was not written again.

An op is a list: ``["l", [start, removed, items], ...]`` list, ``["t", keep, suffix]`` text or bytes,
``["d", {key: value}, [removed keys]]`` dict, ``["s", [added], [removed]]`` set. No op: record it whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

SMALL = 4
"""Containers with fewer parts, and texts shorter than 16 times this, are recorded whole."""

Op = list[Any]
Print = Callable[[Any], Any]
_SCALARS = (str, int, float, bool, bytes, type(None))
_CHANGED = object()


class Shadow:
    """What the log holds for one channel: the value's parts, and a key of each to compare by."""

    __slots__ = ("keys", "value")

    def __init__(self, value: Any = None, keys: list[Any] | None = None) -> None:
        self.value = value
        self.keys = keys


def _keys(parts: Iterable[Any], fingerprint: Print | None) -> list[Any]:
    """Comparable keys: identities when ``fingerprint`` is None, else scalars or fingerprints."""
    if fingerprint is None:
        return list(map(id, parts))
    return [_scalar(p) if type(p) in _SCALARS else fingerprint(p) for p in parts]


def _scalar(part: Any) -> Any:
    """A key that tells apart what Python calls equal: 1, True and 1.0; 0.0 and -0.0."""
    kind = type(part)
    return (kind, part) if part or kind is not float else (kind, repr(part))


def _fresh(parts: Iterable[Any], keys: list[Any], written: frozenset[int] | None) -> list[Any]:
    """``keys`` with those of parts that were written again made unlike any other."""
    if written is None or written.isdisjoint(keys):
        return keys
    return [
        _CHANGED if key in written and type(part) not in _SCALARS else key
        for part, key in zip(parts, keys, strict=True)
    ]


def diff(
    shadow: Shadow, new: Any, fingerprint: Print, written: frozenset[int] | None
) -> tuple[Op | None, Shadow]:
    """How to get from the shadow's value to ``new``.

    Args:
        shadow: What the log holds.
        new: The value it shall hold.
        fingerprint: Equal results for parts with equal encodings only; not called for scalars.
        written: When identity may be trusted, the ids of the parts written in this step; else None.

    Returns:
        The op, or None when ``new`` is to be recorded whole; and the shadow of ``new``.
    """
    kind, old = type(new), shadow.value
    after = shade(new, None if written is not None else fingerprint)
    if kind is not type(old):
        return None, after
    if kind is str or kind is bytes:
        if len(old) >= 16 * SMALL and len(new) > len(old) and new.startswith(old):
            return ["t", len(old), new[len(old) :]], after
    elif kind is set:
        if len(old) >= SMALL and all(type(p) in _SCALARS for p in (*old, *new)):
            was, now = {_scalar(p) for p in old}, {_scalar(p) for p in new}
            come, gone = (p for p in new if _scalar(p) not in was), (p for p in old if _scalar(p) not in now)
            return ["s", list(come), list(gone)], after
    elif (
        (kind is list or kind is dict)
        and len(old) >= SMALL
        and shadow.keys is not None
        and after.keys is not None
    ):
        parts = new if kind is list else new.values()
        fresh = _fresh(parts, after.keys, written)
        if kind is list:
            return _diff_list(shadow.keys, fresh, new), after
        return _diff_dict(
            dict(zip(old, shadow.keys, strict=True)), dict(zip(new, fresh, strict=True)), new
        ), after
    return None, after


def shade(value: Any, fingerprint: Print | None) -> Shadow:
    """The shadow of a value; containers are copied, for the user may change them in place."""
    kind = type(value)
    if kind is list:
        return Shadow(list(value), _keys(value, fingerprint) if len(value) >= SMALL else None)
    if kind is dict:
        return Shadow(dict(value), _keys(value.values(), fingerprint) if len(value) >= SMALL else None)
    if kind is set:
        return Shadow(set(value))
    return Shadow(value if kind is str or kind is bytes else None)


def _diff_list(old: list[Any], new: list[Any], parts: list[Any]) -> Op | None:
    n_old, n_new = len(old), len(new)
    if n_new >= n_old and new[:n_old] == old:
        return ["l", [n_old, 0, parts[n_old:]]] if n_new > n_old else ["l"]
    limit = min(n_old, n_new)
    start = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), limit)
    tail = 0
    while tail < limit - start and old[n_old - 1 - tail] == new[n_new - 1 - tail]:
        tail += 1
    gone, come = n_old - start - tail, n_new - start - tail
    if start + tail == 0 and n_old == n_new:
        return None
    if tail == 0 and 1 < gone <= come:
        runs = _runs(old, new, start, gone)
        if runs is not None:
            splices = [[a, b - a, parts[a:b]] for a, b in runs]
            if come > gone:
                splices.append([start + gone, 0, parts[start + gone :]])
            return ["l", *splices]
    return ["l", [start, gone, parts[start : start + come]]]


def _runs(old: list[Any], new: list[Any], start: int, count: int) -> list[tuple[int, int]] | None:
    """Where parts at equal places differ, as runs; None when more than half of them do."""
    runs: list[tuple[int, int]] = []
    differing = 0
    for i in range(start, start + count):
        if old[i] == new[i]:
            continue
        differing += 1
        if runs and runs[-1][1] == i:
            runs[-1] = (runs[-1][0], i + 1)
        else:
            runs.append((i, i + 1))
    return runs if differing * 2 <= count else None


def _diff_dict(old: dict[Any, Any], new: dict[Any, Any], parts: dict[Any, Any]) -> Op | None:
    if not all(type(k) in _SCALARS for k in new) or not all(type(k) in _SCALARS for k in old):
        return None  # a decoded patch might not find such a key again
    kept = [k for k in old if k in new]
    if any(a is not b and _scalar(a) != _scalar(b) for a, b in zip(kept, new, strict=False)):
        return None  # the order of keys changed, which a patch cannot say
    changed = {k: parts[k] for k, key in new.items() if k not in old or old[k] != key}
    if len(changed) * 2 > len(new) + 2:
        return None
    return ["d", changed, [k for k in old if k not in new]]


def patch(old: Any, op: Op, *, owned: bool = False) -> Any:
    """Apply an op to the value it was made for.

    Args:
        old: The value.
        op: What became of it.
        owned: Whether nobody else has ``old``, so that it may be changed in place; else it is left as it is.

    Raises:
        ValueError: ``op`` is of no known kind or does not fit ``old``.
    """
    kind = op[0]
    if kind == "l" and isinstance(old, list):
        new = old if owned else list(old)
        for start, removed, items in op[1:]:
            if start + removed > len(new):
                raise ValueError(f"a splice at {start} does not fit a list of {len(new)}")
            new[start : start + removed] = items
        return new
    if kind == "t" and isinstance(old, str | bytes) and len(old) == op[1]:
        return old + op[2]
    if kind == "d" and isinstance(old, dict):
        gone = set(op[2])
        if owned:
            for key in gone:
                old.pop(key, None)
            old.update(op[1])
            return old
        return {**{k: v for k, v in old.items() if k not in gone}, **op[1]}
    if kind == "s" and isinstance(old, set):
        if owned:
            old.difference_update(op[2])
            old.update(op[1])
            return old
        return (old - set(op[2])) | set(op[1])
    raise ValueError(f"op {kind!r} does not fit a {type(old).__name__}")
