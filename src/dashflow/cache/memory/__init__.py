"""InMemoryCache: cached values in this process's memory; serialised, so that nobody shares an object."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence

from dashflow.cache.base import BaseCache, FullKey, Namespace, ValueT
from dashflow.checkpoint.serde.base import SerializerProtocol

__all__ = ("InMemoryCache",)


class InMemoryCache(BaseCache[ValueT]):
    """Values in memory; several threads may use it.

    Args:
        serde: Makes bytes of values and reads them.

    Attributes:
        clock: What time it is, in seconds since the Unix epoch.
    """

    def __init__(self, *, serde: SerializerProtocol | None = None) -> None:
        super().__init__(serde=serde)
        self.clock: Callable[[], float] = time.time
        self._cache: dict[Namespace, dict[str, tuple[str, bytes, float | None]]] = {}
        self._lock = threading.RLock()

    def get(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        """The values of those keys that are cached and not too old."""
        found: dict[FullKey, ValueT] = {}
        with self._lock:
            now = self.clock()
            for namespace, key in keys:
                namespace = tuple(namespace)
                entry = self._cache.get(namespace, {}).get(key)
                if entry is None:
                    continue
                tag, content, end = entry
                if end is None or now < end:
                    found[namespace, key] = self.serde.loads_typed((tag, content))
                else:
                    del self._cache[namespace][key]
        return found

    async def aget(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        """``get``, for asyncio."""
        return self.get(keys)

    def set(self, keys: Mapping[FullKey, tuple[ValueT, int | None]]) -> None:
        """Cache values, by key each with its seconds."""
        with self._lock:
            now = self.clock()
            for (namespace, key), (value, ttl) in keys.items():
                entry = (*self.serde.dumps_typed(value), None if ttl is None else now + ttl)
                self._cache.setdefault(tuple(namespace), {})[key] = entry

    async def aset(self, keys: Mapping[FullKey, tuple[ValueT, int | None]]) -> None:
        """``set``, for asyncio."""
        self.set(keys)

    def clear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """Forget what is in these namespaces; None: everything."""
        with self._lock:
            for namespace in list(self._cache) if namespaces is None else namespaces:
                self._cache.pop(tuple(namespace), None)

    async def aclear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """``clear``, for asyncio."""
        self.clear(namespaces)
