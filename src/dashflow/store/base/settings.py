"""What a store can be told when it is made: how long items live, and what is searched by meaning."""

from __future__ import annotations

from typing import Final, Literal, TypedDict

from dashflow._util.langchain import Embeddings
from dashflow.store.base.embed import AEmbeddingsFunc, EmbeddingsFunc

__all__ = ("NOT_GIVEN", "NOT_PROVIDED", "IndexConfig", "NotProvided", "TTLConfig")


class NotProvided:
    """Type of ``NOT_PROVIDED``."""

    __slots__ = ()

    def __bool__(self) -> Literal[False]:
        return False

    def __repr__(self) -> str:
        return "NOT_GIVEN"


NOT_PROVIDED: Final = NotProvided()
"""Stands for an argument that was left out, where ``None`` is a value."""

NOT_GIVEN: Final = NOT_PROVIDED
"""Another name of ``NOT_PROVIDED``."""


class TTLConfig(TypedDict, total=False):
    """How long a store's items live."""

    refresh_on_read: bool
    """Whether reading an item begins its life anew, unless the reader says otherwise. Stores of DashFlow,
    as LangGraph's on SQLite, refresh on a read only if this is True."""

    omit_expired: bool
    """Whether items whose life is over are no longer seen, although no sweep has deleted them yet."""

    default_ttl: float | None
    """Minutes that an item lives which was put without a word about it; None: for ever."""

    sweep_interval_minutes: int | None
    """Minutes between two sweeps of a sweeper that was started without a word about it."""


class IndexConfig(TypedDict, total=False):
    """What makes a store able to search by meaning. Without it, queries do not rank."""

    dims: int
    """How many numbers a vector has."""

    embed: Embeddings | EmbeddingsFunc | AEmbeddingsFunc | str
    """What makes vectors of texts: LangChain embeddings, a function, an async function, or a text as
    ``"openai:text-embedding-3-small"`` for LangChain's ``init_embeddings``."""

    fields: list[str] | None
    """Paths of what is searched in an item, each by itself; ``["$"]``, the default, is all of it as one
    text. For paths see ``get_text_at_path``."""


def _ensure_refresh(ttl_config: TTLConfig | None, refresh_ttl: bool | None = None) -> bool:
    """Whether a read refreshes: as it says itself, else as the store was told, else yes."""
    if refresh_ttl is not None:
        return refresh_ttl
    return True if ttl_config is None else ttl_config.get("refresh_on_read", True)


def _ensure_ttl(ttl_config: TTLConfig | None, ttl: float | NotProvided | None = NOT_PROVIDED) -> float | None:
    """How many minutes an item lives: as its put says, else as the store was told, else for ever."""
    if not isinstance(ttl, NotProvided):
        return ttl
    return ttl_config.get("default_ttl") if ttl_config else None
