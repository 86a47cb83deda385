"""Table: a mapping of which every version stays as it was, and a new one costs little.

What a plan knows of thousands of tasks changes by one task at an event. A version shares all blocks with the
one before it but the one that differs, so folding a plan takes as long as its events.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar

V = TypeVar("V")

_BLOCK: Final = 128


class Table(Mapping[str, V]):
    """Values by key, in the order in which the keys came. Frozen: ``put`` makes another table.

    Args:
        given: What is in it.
    """

    __slots__ = ("_blocks", "_count", "_places")

    def __init__(self, given: Mapping[str, V] | None = None) -> None:
        values = [] if given is None else [*given.values()]
        self._places: dict[str, int] = {} if given is None else {key: at for at, key in enumerate(given)}
        self._count = len(values)
        self._blocks: tuple[tuple[V, ...], ...] = tuple(
            tuple(values[at : at + _BLOCK]) for at in range(0, len(values), _BLOCK)
        )

    def put(self, key: str, value: V) -> Table[V]:
        """This table with another value of a key, or with one more key."""
        at = self._places.get(key, self._count)
        made: Table[V] = Table.__new__(Table)
        made._places, made._count = self._places, self._count
        if at >= self._count:
            at = self._count
            if len(self._places) > at:  # another table grew from this one: its keys are not ours
                made._places = dict(list(self._places.items())[:at])
            made._places[key] = at  # those who share it look no further than their own count
            made._count = at + 1
        number, place = divmod(at, _BLOCK)
        blocks = self._blocks
        block = blocks[number] if number < len(blocks) else ()
        block = (*block[:place], value, *block[place + 1 :])
        made._blocks = (*blocks[:number], block, *blocks[number + 1 :])
        return made

    def __getitem__(self, key: str) -> V:
        at = self._places[key]
        if at >= self._count:
            raise KeyError(key)
        return self._blocks[at // _BLOCK][at % _BLOCK]

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self._places.get(key, self._count) < self._count

    def __iter__(self) -> Iterator[str]:
        for key, at in self._places.items():
            if at >= self._count:
                return
            yield key

    def __len__(self) -> int:
        return self._count

    def __repr__(self) -> str:
        return f"Table({dict(self)!r})"


def table(given: Mapping[str, V]) -> Table[V]:
    """``given`` as a table; itself if it is one."""
    return given if isinstance(given, Table) else Table(given)


def as_dict(value: Any) -> Any:
    """For an encoder: a table as what it can encode, and nothing for what can be made again."""
    if isinstance(value, Table):
        return dict(value)
    if hasattr(value, "derived"):
        return None
    raise NotImplementedError(f"{type(value).__name__} is no plain data.")
