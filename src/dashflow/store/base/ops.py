"""Operations on stores, as values: what ``batch`` and ``abatch`` take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from dashflow.store.base.items import Item, SearchItem

__all__ = (
    "GetOp",
    "ListNamespacesOp",
    "MatchCondition",
    "NamespaceMatchType",
    "NamespacePath",
    "Op",
    "PutOp",
    "Result",
    "SearchOp",
)


class GetOp(NamedTuple):
    """Get one item."""

    namespace: tuple[str, ...]
    """The path of the item's collection."""

    key: str
    """The item's key in it."""

    refresh_ttl: bool = True
    """Whether the item's life begins anew; without effect where it has no end."""


class SearchOp(NamedTuple):
    """Find items under a namespace."""

    namespace_prefix: tuple[str, ...]
    """The namespace that is searched with all below it; ``()``: the whole store."""

    filter: dict[str, Any] | None = None
    """What the value must have, by key: a value that equals, or operators: ``$eq``, ``$ne``, ``$gt``,
    ``$gte``, ``$lt``, ``$lte``. All must hold."""

    limit: int = 10
    """The most items to return."""

    offset: int = 0
    """How many items that fit to leave out first."""

    query: str | None = None
    """Rank by nearness to this text; needs a store with an index."""

    refresh_ttl: bool = True
    """Whether the life of the items found begins anew."""


NamespacePath = tuple[str | Literal["*"], ...]
"""A namespace in which ``"*"`` stands for any one label."""

NamespaceMatchType = Literal["prefix", "suffix"]
"""Which end of a namespace a path is compared with."""


class MatchCondition(NamedTuple):
    """What a namespace must begin or end with."""

    match_type: NamespaceMatchType
    """Whether ``path`` is its beginning or its end."""

    path: NamespacePath
    """The labels; ``"*"`` is any one."""


class ListNamespacesOp(NamedTuple):
    """List the namespaces that hold items."""

    match_conditions: tuple[MatchCondition, ...] | None = None
    """All of these must hold."""

    max_depth: int | None = None
    """Cut deeper namespaces off here; what becomes the same is listed once."""

    limit: int = 100
    """The most namespaces to return."""

    offset: int = 0
    """How many to leave out first."""


class PutOp(NamedTuple):
    """Put an item, or delete one."""

    namespace: tuple[str, ...]
    """The path of the item's collection."""

    key: str
    """The item's key in it."""

    value: Mapping[str, Any] | None
    """What is kept, with texts as keys and values that JSON has; None deletes the item."""

    index: Literal[False] | list[str] | None = None  # type: ignore[assignment]  # a tuple has a method of that name
    """Which parts can be searched by meaning: the paths that the store was made with (None), these, or
    none (False). For paths see ``get_text_at_path``."""

    ttl: float | None = None
    """Minutes that the item lives after it was last put or, if the store says so, read; None: for ever."""


Op = GetOp | SearchOp | PutOp | ListNamespacesOp
"""Any operation."""

Result = Item | list[Item] | list[SearchItem] | list[tuple[str, ...]] | None
"""What an operation returns: of ``GetOp`` an item or None, of ``SearchOp`` items, of
``ListNamespacesOp`` namespaces, of ``PutOp`` None."""
