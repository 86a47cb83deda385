"""Where a batch's items come from: an iterable, read in chunks, with keys, priorities and a running digest.

The digest tells whether a source is the same again when a batch goes on. Reads and encodes; records nothing.
"""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from math import isfinite
from typing import Any, Final

import msgspec
import xxhash

from dashflow.batch.core.state import BatchState
from dashflow.errors import BatchInputError, DashFlowError, DuplicateKeyError
from dashflow.log.codec import encode

CHUNK_ITEMS: Final = 256
CHUNK_BYTES: Final = 1 << 20
CHUNK_SECONDS: Final = 0.02
"""A chunk ends when one of these is reached: a slow source must not keep what it gave to itself."""

_FREE: Final = 0


class Chunk(msgspec.Struct, frozen=True):
    """Items that were read together.

    Attributes:
        first: Index of the first one.
        inputs: The items, encoded.
        keys: Their keys; empty where the index is the key.
        priorities: Their priorities; empty where all are 0.
        digest: Of all items of the source up to the last of these.
        ended: Whether there are no more.
        error: What the source, or a function on its items, failed with behind the last of these.
    """

    first: int
    inputs: tuple[bytes, ...]
    digest: int
    keys: tuple[str, ...] = ()
    priorities: tuple[float, ...] = ()
    ended: bool = False
    error: Exception | None = None


class KeySet:
    """Which keys there were, as 8 bytes of hash each in a table with open places.

    Two of a million keys have the same hash with a chance of 1 in 30 million; such a key is refused as one
    that was there before.
    """

    __slots__ = ("_count", "_table")

    def __init__(self) -> None:
        self._table = array("Q", bytes(8 * 1024))
        self._count = 0

    def add(self, key: str) -> bool:
        """Note a key; False if it was there."""
        if not self._put(xxhash.xxh3_64_intdigest(key.encode("utf-8", "surrogatepass")) or 1):
            return False
        self._count += 1
        if 3 * self._count > 2 * len(self._table):
            before = self._table
            self._table = array("Q", bytes(16 * len(before)))
            for number in before:
                if number != _FREE:
                    self._put(number)
        return True

    def _put(self, number: int) -> bool:
        table = self._table
        mask = len(table) - 1
        place = number & mask
        while (held := table[place]) != _FREE:
            if held == number:
                return False
            place = (place + 1) & mask
        table[place] = number
        return True


class Taker:
    """Takes items one after the other, and knows what of them has to be recorded."""

    def __init__(
        self, batch: str, key: Callable[[Any], Any] | None, priority: Callable[[Any], float] | None
    ) -> None:
        self._batch = batch
        self._key = key
        self._priority = priority
        self._keys = KeySet()
        self._digest = xxhash.xxh3_64()
        self.count = 0

    @property
    def digest(self) -> int:
        """Of all items taken so far."""
        return self._digest.intdigest() >> 1  # fits where numbers are signed

    def take(self, value: Any) -> tuple[bytes, str, float]:
        """The next item: encoded, with its key ("" where the index is the key) and priority.

        Raises:
            ValueCodecError: It cannot be recorded.
            DuplicateKeyError: Another item has its key.
            BatchInputError: ``key`` or ``priority`` made nothing useful of it.
        """
        data = encode(value, f"items[{self.count}]")
        key = "" if self._key is None else str(self._key(value))
        priority = 0.0 if self._priority is None else float(self._priority(value))
        if not isfinite(priority):
            raise BatchInputError(self._batch, f"the priority of item {self.count} is {priority}")
        if self._key is not None:
            if not key:
                raise BatchInputError(self._batch, f"the key of item {self.count} is empty")
            if not self._keys.add(key):
                raise DuplicateKeyError(self._batch, key, self.count)
        self._digest.update(data)
        if key:
            self._digest.update(key.encode("utf-8", "surrogatepass"))
        self.count += 1
        return data, key, priority


