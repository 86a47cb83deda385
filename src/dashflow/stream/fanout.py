"""One iterator, read by several: each gets every item, and the error at the end. May not know channels."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import Generic, TypeVar

__all__ = ("afan_out", "fan_out")

T = TypeVar("T")


class _Shared(Generic[T]):
    """What the readers of one source have in common."""

    def __init__(self, readers: int) -> None:
        self.waiting: list[deque[T]] = [deque() for _ in range(readers)]
        self.ended = False
        self.error: Exception | None = None

    def hand_out(self, item: T) -> None:
        for queue in self.waiting:
            queue.append(item)

    def end(self, error: Exception | None = None) -> None:
        self.ended, self.error = True, error

    def over(self, reader: int) -> bool:
        """Whether this reader has had everything. Raises what the source failed with."""
        if self.waiting[reader] or not self.ended:
            return False
        if self.error is not None:
            raise self.error
        return True


def fan_out(source: Iterator[T], readers: int) -> tuple[Iterator[T], ...]:
    """``readers`` iterators over ``source``; whoever is ahead pulls for all."""
    shared: _Shared[T] = _Shared(readers)

    def read(reader: int) -> Iterator[T]:
        while not shared.over(reader):
            if shared.waiting[reader]:
                yield shared.waiting[reader].popleft()
                continue
            try:
                shared.hand_out(next(source))
            except StopIteration:
                shared.end()
            except Exception as error:
                shared.end(error)

    return tuple(read(reader) for reader in range(readers))


def afan_out(source: AsyncIterator[T], readers: int) -> tuple[AsyncIterator[T], ...]:
    """``fan_out`` for tasks: one of them pulls at a time."""
    shared: _Shared[T] = _Shared(readers)
    turn = asyncio.Lock()

    async def read(reader: int) -> AsyncIterator[T]:
        while not shared.over(reader):
            if shared.waiting[reader]:
                yield shared.waiting[reader].popleft()
                continue
            async with turn:
                if shared.waiting[reader] or shared.ended:
                    continue  # somebody pulled while we waited for our turn
                try:
                    shared.hand_out(await anext(source))
                except StopAsyncIteration:
                    shared.end()
                except Exception as error:
                    shared.end(error)

    return tuple(read(reader) for reader in range(readers))
