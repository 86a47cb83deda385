"""A ``StateSnapshot`` whose values are made when somebody looks at them: to open a thread costs what is asked of
it, however much it holds.

A tuple cannot wait for its items, so all that reads them here goes through the values first. What is shown is
what the log held when the thread was looked at: whoever looks late sees nothing later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, SupportsIndex

from dashflow.types.snapshots import StateSnapshot

_FIELDS = StateSnapshot._fields
_items: Callable[[Any], Iterator[Any]] = tuple.__iter__


class Looked(StateSnapshot):
    """See the file's head; made by ``looked``."""

    def _all(self) -> tuple[Any, ...]:
        return (self.values, *[*_items(self)][1:])

    @property
    def values(self) -> Any:  # type: ignore[override]  # a field that is read only is a property to users
        """See ``StateSnapshot.values``.

        Raises:
            ValueCodecError: A value is of a class that is not registered.
        """
        held = self.__dict__
        if "made" not in held:
            read = held.get("read")
            if read is not None:
                held.setdefault("made", read())
                held.pop("read", None)
            elif "made" not in held:  # made in another way than by ``looked``
                held["made"] = next(_items(self))
        return held["made"]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._all())

    def __getitem__(self, index: SupportsIndex | slice) -> Any:  # type: ignore[override]  # one for both
        return self._all()[index]

    def __eq__(self, other: object) -> bool:
        return self._all() == (other._all() if isinstance(other, Looked) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __lt__(self, other: Any) -> bool:
        return self._all() < tuple(other)

    def __le__(self, other: Any) -> bool:
        return self._all() <= tuple(other)

    def __gt__(self, other: Any) -> bool:
        return self._all() > tuple(other)

    def __ge__(self, other: Any) -> bool:
        return self._all() >= tuple(other)

    def __hash__(self) -> int:
        return hash(self._all())

    def __contains__(self, item: object) -> bool:
        return item in self._all()

    def __add__(self, other: Any) -> Any:
        return self._all() + tuple(other)

    def __radd__(self, other: Any) -> Any:
        return tuple(other) + self._all()

    def __mul__(self, times: SupportsIndex) -> Any:
        return self._all() * times

    __rmul__ = __mul__

    def count(self, value: Any) -> int:
        """See ``tuple.count``."""
        return self._all().count(value)

    def index(self, value: Any, *bounds: Any) -> int:
        """See ``tuple.index``."""
        return self._all().index(value, *bounds)

    def __repr__(self) -> str:
        return repr(StateSnapshot(*self._all()))

    def __reduce__(self) -> Any:
        return StateSnapshot, self._all()

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        return self.__reduce__()

    def _replace(self, **fields: Any) -> StateSnapshot:  # type: ignore[override]  # a namedtuple's
        if "values" in fields or "made" in self.__dict__ or not fields.keys() <= {*_FIELDS}:
            return StateSnapshot(*self._all())._replace(**fields)
        rest = [fields.get(name, item) for name, item in zip(_FIELDS, _items(self), strict=True)]
        return looked(self.__dict__["read"], *rest[1:])


Looked.__name__ = Looked.__qualname__ = StateSnapshot.__name__


def looked(read: Callable[[], Any], *rest: Any) -> StateSnapshot:
    """A snapshot.

    Args:
        read: Makes its values; called once.
        rest: Its other fields, in order.
    """
    found = tuple.__new__(Looked, (None, *rest))
    found.__dict__["read"] = read
    return found