class Reading:
    """A chunk that is being read."""

    def __init__(self, taker: Taker, elapsed: Callable[[], float]) -> None:
        self._taker = taker
        self._elapsed = elapsed
        self._until: float | None = None
        self._first = taker.count
        self._rows: list[tuple[bytes, str, float]] = []
        self._bytes = 0

    def take(self, value: Any) -> bool:
        """Take an item; False when the chunk is full with it. Raises what ``Taker.take`` raises."""
        row = self._taker.take(value)
        self._rows.append(row)
        self._bytes += len(row[0])
        if self._until is None:  # counted from the first item: until it came there was nothing to hand on
            self._until = self._elapsed() + CHUNK_SECONDS
        return not (
            len(self._rows) >= CHUNK_ITEMS or self._bytes >= CHUNK_BYTES or self._elapsed() >= self._until
        )

    def chunk(self, *, ended: bool = False, error: Exception | None = None) -> Chunk:
        """What was read."""
        rows = self._rows
        return Chunk(
            self._first,
            tuple(data for data, _, _ in rows),
            self._taker.digest,
            keys=tuple(key for _, key, _ in rows) if any(key for _, key, _ in rows) else (),
            priorities=tuple(of for _, _, of in rows) if any(of for _, _, of in rows) else (),
            ended=ended,
            error=error,
        )


class Source:
    """The items of a batch.

    Args:
        batch: Its name, for messages.
        items: An iterable, or an async iterable where there is a loop.
        key: Makes an item's key; None: its index.
        priority: Makes an item's priority; None: all have the same.
    """

    def __init__(
        self,
        batch: str,
        items: Iterable[Any] | AsyncIterable[Any],
        key: Callable[[Any], Any] | None = None,
        priority: Callable[[Any], float] | None = None,
    ) -> None:
        self.awaitable = isinstance(items, AsyncIterable)
        self._batch = batch
        self._items: Any = items
        self._keyed = key is not None
        self._taker = Taker(batch, key, priority)
        self._iterator: Any = None

    def skip(self, state: BatchState) -> Any:
        """Read the items that are accepted already; awaitable where the items are.

        Raises:
            BatchInputError: They are other ones than those accepted.
        """
        return self._askip(state) if self.awaitable else self._skip(state)

    def read(self, elapsed: Callable[[], float]) -> Any:
        """Read the next chunk; awaitable where the items are. ``elapsed``: seconds of a measuring clock."""
        reading = Reading(self._taker, elapsed)
        return self._aread(reading) if self.awaitable else self._read(reading)

    def _begin(self) -> Iterator[Any]:
        self._iterator = iter(self._items)
        self._items = None
        iterator: Iterator[Any] = self._iterator
        return iterator

    def _abegin(self) -> AsyncIterator[Any]:
        self._iterator = aiter(self._items)
        self._items = None
        iterator: AsyncIterator[Any] = self._iterator
        return iterator

    def _skip(self, state: BatchState) -> None:
        iterator = self._iterator or self._begin()
        for _ in range(state.count):
            try:
                self._taker.take(next(iterator))
            except StopIteration:
                break
        self._compare(state)
        if state.ended and next(iterator, self) is not self:
            self._refuse(f"there are more than the {state.count} that were all of them")

    async def _askip(self, state: BatchState) -> None:
        iterator = self._iterator or self._abegin()
        for _ in range(state.count):
            try:
                self._taker.take(await anext(iterator))
            except StopAsyncIteration:
                break
        self._compare(state)
        if state.ended and await anext(iterator, self) is not self:
            self._refuse(f"there are more than the {state.count} that were all of them")

    def _compare(self, state: BatchState) -> None:
        if self._keyed != state.keyed and state.count:
            self._refuse(
                "they were accepted "
                + ("with keys of their own" if state.keyed else "without keys of their own")
            )
        if self._taker.count < state.count:
            self._refuse(f"there are {self._taker.count}, and {state.count} were accepted before")
        if state.count and self._taker.digest != state.digest:
            self._refuse(f"the first {state.count} are not those that were accepted before")

    def _refuse(self, problem: str) -> None:
        raise BatchInputError(self._batch, problem)

    def _read(self, reading: Reading) -> Chunk:
        iterator = self._iterator or self._begin()
        try:
            for value in iterator:
                if not reading.take(value):
                    return reading.chunk()
        except Exception as error:  # what came before it is accepted first
            return reading.chunk(error=self._fault(error))
        return reading.chunk(ended=True)

    async def _aread(self, reading: Reading) -> Chunk:
        iterator = self._iterator or self._abegin()
        try:
            async for value in iterator:
                if not reading.take(value):
                    return reading.chunk()
        except Exception as error:  # what came before it is accepted first
            return reading.chunk(error=self._fault(error))
        return reading.chunk(ended=True)

    def _fault(self, error: Exception) -> Exception:
        if isinstance(error, DashFlowError):
            return error
        fault = BatchInputError(
            self._batch, f"item {self._taker.count} raised {type(error).__name__}: {error}"
        )
        fault.__cause__ = error
        return fault
