"""BaseStore: the interface of every store, ours and other people's. LangGraph's names and calls.

Every call becomes an operation and goes through ``batch`` or ``abatch``, which a store implements.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, Literal, cast

from dashflow.store.base.items import Item, SearchItem
from dashflow.store.base.namespaces import _validate_namespace, _validate_namespace_labels
from dashflow.store.base.ops import (
    GetOp,
    ListNamespacesOp,
    MatchCondition,
    NamespacePath,
    Op,
    PutOp,
    Result,
    SearchOp,
)
from dashflow.store.base.settings import (
    NOT_PROVIDED,
    NotProvided,
    TTLConfig,
    _ensure_refresh,
    _ensure_ttl,
)

__all__ = ("BaseStore",)

Namespace = tuple[str, ...]
Index = Literal[False] | list[str] | None


class BaseStore(ABC):
    """Values by namespace and key, shared by all threads.

    A store of your own implements ``batch`` and ``abatch``. It sets ``supports_ttl`` if its items can
    end, and ``ttl_config`` to what it was told about that.
    """

    supports_ttl: bool = False
    ttl_config: TTLConfig | None = None

    __slots__ = ("__weakref__",)

    @abstractmethod
    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out operations.

        Args:
            ops: The operations. Reads see what was there before the batch.

        Returns:
            The result of each, in their order.
        """

    @abstractmethod
    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Carry out operations.

        Args:
            ops: The operations. Reads see what was there before the batch.

        Returns:
            The result of each, in their order.
        """

    def get(self, namespace: Namespace, key: str, *, refresh_ttl: bool | None = None) -> Item | None:
        """An item.

        Args:
            namespace: The path of its collection.
            key: Its key in it.
            refresh_ttl: Whether its life begins anew; None: as the store was told.

        Returns:
            The item, or None if there is none.

        Raises:
            InvalidNamespaceError: A label of the namespace is not valid.
        """
        return cast("Item | None", self.batch([_get(self, namespace, key, refresh_ttl)])[0])

    def search(
        self,
        namespace_prefix: Namespace,
        /,
        *,
        query: str | None = None,
        filter: dict[str, Any] | None = None,  # noqa: A002 - LangGraph's name
        limit: int = 10,
        offset: int = 0,
        refresh_ttl: bool | None = None,
    ) -> list[SearchItem]:
        """Items under a namespace.

        Args:
            namespace_prefix: The namespace that is searched with all below it; ``()``: the whole store.
            query: Rank by nearness to this text, if the store has an index.
            filter: What values must have, by key: a value that equals, or operators: ``$eq``, ``$ne``,
                ``$gt``, ``$gte``, ``$lt``, ``$lte``.
            limit: The most items to return.
            offset: How many items that fit to leave out first.
            refresh_ttl: Whether the found items' life begins anew; None: as the store was told.

        Raises:
            InvalidNamespaceError: A label of the namespace is not valid.
        """
        op = _search(self, namespace_prefix, query, filter, limit, offset, refresh_ttl)
        return cast("list[SearchItem]", self.batch([op])[0])

    def put(
        self,
        namespace: Namespace,
        key: str,
        value: Mapping[str, Any],
        index: Index = None,
        *,
        ttl: float | NotProvided | None = NOT_PROVIDED,
    ) -> None:
        """Keep a value; it replaces what is there.

        Args:
            namespace: The path of its collection.
            key: Its key in it.
            value: The value, with texts as keys and values that JSON has.
            index: Which parts can be searched by meaning: the paths that the store was made with
                (None), these, or none (False).
            ttl: Minutes that it lives; None: for ever; left out: as the store was told.

        Raises:
            InvalidNamespaceError: The namespace is empty, its root is reserved, or a label is not valid.
            NotImplementedError: A ttl, for a store whose items cannot end.
        """
        self.batch([_put(self, namespace, key, value, index, ttl)])

    def delete(self, namespace: Namespace, key: str) -> None:
        """Delete an item, if it is there.

        Args:
            namespace: The path of its collection.
            key: Its key in it.

        Raises:
            InvalidNamespaceError: A label of the namespace is not valid.
        """
        self.batch([_delete(namespace, key)])

    def list_namespaces(
        self,
        *,
        prefix: NamespacePath | None = None,
        suffix: NamespacePath | None = None,
        max_depth: int | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[Namespace]:
        """Namespaces that hold items, sorted.

        Args:
            prefix: What they must begin with; ``"*"`` is any one label.
            suffix: What they must end with; ``"*"`` is any one label.
            max_depth: Cut deeper ones off here; what becomes the same is listed once.
            limit: The most namespaces to return.
            offset: How many to leave out first.

        Raises:
            InvalidNamespaceError: A label is not valid.
        """
        return cast(
            "list[Namespace]", self.batch([_list_namespaces(prefix, suffix, max_depth, limit, offset)])[0]
        )

    async def aget(self, namespace: Namespace, key: str, *, refresh_ttl: bool | None = None) -> Item | None:
        """``get``, for asyncio."""
        return cast("Item | None", (await self.abatch([_get(self, namespace, key, refresh_ttl)]))[0])

    async def asearch(
        self,
        namespace_prefix: Namespace,
        /,
        *,
        query: str | None = None,
        filter: dict[str, Any] | None = None,  # noqa: A002 - LangGraph's name
        limit: int = 10,
        offset: int = 0,
        refresh_ttl: bool | None = None,
    ) -> list[SearchItem]:
        """``search``, for asyncio."""
        op = _search(self, namespace_prefix, query, filter, limit, offset, refresh_ttl)
        return cast("list[SearchItem]", (await self.abatch([op]))[0])

    async def aput(
        self,
        namespace: Namespace,
        key: str,
        value: Mapping[str, Any],
        index: Index = None,
        *,
        ttl: float | NotProvided | None = NOT_PROVIDED,
    ) -> None:
        """``put``, for asyncio."""
        await self.abatch([_put(self, namespace, key, value, index, ttl)])

    async def adelete(self, namespace: Namespace, key: str) -> None:
        """``delete``, for asyncio."""
        await self.abatch([_delete(namespace, key)])

    async def alist_namespaces(
        self,
        *,
        prefix: NamespacePath | None = None,
        suffix: NamespacePath | None = None,
        max_depth: int | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[Namespace]:
        """``list_namespaces``, for asyncio."""
        op = _list_namespaces(prefix, suffix, max_depth, limit, offset)
        return cast("list[Namespace]", (await self.abatch([op]))[0])


def _get(store: BaseStore, namespace: Namespace, key: str, refresh_ttl: bool | None) -> GetOp:
    _validate_namespace_labels(namespace)
    return GetOp(namespace, str(key), _ensure_refresh(store.ttl_config, refresh_ttl))


def _search(
    store: BaseStore,
    prefix: Namespace,
    query: str | None,
    condition: dict[str, Any] | None,
    limit: int,
    offset: int,
    refresh_ttl: bool | None,
) -> SearchOp:
    _validate_namespace_labels(prefix)
    refresh = _ensure_refresh(store.ttl_config, refresh_ttl)
    return SearchOp(prefix, condition, limit, offset, query, refresh)


def _put(
    store: BaseStore,
    namespace: Namespace,
    key: str,
    value: Mapping[str, Any],
    index: Index,
    ttl: float | NotProvided | None,
) -> PutOp:
    _validate_namespace(namespace)
    if not (ttl is None or isinstance(ttl, NotProvided) or store.supports_ttl):
        raise NotImplementedError(
            f"TTL is not supported by {type(store).__name__}. "
            "Use a store implementation that supports TTL or set ttl=None."
        )
    return PutOp(namespace, str(key), value, index, _ensure_ttl(store.ttl_config, ttl))


def _delete(namespace: Namespace, key: str) -> PutOp:
    _validate_namespace_labels(namespace)
    return PutOp(namespace, str(key), None)


def _list_namespaces(
    prefix: NamespacePath | None,
    suffix: NamespacePath | None,
    max_depth: int | None,
    limit: int,
    offset: int,
) -> ListNamespacesOp:
    conditions = []
    if prefix:
        _validate_namespace_labels(prefix)
        conditions.append(MatchCondition("prefix", prefix))
    if suffix:
        _validate_namespace_labels(suffix)
        conditions.append(MatchCondition("suffix", suffix))
    return ListNamespacesOp(tuple(conditions), max_depth, limit, offset)
