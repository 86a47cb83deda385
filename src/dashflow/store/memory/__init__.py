"""InMemoryStore: items in this process's memory, gone with it. For tests, and for what may be forgotten."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice

from dashflow._util.langchain import Embeddings
from dashflow.store.base import (
    BaseStore,
    GetOp,
    IndexConfig,
    Item,
    ListNamespacesOp,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
)
from dashflow.store.base.namespaces import matches
from dashflow.store.filters import fits
from dashflow.store.index import NO_VECTORS, TextIndex, Vectors
from dashflow.store.similarity import cosine
from dashflow.store.sweeper import SweptByThread, ThreadSweeper

__all__ = ("InMemoryStore",)

Namespace = tuple[str, ...]
Place = tuple[Namespace, str]
Ranked = tuple[Item, float | None]


class InMemoryStore(SweptByThread, BaseStore):
    """Items in memory; several threads may use it.

    Args:
        index: What is searched by meaning, and how; without it nothing is.
        ttl: How long items live. Without it a ttl is refused, as in LangGraph, whose store in memory
            knows none.

    Attributes:
        index_config: A copy of ``index``.
        embeddings: What makes the vectors.
        clock: What time it is.
    """

    def __init__(self, *, index: IndexConfig | None = None, ttl: TTLConfig | None = None) -> None:
        # Packages that keep LangGraph's store in a file replace these two mappings under these names.
        self._data: dict[Namespace, dict[str, Item]] = defaultdict(dict)
        self._vectors: dict[Namespace, dict[str, dict[str, Sequence[float]]]] = defaultdict(dict)
        self._ends: dict[Place, tuple[datetime, float]] = {}
        self._lock = threading.RLock()
        self._sweeper = ThreadSweeper()
        self._index = TextIndex(index) if index else None
        self.index_config: IndexConfig | None = self._index.config if self._index else None
        self.embeddings: Embeddings | None = self._index.embeddings if self._index else None
        if ttl is not None:
            self.ttl_config, self.supports_ttl = ttl, True
        self.clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out operations, all at one moment; see ``BaseStore.batch``."""
        ops = list(ops)
        return self._carry_out(ops, self._index.embed(ops) if self._index else NO_VECTORS)

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """``batch``, for asyncio."""
        ops = list(ops)
        return self._carry_out(ops, await self._index.aembed(ops) if self._index else NO_VECTORS)

    def sweep_ttl(self) -> int:
        """Delete the items whose life is over; how many that were."""
        with self._lock:
            now = self.clock()
            over = [place for place in self._ends if self._is_over(place, now)]
            for namespace, key in over:
                self._delete(namespace, key)
        return len(over)

    def _carry_out(self, ops: list[Op], vectors: Vectors) -> list[Result]:
        with self._lock:
            now = self.clock()
            results = [self._read(op, vectors, now) for op in ops]
            for place, op in enumerate(ops):
                if isinstance(op, PutOp):
                    self._put(op, vectors.documents.get(place, ()), now)
        return results

    def _read(self, op: Op, vectors: Vectors, now: datetime) -> Result:
        if isinstance(op, GetOp):
            return self._get(op, now)
        if isinstance(op, SearchOp):
            return self._search(op, vectors, now)
        if isinstance(op, ListNamespacesOp):
            return self._list_namespaces(op, now)
        if isinstance(op, PutOp):
            return None
        raise ValueError(f"Unknown operation type: {type(op)}")

    def _get(self, op: GetOp, now: datetime) -> Item | None:
        namespace = tuple(op.namespace)
        item = self._data.get(namespace, {}).get(op.key)
        if item is None or self._is_hidden(item, now):
            return None
        self._refresh([item], op.refresh_ttl, now)
        return item

    def _search(self, op: SearchOp, vectors: Vectors, now: datetime) -> list[SearchItem]:
        found = self._fitting(op, now)
        query = vectors.queries.get(op.query) if op.query else None
        end = op.offset + op.limit
        if query is not None:
            ranked = self._ranked(found, query)
        else:
            # Negative bounds count from the end, so that all must be there.
            most = end if min(op.offset, op.limit) >= 0 else None
            ranked = [(item, None) for item in islice(found, most)]
        page = ranked[op.offset : end]
        self._refresh([item for item, _ in page], op.refresh_ttl, now)
        return [
            SearchItem(item.namespace, item.key, item.value, item.created_at, item.updated_at, score)
            for item, score in page
        ]

    def _fitting(self, op: SearchOp, now: datetime) -> Iterator[Item]:
        """The items under a namespace that have what the filter names."""
        prefix, wanted = tuple(op.namespace_prefix), list((op.filter or {}).items())
        depth = len(prefix)
        for namespace, items in self._data.items():
            if namespace[:depth] != prefix:
                continue
            for item in items.values():
                value = item.value
                if self._is_hidden(item, now):
                    continue
                if all(fits(value.get(key), other) for key, other in wanted):
                    yield item

    def _ranked(self, items: Iterable[Item], query: Sequence[float]) -> list[Ranked]:
        """The nearest first, each as near as its nearest text; those without a vector last."""
        flat: list[tuple[Item, Sequence[float]]] = []
        rest: list[Ranked] = []
        for item in items:
            vectors = self._vectors.get(item.namespace, {}).get(item.key, {})
            flat += [(item, vector) for vector in vectors.values()]
            if not vectors:
                rest.append((item, None))
        best: dict[Place, tuple[Item, float]] = {}
        for (item, _), score in zip(flat, cosine(query, [vector for _, vector in flat]), strict=True):
            place = (item.namespace, item.key)
            if place not in best or score > best[place][1]:
                best[place] = (item, score)
        return [*sorted(best.values(), key=lambda found: -found[1]), *rest]

    def _list_namespaces(self, op: ListNamespacesOp, now: datetime) -> list[Namespace]:
        found = {
            namespace if op.max_depth is None else namespace[: op.max_depth]
            for namespace, items in self._data.items()
            if any(not self._is_hidden(item, now) for item in items.values())
            and all(matches(condition, namespace) for condition in op.match_conditions or ())
        }
        return sorted(found)[op.offset : op.offset + op.limit]

    def _put(self, op: PutOp, vectors: Iterable[tuple[str, Sequence[float]]], now: datetime) -> None:
        namespace = tuple(op.namespace)
        items = self._data.setdefault(namespace, {})
        before = items.get(op.key)
        if op.value is None:
            self._delete(namespace, op.key)
            return
        items[op.key] = Item(
            value=dict(op.value),
            key=op.key,
            namespace=namespace,
            created_at=before.created_at if before else now,
            updated_at=now,
        )
        if self._index:
            self._vectors.setdefault(namespace, {})[op.key] = dict(vectors)
        self._ends.pop((namespace, op.key), None)
        if op.ttl is not None and self.supports_ttl:
            self._ends[namespace, op.key] = (now + timedelta(minutes=op.ttl), op.ttl)

    def _delete(self, namespace: Namespace, key: str) -> None:
        self._ends.pop((namespace, key), None)
        for kept in (self._data, self._vectors):
            inside = kept.get(namespace)
            if inside is not None:
                inside.pop(key, None)
                if not inside:
                    del kept[namespace]

    def _is_over(self, place: Place, now: datetime) -> bool:
        end = self._ends.get(place)
        return end is not None and end[0] <= now

    def _is_hidden(self, item: Item, now: datetime) -> bool:
        return bool(
            self._ends
            and self.ttl_config
            and self.ttl_config.get("omit_expired")
            and self._is_over((item.namespace, item.key), now)
        )

    def _refresh(self, items: Iterable[Item], wanted: bool, now: datetime) -> None:
        if not (wanted and self._ends and self.ttl_config and self.ttl_config.get("refresh_on_read")):
            return
        for item in items:
            place = (item.namespace, item.key)
            if place in self._ends:
                minutes = self._ends[place][1]
                self._ends[place] = (now + timedelta(minutes=minutes), minutes)
