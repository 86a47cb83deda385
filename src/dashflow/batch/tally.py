"""Keeps a batch's aggregates up with its log, one result after the other.

Those that are ordered go along the items as far as all are finished, and read each result back from the log
when its turn has come, so that none is kept in memory meanwhile.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Any

from dashflow.batch.aggregates import Aggregate
from dashflow.batch.archive import Archive, Rows
from dashflow.batch.core.events import Event, ItemsAdded, ItemsCompleted, ItemsRequeued
from dashflow.batch.core.items import ItemState
from dashflow.batch.core.state import BatchState
from dashflow.errors import BatchAggregateError


class Tally:
    """The aggregates of one batch, by name.

    Attributes:
        fault: What a function of an aggregate raised first; nothing is added after it.
    """

    def __init__(self, batch: str, aggregates: Mapping[str, Aggregate], archive: Archive) -> None:
        self._batch = batch
        self._archive = archive
        self._aggregates = dict(aggregates)
        self._values = {name: one.start() for name, one in self._aggregates.items()}
        self._free = tuple(name for name, one in self._aggregates.items() if not one.ordered)
        self._ordered = tuple(name for name, one in self._aggregates.items() if one.ordered)
        self._versions = array("Q")
        self._next = 0
        self.fault: BatchAggregateError | None = None

    @property
    def values(self) -> dict[str, Any]:
        """What each aggregate comes to now."""
        return {name: one.value(self._values[name]) for name, one in self._aggregates.items()}

    def see(self, version: int, event: Event) -> None:
        """Take in an event of the log."""
        if not self._aggregates:
            return
        if isinstance(event, ItemsCompleted):
            rows = self._archive.keep(version, event)
            if self._free:
                self._take(rows)
            for item in event.items if self._ordered else ():
                self._versions[item] = version
        elif self._ordered and isinstance(event, ItemsAdded):
            self._versions.frombytes(bytes(8 * event.count))
        elif self._ordered and isinstance(event, ItemsRequeued):
            # Items that were passed as failed may come to results after all.
            self._next = 0
            for name in self._ordered:
                self._values[name] = self._aggregates[name].start()

    def _take(self, rows: Rows) -> None:
        for item, data in zip(rows.items, rows.values, strict=True):
            for name in self._free:
                self._add(name, item, self._archive.revived(data))

    async def advance(self, state: BatchState) -> None:
        """Let the ordered aggregates see all items up to the first that is not finished."""
        if not self._ordered:
            return
        while self._next < state.count:
            stands = state.items[self._next]
            if stands is ItemState.COMPLETED:
                for name in self._ordered:
                    result = await self._archive.result(state, self._next, self._versions[self._next])
                    self._add(name, self._next, result.value)
            elif stands is not ItemState.FAILED:
                return
            self._next += 1

    def _add(self, name: str, item: int, result: Any) -> None:
        if self.fault is not None:
            return
        try:
            self._values[name] = self._aggregates[name].add(self._values[name], result)
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
            self.fault = BatchAggregateError(self._batch, name, item, problem)
            self.fault.__cause__ = error
