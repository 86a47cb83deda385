"""The interface of stores: ``BaseStore``, what it takes and what it returns.

``Embeddings`` is LangChain's class; reading that name here loads LangChain.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: F401 - operations' annotations are looked up here
from datetime import datetime  # noqa: F401
from typing import TYPE_CHECKING, Any, Literal  # noqa: F401

from dashflow.store.base.embed import (
    AEmbeddingsFunc,
    EmbeddingsFunc,
    embeddings_class,
    ensure_embeddings,
    get_text_at_path,
    tokenize_path,
)
from dashflow.store.base.items import Item, SearchItem
from dashflow.store.base.namespaces import (
    InvalidNamespaceError,
    _validate_namespace,
    _validate_namespace_labels,
    validate_op_namespace,
)
from dashflow.store.base.ops import (
    GetOp,
    ListNamespacesOp,
    MatchCondition,
    NamespaceMatchType,
    NamespacePath,
    Op,
    PutOp,
    Result,
    SearchOp,
)
from dashflow.store.base.settings import (
    NOT_GIVEN,
    NOT_PROVIDED,
    IndexConfig,
    NotProvided,
    TTLConfig,
    _ensure_refresh,
    _ensure_ttl,
)
from dashflow.store.base.store import BaseStore

if TYPE_CHECKING:
    from dashflow._util.langchain import Embeddings

# With a leading underscore: what other people's stores take from here.
__all__ = (
    "NOT_GIVEN",
    "NOT_PROVIDED",
    "AEmbeddingsFunc",
    "BaseStore",
    "Embeddings",
    "EmbeddingsFunc",
    "GetOp",
    "IndexConfig",
    "InvalidNamespaceError",
    "Item",
    "ListNamespacesOp",
    "MatchCondition",
    "NamespaceMatchType",
    "NamespacePath",
    "NotProvided",
    "Op",
    "PutOp",
    "Result",
    "SearchItem",
    "SearchOp",
    "TTLConfig",
    "_ensure_refresh",
    "_ensure_ttl",
    "_validate_namespace",
    "_validate_namespace_labels",
    "ensure_embeddings",
    "get_text_at_path",
    "tokenize_path",
    "validate_op_namespace",
)

for _kind in (BaseStore, GetOp, InvalidNamespaceError, Item, ListNamespacesOp, MatchCondition, PutOp):
    # Pickles and stored values name the public module, wherever in it a class is written.
    _kind.__module__ = __name__
SearchItem.__module__ = SearchOp.__module__ = __name__


def __getattr__(name: str) -> Any:
    if name == "Embeddings":
        return embeddings_class()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
