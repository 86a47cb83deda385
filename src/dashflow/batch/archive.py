"""Reads a batch back out of its stream: its state, inputs, results and failures. Writes nothing.

Keeps a bounded number of bytes in memory, however large the batch is.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import AsyncIterator
from operator import attrgetter
from typing import Any, Final, Literal

import msgspec

from dashflow.batch.core import codec
from dashflow.batch.core.events import Event, Failure, ItemsAdded, ItemsCompleted, ItemsFailed
from dashflow.batch.core.items import ItemState
from dashflow.batch.core.state import BatchState
from dashflow.engine.ports import Host
from dashflow.errors import CorruptEventError
from dashflow.log.base import EventLog
from dashflow.log.codec import Registry, decode

Unknown = Literal["raise", "opaque"]

PAGE: Final = 32
"""Events that are read at a time; each has at most about a megabyte, unless a single value is larger."""

KEPT: Final = 16 << 20
"""Bytes of unpacked events that are kept."""

_first = attrgetter("first")


class ItemResult(msgspec.Struct, frozen=True):
    """An item that came to a result.

    Attributes:
        index: Its place in the batch.
        key: Its key.
        value: The result.
        attempts: How many attempts were made.
    """

    index: int
    key: str
    value: Any
    attempts: int


class ItemFailure(msgspec.Struct, frozen=True):
    """An item that failed: a dead letter.

    Attributes:
        index: Its place in the batch.
        key: Its key.
        kind: The last error's stable code, or the name of its class.
        message: What the error said.
        attempts: How many attempts were made.
    """

    index: int
    key: str
    kind: str
    message: str
    attempts: int


class DeadLetter(ItemFailure, frozen=True):
    """A failed item together with its input.

    Attributes:
        value: The item.
    """

    value: Any


class Rows(msgspec.Struct, frozen=True):
    """What one event has of several items: their packed values, and keys or attempts."""

    first: int
    values: list[bytes]
    keys: tuple[str, ...] = ()
    priorities: tuple[float, ...] = ()
    items: tuple[int, ...] = ()
    attempts: tuple[int, ...] = ()


class Archive:
    """The stream of one batch, to be read.

    Args:
        registry: Classes that values may be revived as.
        unknown: ``raise`` or ``opaque``: what becomes of values of other classes.
    """

    def __init__(
        self, host: Host, log: EventLog, name: str, registry: Registry, unknown: Unknown = "raise"
    ) -> None:
        self._host = host
        self._log = log
        self._stream = codec.stream_of(name)
        self._registry = registry
        self._unknown = unknown
        self._rows: OrderedDict[int, tuple[Rows, int]] = OrderedDict()
        self._held = 0

    async def events(self, after: int = 0, upto: int | None = None) -> AsyncIterator[tuple[int, Event]]:
        """The events behind version ``after`` with their versions, oldest first."""
        while True:
            records = await self._host.read(
                lambda: self._log.read(self._stream, after=after, upto=upto, limit=PAGE)  # noqa: B023
            )
            for record in records:
                yield record.version, codec.decode(record)
            if len(records) < PAGE:
                return
            after = records[-1].version

    async def input(self, state: BatchState, item: int) -> tuple[str, Any]:
        """Key and value of an item.

        Raises:
            ValueCodecError: The value's class is not registered.
        """
        chunk = state.chunks[bisect_right(state.chunks, item, key=_first) - 1]
        rows = await self._read(chunk.version)
        place = item - rows.first
        return (rows.keys[place] if rows.keys else str(item)), self.revived(rows.values[place])

    async def key(self, state: BatchState, item: int) -> str:
        """Key of an item."""
        if not state.keyed:
            return str(item)
        chunk = state.chunks[bisect_right(state.chunks, item, key=_first) - 1]
        rows = await self._read(chunk.version)
        return rows.keys[item - rows.first]

    async def result(self, state: BatchState, item: int, version: int) -> ItemResult:
        """The result of an item that is in the event of this version."""
        rows = await self._read(version)
        place = rows.items.index(item)
        key = await self.key(state, item)
        return ItemResult(item, key, self.revived(rows.values[place]), rows.attempts[place])

    def revived(self, data: bytes) -> Any:
        """A value out of its bytes."""
        return decode(data, self._registry, unknown=self._unknown)

    def keep(self, version: int, event: ItemsAdded | ItemsCompleted) -> Rows:
        """Unpack an event and keep it for a while, since it will be asked for soon."""
        data = event.inputs if isinstance(event, ItemsAdded) else event.results
        try:
            values = codec.unpack(data)
        except msgspec.MsgspecError as error:
            raise CorruptEventError(self._stream, version, str(error)) from error
        if isinstance(event, ItemsAdded):
            rows = Rows(event.first, values, keys=event.keys, priorities=event.priorities)
        else:
            rows = Rows(-1, values, items=event.items, attempts=event.attempts)
        self._rows[version] = rows, len(data)
        self._held += len(data)
        while self._held > KEPT and len(self._rows) > 1:
            self._held -= self._rows.popitem(last=False)[1][1]
        return rows

    async def _read(self, version: int) -> Rows:
        held = self._rows.get(version)
        if held is not None:
            self._rows.move_to_end(version)
            return held[0]
        async for _, event in self.events(version - 1, version):
            if isinstance(event, ItemsAdded | ItemsCompleted):
                return self.keep(version, event)
        raise CorruptEventError(self._stream, version, "it has no items in it")

    async def pending(self, state: BatchState) -> AsyncIterator[tuple[int, float]]:
        """Items that are neither begun nor finished, with their priorities."""
        ends = [*(chunk.first for chunk in state.chunks[1:]), *([state.count] if state.chunks else ())]
        waiting = state.items.find(ItemState.PENDING)
        item = next(waiting, state.count)
        for chunk, end in zip(state.chunks, ends, strict=True):
            if item >= end:
                continue
            rows = await self._read(chunk.version)
            while item < end:
                yield item, rows.priorities[item - chunk.first] if rows.priorities else 0.0
                item = next(waiting, state.count)

    # -- the whole batch ------------------------------------------------------------------------

    async def results(self, state: BatchState) -> AsyncIterator[ItemResult]:
        """The results that there are up to ``state``, in the order of the items."""
        versions = array("Q", bytes(8 * state.count))
        async for version, event in self.events(upto=state.cursor):
            if isinstance(event, ItemsCompleted):
                for item in event.items:
                    versions[item] = version
        for item in state.items.find(ItemState.COMPLETED):
            yield await self.result(state, item, versions[item])

    async def failures(self, state: BatchState) -> AsyncIterator[DeadLetter]:
        """The dead letters that there are at ``state``, in the order of the items.

        Keeps all their messages in memory.
        """
        last: dict[int, Failure] = {}
        async for _, event in self.events(upto=state.cursor):
            if isinstance(event, ItemsFailed):
                last.update((failure.item, failure) for failure in event.failures)
        for item in state.items.find(ItemState.FAILED):
            failure = last[item]
            key, value = await self.input(state, item)
            yield DeadLetter(
                index=item,
                key=key,
                kind=failure.kind,
                message=failure.message,
                attempts=failure.attempts,
                value=value,
            )
