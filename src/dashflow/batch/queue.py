"""Which item is next: those that may begin by priority, and those that wait before their next attempt.

Pure: asks no clock. Among equal priorities the item that was accepted first begins first, whether it is its
first attempt or another.
"""

from __future__ import annotations

from collections.abc import Iterable
from heapq import heappop, heappush


class ItemQueue:
    """Unfinished items that do not run. Their number is what bounds how many more are accepted."""

    __slots__ = ("_held", "_later", "_priorities", "_ready")

    def __init__(self) -> None:
        self._ready: list[tuple[float, int]] = []
        self._later: list[tuple[float, int]] = []
        self._held: set[int] = set()
        self._priorities: dict[int, float] = {}

    def __len__(self) -> int:
        return len(self._held)

    def __contains__(self, item: int) -> bool:
        return item in self._held

    @property
    def ready(self) -> bool:
        """Whether any item may begin."""
        return bool(self._ready)

    def put(self, item: int, priority: float = 0.0) -> None:
        """An item may begin."""
        if priority:
            self._priorities[item] = priority
        self._held.add(item)
        heappush(self._ready, (-priority, item))

    def put_later(self, item: int, due: float) -> None:
        """An item may begin again at ``due``, with the priority that it had."""
        self._held.add(item)
        heappush(self._later, (due, item))

    def wake(self, now: float) -> float | None:
        """Let those begin that are due; seconds until the next one is, or None."""
        while self._later and self._later[0][0] <= now:
            _, item = heappop(self._later)
            heappush(self._ready, (-self._priorities.get(item, 0.0), item))
        return self._later[0][0] - now if self._later else None

    def pop(self) -> int:
        """The next item; raises IndexError when there is none."""
        item = heappop(self._ready)[1]
        self._held.discard(item)
        return item

    def finished(self, items: Iterable[int]) -> None:
        """Forget the priorities of items that will not begin again."""
        if self._priorities:
            for item in items:
                self._priorities.pop(item, None)
