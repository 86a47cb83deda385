"""Channels' values as a folded thread has them: some in a form of which everybody gets a value of his own.

Pure. What that form is, the thread's reader knows; folding asks it to change, and never for the value.
"""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, Mapping, ValuesView
from typing import Any

from dashflow.core.delta import Op

_raw = dict.__getitem__
_get = dict.get
_PLAIN = frozenset({str, int, float, bool, bytes, type(None)})
_parts: Callable[[Any], ItemsView[str, Any]] = dict.items
_ABSENT: Any = object()


class Kept:
    """One value, not as an object that anybody could change. Never changed either, but for ``owned``."""

    __slots__ = ()

    def value(self) -> Any:
        """The value, made anew: the caller's own."""
        raise NotImplementedError

    def tail(self, count: int) -> Any:
        """The same of the last items of a list."""
        raise NotImplementedError

    def twin(self) -> Kept:
        """The same, which may be patched as ``owned``."""
        raise NotImplementedError

    def patched(self, op: Op, *, owned: bool = False) -> Kept:
        """What ``dashflow.core.delta.patch`` makes of it; ``owned``: nobody else has it."""
        raise NotImplementedError


class Values(dict[str, Any]):
    """Channels' values by name. What is kept is made a value when somebody looks, and then stays the same.

    A copy has none of the values that were made: whoever may change some takes a copy, and has his own.
    """

    __slots__ = ("_made",)

    def __init__(self, values: dict[str, Any] | None = None) -> None:
        if values is not None:
            super().__init__(values if type(values) is dict else dict(_parts(values)))
        self._made: dict[str, Any] = {}

    def part(self, name: str) -> Any:
        """What is there under a name, as it is kept; None: nothing."""
        return dict.get(self, name)

    def parts(self) -> ItemsView[str, Any]:
        """All of it, as it is kept."""
        return _parts(self)

    def twins(self) -> dict[str, Any]:
        """The same, which one folder has."""
        return {name: part.twin() if isinstance(part, Kept) else part for name, part in self.parts()}

    def tail(self, name: str, count: int) -> Any:
        """The last items of a list."""
        found = dict.get(self, name)
        if isinstance(found, Kept) and name not in self._made:
            return found.tail(count)
        return self[name][-count:]

    def __getitem__(self, name: str) -> Any:
        found = _raw(self, name)
        if type(found) in _PLAIN or not isinstance(found, Kept):
            return found
        value = self._made.get(name, _ABSENT)
        if value is _ABSENT:
            value = self._made[name] = found.value()
        return value

    def get(self, name: str, default: Any = None) -> Any:
        """The value, or the default."""
        found = _get(self, name, default)
        return found if type(found) in _PLAIN or not isinstance(found, Kept) else self[name]

    def __iter__(self) -> Iterator[str]:
        # Without this, ``dict(values)`` would take what is kept as it is.
        return super().__iter__()

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]  # of another dict
        """Names and values."""
        return {name: self[name] for name in self}.items()

    def values(self) -> ValuesView[Any]:  # type: ignore[override]  # as above
        """The values."""
        return {name: self[name] for name in self}.values()

    def copy(self) -> Values:
        """The same, with nothing made yet."""
        return Values(self)

    def __eq__(self, other: object) -> bool:
        return dict(self) == other if isinstance(other, dict) else NotImplemented

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None

    def __or__(self, other: Any) -> Any:
        return dict(self) | other

    def __repr__(self) -> str:
        return repr(dict(self))

    def __reduce__(self) -> Any:
        return dict, (dict(self),)


class Owned(Values):
    """Those of a state that only its folder has, with everything in them: the next event may change them in
    place. So a fold over a long history takes as long as its events, and not as the sum of all the states
    that they made."""

    __slots__ = ()

    def __getitem__(self, name: str) -> Any:
        found = _raw(self, name)  # made anew each time: the next event may change it
        return found.value() if isinstance(found, Kept) else found


def part_of(values: Mapping[str, Any], name: str) -> Any:
    """A value as it is kept; None: nothing."""
    return values.part(name) if isinstance(values, Values) else values.get(name)


def tail_of(values: Mapping[str, Any], name: str, count: int) -> Any:
    """The last items of a list, without making the others where that can be."""
    return values.tail(name, count) if isinstance(values, Values) else values[name][-count:]
