"""A ``StateSnapshot`` whose fields are made when somebody looks at them: to open a thread costs what is asked
of it, however much it holds.

A tuple cannot wait for its items, so all that reads them here has them made first. What is shown is what the
log held when the thread was looked at: whoever looks late sees nothing later.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol, SupportsIndex

from dashflow.types.snapshots import StateSnapshot

_FIELDS = StateSnapshot._fields
_items: Callable[[Any], Iterator[Any]] = tuple.__iter__
_make: Callable[..., Any] = tuple.__new__


class Seen(Protocol):
    """Makes fields, each once."""

    def values(self) -> Any:
        """See ``StateSnapshot``."""
        ...

    def next(self) -> tuple[str, ...]:
        """See ``StateSnapshot``."""
        ...

    def tasks(self) -> tuple[Any, ...]:
        """See ``StateSnapshot``."""
        ...

    def interrupts(self) -> tuple[Any, ...]:
        """See ``StateSnapshot``."""
        ...


class _Field:
    """One that is made when it is asked for; from then on the instance has it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.__doc__ = f"See ``StateSnapshot.{name}``."

    def __get__(self, instance: Any, owner: Any) -> Any:
        if instance is None:
            return self
        held = instance.__dict__
        if (seen := held.get("seen")) is None:  # made in another way than by ``looked``
            return [*_items(instance)][_FIELDS.index(self.name)]
        return held.setdefault(self.name, getattr(seen, self.name)())


class Looked(StateSnapshot):
    """See the file's head; made by ``looked``.

    Raises:
        ValueCodecError: When its values are looked at, and one is of a class that is not registered.
    """

    values = _Field("values")
    next = _Field("next")
    tasks = _Field("tasks")
    interrupts = _Field("interrupts")

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError("can't set attribute")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("can't delete attribute")

    def _all(self) -> tuple[Any, ...]:
        return tuple([getattr(self, name) for name in _FIELDS])

    def __iter__(self) -> Iterator[Any]:
        return iter(self._all())

    def __getitem__(self, index: SupportsIndex | slice) -> Any:
        if isinstance(index, slice):
            return self._all()[index]
        return getattr(self, _FIELDS[index])

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
        if (seen := self.__dict__.get("seen")) is None or not fields.keys() <= {*_FIELDS}:
            return StateSnapshot(*self._all())._replace(**fields)
        rest = [fields.get(name, item) for name, item in zip(_FIELDS, _items(self), strict=True)]
        found = _make(Looked, rest)
        made = {name: value for name, value in self.__dict__.items() if name != "seen"}
        found.__dict__.update({"seen": seen, **made, **{n: v for n, v in fields.items() if n in _LATE}})
        return found  # type: ignore[no-any-return]


_LATE = frozenset(name for name in _FIELDS if isinstance(vars(Looked).get(name), _Field))
Looked.__name__ = Looked.__qualname__ = StateSnapshot.__name__


def looked(seen: Seen, config: Any, metadata: Any, created_at: Any, parent_config: Any) -> StateSnapshot:
    """A snapshot; ``seen`` makes the fields that are not given."""
    found = _make(Looked, (None, (), config, metadata, created_at, parent_config, (), ()))
    found.__dict__["seen"] = seen
    return found  # type: ignore[no-any-return]
