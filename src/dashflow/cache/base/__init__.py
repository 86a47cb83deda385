"""BaseCache: the interface of every cache, ours and other people's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

from dashflow.checkpoint.serde.base import SerializerProtocol
from dashflow.checkpoint.serde.jsonplus import JsonPlusSerializer

__all__ = ("BaseCache", "FullKey", "Namespace", "ValueT")

ValueT = TypeVar("ValueT")

Namespace = tuple[str, ...]
"""What a cached value belongs to."""

FullKey = tuple[Namespace, str]
"""A namespace, and a key in it."""


class BaseCache(ABC, Generic[ValueT]):
    """Values by namespace and key, some of them for a time only.

    Args:
        serde: Makes bytes of values and reads them. The default pickles nothing and unpickles nothing, so
            that whoever can write to the cache's file or server cannot have code run.

    Attributes:
        serde: The serialiser.
    """

    serde: SerializerProtocol = JsonPlusSerializer(pickle_fallback=False)

    def __init__(self, *, serde: SerializerProtocol | None = None) -> None:
        self.serde = serde or self.serde

    @abstractmethod
    def get(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        """The values of those keys that are cached and not too old."""

    @abstractmethod
    async def aget(self, keys: Sequence[FullKey]) -> dict[FullKey, ValueT]:
        """``get``, for asyncio."""

    @abstractmethod
    def set(self, pairs: Mapping[FullKey, tuple[ValueT, int | None]]) -> None:
        """Cache values.

        Args:
            pairs: By key the value, and for how many seconds; None: for ever.
        """

    @abstractmethod
    async def aset(self, pairs: Mapping[FullKey, tuple[ValueT, int | None]]) -> None:
        """``set``, for asyncio."""

    @abstractmethod
    def clear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """Forget what is in these namespaces; None: everything."""

    @abstractmethod
    async def aclear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """``clear``, for asyncio."""
