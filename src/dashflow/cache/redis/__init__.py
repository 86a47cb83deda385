"""RedisCache: cached values on a Redis server. Takes a client; does not import the package redis itself."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Coroutine, Mapping, Sequence
from inspect import isawaitable, iscoroutinefunction
from typing import Any, Final, TypeVar

from dashflow._util.drive import drive
from dashflow.cache.base import BaseCache, FullKey, Namespace, ValueT
from dashflow.checkpoint.serde.base import SerializerProtocol
from dashflow.errors import UsageError

__all__ = ("RedisCache",)

_logger = logging.getLogger(__name__)

_GLOB: Final = re.compile(r"[][*?^\\-]")
"""Characters that mean something in a pattern of Redis."""

_LABEL: Final = re.compile(rb"(?:[^:\\]|\\.)*", re.DOTALL)
"""One label of a key, or its last part."""

T = TypeVar("T")


class RedisCache(BaseCache[ValueT]):
    """Values on a Redis server.

    A server that is away, and an entry that cannot be read, count as nothing cached: a warning is logged.

    Args:
        redis: A client of the package redis that returns bytes. One for asyncio serves the async methods
            only, any other serves these in a thread.
        serde: Makes bytes of values and reads them.
        prefix: Begins every key on the server. The default is LangGraph's, which can read what is there.

    Attributes:
        redis: The client.
        prefix: Begins every key on the server.
    """

    def __init__(
        self, redis: Any, *, serde: SerializerProtocol | None = None, prefix: str = "langgraph:cache:"
    ) -> None:
        super().__init__(serde=serde)
        self.redis = redis
        self.prefix = prefix
        self._is_async = iscoroutinefunction(getattr(redis, "execute_command", None))

    def get(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        """The values of those keys that are cached and not too old."""
        return self._sync(self._get(keys))

    async def aget(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        """``get``, for asyncio."""
        return await self._apart(self._get(keys))

    def set(self, mapping: Mapping[FullKey, tuple[ValueT, int | None]]) -> None:
        """Cache values, by key each with its seconds; all or none."""
        self._sync(self._set(mapping))

    async def aset(self, mapping: Mapping[FullKey, tuple[ValueT, int | None]]) -> None:
        """``set``, for asyncio."""
        await self._apart(self._set(mapping))

    def clear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """Forget what is in these namespaces; None: everything under the prefix."""
        self._sync(self._clear(namespaces))

    async def aclear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """``clear``, for asyncio."""
        await self._apart(self._clear(namespaces))

    def _sync(self, call: Coroutine[Any, Any, T]) -> T:
        if self._is_async:
            call.close()
            raise UsageError(
                "This RedisCache has a client for asyncio: use its async methods, or give it a redis.Redis."
            )
        return drive(call)

    async def _apart(self, call: Coroutine[Any, Any, T]) -> T:
        return await (call if self._is_async else asyncio.to_thread(drive, call))

    async def _get(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        if not keys:
            return {}
        try:
            entries = await _result(self.redis.mget([self._make_key(*key) for key in keys]))
        except Exception as error:
            self._warn("nothing was read", error)
            return {}
        found: dict[FullKey, ValueT] = {}
        for (namespace, key), entry in zip(keys, entries, strict=True):
            if entry is None:
                continue
            try:
                tag, content = entry.split(b":", 1)
                found[tuple(namespace), key] = self.serde.loads_typed((tag.decode(), content))
            except Exception as error:
                self._warn(f"the entry of {key!r} in {namespace} cannot be read", error)
        return found

    async def _set(self, mapping: Mapping[FullKey, tuple[ValueT, int | None]]) -> None:
        if not mapping:
            return
        pipe = self.redis.pipeline()
        for key, (value, ttl) in mapping.items():
            tag, content = self.serde.dumps_typed(value)
            name, entry = self._make_key(*key), tag.encode() + b":" + content
            if ttl is None:
                pipe.set(name, entry)
            elif ttl > 0:
                pipe.set(name, entry, px=max(1, round(ttl * 1000)))
            else:
                pipe.delete(name)
        try:
            await _result(pipe.execute())
        except Exception as error:
            self._warn("nothing was written", error)

    async def _clear(self, namespaces: Sequence[Namespace] | None) -> None:
        beginnings = [self.prefix] if namespaces is None else map(self._beginning, namespaces)
        try:
            for beginning in beginnings:
                await self._delete_under(beginning, below=namespaces is None)
        except Exception as error:
            self._warn("not everything was cleared", error)

    async def _delete_under(self, beginning: str, *, below: bool) -> None:
        """Delete the keys that begin so; unless ``below``, only those with one part more."""
        pattern = _GLOB.sub(r"\\\g<0>", beginning) + "*"
        length = len(beginning.encode())
        cursor = 0
        while True:
            cursor, names = await _result(self.redis.scan(cursor, match=pattern, count=1000))
            names = [name for name in names if below or _LABEL.fullmatch(_bytes(name)[length:])]
            if names:
                await _result(self.redis.delete(*names))
            if not cursor:
                return

    def _beginning(self, namespace: Namespace) -> str:
        return self.prefix + "".join(_escaped(label) + ":" for label in namespace)

    def _make_key(self, namespace: Namespace, key: str) -> str:
        """The key on the server, for no two the same: LangGraph's, colons within parts marked."""
        return self._beginning(namespace) + _escaped(key)

    def _warn(self, what: str, error: Exception) -> None:
        _logger.warning("Redis cache %r: %s: %s: %s", self.prefix, what, type(error).__name__, error)


async def _result(answer: Any) -> Any:
    """What a client returned, at once or to be awaited."""
    return await answer if isawaitable(answer) else answer


def _bytes(name: str | bytes) -> bytes:
    return name.encode() if isinstance(name, str) else name


def _escaped(part: str) -> str:
    return part.replace("\\", "\\\\").replace(":", "\\:")
