"""What happened and is not recorded yet, gathered into commands of bounded size.

Its fullness is what holds back a batch whose log is slower than its items.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from dashflow.batch.core.commands import Accept, Begin, Command, Complete, EndInput, Fail
from dashflow.batch.core.events import Failure

MOST_ITEMS: Final = 1024
MOST_BYTES: Final = 1 << 20
"""How many items, and bytes of results, one event has at most; a single larger result has its own."""

FULL_ITEMS: Final = 4 * MOST_ITEMS
FULL_BYTES: Final = 16 * MOST_BYTES


class Outbox:
    """Collects; ``take`` empties it piece by piece."""

    def __init__(self) -> None:
        self._accepts: deque[Accept] = deque()
        self._end: EndInput | None = None
        self._begun: list[int] = []
        self._results: deque[tuple[int, int, bytes]] = deque()
        self._failures: deque[Failure] = deque()
        self._bytes = 0

    @property
    def empty(self) -> bool:
        """Whether there is nothing to record."""
        return not (self._accepts or self._begun or self._results or self._failures or self._end is not None)

    @property
    def full(self) -> bool:
        """Whether no further item should begin before something is recorded."""
        return (
            len(self._results) + len(self._failures) + len(self._begun) > FULL_ITEMS
            or self._bytes > FULL_BYTES
        )

    @property
    def accepting(self) -> int:
        """How many items were read and are not recorded yet."""
        return sum(accept.count for accept in self._accepts)

    def accept(self, accept: Accept) -> None:
        """Items were read."""
        self._accepts.append(accept)

    def end_input(self, end: EndInput) -> None:
        """There are no more items."""
        self._end = end

    def begin(self, item: int) -> None:
        """An attempt begins."""
        self._begun.append(item)

    def complete(self, item: int, attempts: int, result: bytes) -> None:
        """An item came to a result."""
        self._results.append((item, attempts, result))
        self._bytes += len(result)

    def fail(self, failure: Failure) -> None:
        """An item is given up."""
        self._failures.append(failure)

    def take(self, now: int) -> list[Command]:
        """Some of it, as commands in an order in which they can be decided."""
        commands: list[Command] = []
        if self._accepts:
            commands.append(self._accepts.popleft())
        if self._end is not None and not self._accepts:
            commands.append(self._end)
            self._end = None
        if self._begun:
            commands.append(Begin(now=now, items=tuple(self._begun)))
            self._begun.clear()
        if results := self._taken_results():
            commands.append(Complete(now=now, results=results))
        if self._failures:
            some = tuple(self._failures.popleft() for _ in range(min(MOST_ITEMS, len(self._failures))))
            commands.append(Fail(now=now, failures=some))
        return commands

    def _taken_results(self) -> tuple[tuple[int, int, bytes], ...]:
        some: list[tuple[int, int, bytes]] = []
        size = 0
        while self._results and len(some) < MOST_ITEMS:
            row = self._results[0]
            if some and size + len(row[2]) > MOST_BYTES:
                break
            size += len(row[2])
            some.append(self._results.popleft())
        self._bytes -= size
        return tuple(some)
