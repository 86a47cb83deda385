"""What the stores on PostgreSQL can be told, checked; out of it the parts of SQL that depend on it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple, TypedDict, cast

import orjson

from dashflow.store.base import IndexConfig

__all__ = (
    "ANNIndexConfig",
    "HNSWConfig",
    "IVFFlatConfig",
    "PoolConfig",
    "PostgresIndexConfig",
    "VectorColumn",
)


class PoolConfig(TypedDict, total=False):
    """A pool of connections; other settings of psycopg's pool may be given too."""

    min_size: int
    """How many connections are always open; 1 unless told."""

    max_size: int | None
    """The most; None: as many as ``min_size``."""

    kwargs: dict[str, Any]
    """Parameters of the connections, stronger than the store's own."""


class ANNIndexConfig(TypedDict, total=False):
    """How vectors are kept and found."""

    kind: Literal["hnsw", "ivfflat", "flat"]
    """The index of pgvector; ``hnsw`` unless told. ``flat``: none, and every search is exact."""

    vector_type: Literal["vector", "halfvec"]
    """Numbers of 32 bits (the default) or 16."""


class HNSWConfig(ANNIndexConfig, total=False):
    """An index of layers: slow to build, good at finding."""

    kind: Literal["hnsw"]  # type: ignore[misc]
    m: int
    """The most neighbours of a vector in a layer; pgvector's default is 16."""
    ef_construction: int
    """How many candidates are looked at when a vector is added; pgvector's default is 64."""


class IVFFlatConfig(ANNIndexConfig, total=False):
    """An index of lists: quick to build; make it when the table has items already."""

    kind: Literal["ivfflat"]  # type: ignore[misc]
    nlist: int
    """How many lists: about a thousandth of the vectors."""


class PostgresIndexConfig(IndexConfig, total=False):
    """What makes the store able to search by meaning; it needs the extension pgvector."""

    ann_index_config: ANNIndexConfig
    """How vectors are kept and found."""

    distance_type: Literal["l2", "inner_product", "cosine"]
    """What makes vectors near: their direction (the default), their distance, or their inner product. The
    score is the cosine, the negative distance, or the product."""


class _Distance(NamedTuple):
    """A kind of distance: pgvector's operator, its name in classes of operators, the score of an item."""

    operator: str
    ops: str
    score: str


# A vector without a direction has the distance NaN to all others, which would be the greatest of all scores.
_DISTANCES: Final = {
    "cosine": _Distance("<=>", "cosine", "coalesce(1 - nullif({distance}, 'NaN'), 0)"),
    "l2": _Distance("<->", "l2", "-({distance})"),
    "inner_product": _Distance("<#>", "ip", "-({distance})"),
}

_TYPES: Final = {"vector": 2000, "halfvec": 4000}
"""pgvector's types, and the most dimensions that its indexes take."""

_PARAMETERS: Final = {
    "hnsw": {"m": "m", "ef_construction": "ef_construction"},
    "ivfflat": {"lists": "lists", "nlist": "lists"},
    "flat": {},
}
"""Kinds of indexes and their parameters, as we call them and as pgvector does."""


class VectorColumn(NamedTuple):
    """The column that vectors are in. All texts are from lists in this file or numbers: they become SQL.

    Attributes:
        type: ``vector`` or ``halfvec``.
        dims: How many numbers a vector has.
        kind: ``hnsw``, ``ivfflat`` or ``flat``.
        operator: What compares two vectors.
        ops: Its name in pgvector's classes of operators.
        score: How near a vector ``v.embedding`` is to ``%(query)s``; more is nearer.
        parameters: Those of the index, as a clause.
    """

    type: str
    dims: int
    kind: str
    operator: str
    ops: str
    score: str
    parameters: str

    @classmethod
    def of(cls, config: PostgresIndexConfig) -> VectorColumn:
        """The column that an index config asks for.

        Raises:
            ValueError: Something in it is not known, or no number.
        """
        settings = dict(cast("dict[str, Any]", config.get("ann_index_config") or {}))
        kind = _one_of("kind", settings.pop("kind", None) or "hnsw", _PARAMETERS)
        type_ = _one_of("vector_type", settings.pop("vector_type", None) or "vector", _TYPES)
        distance = _DISTANCES[_one_of("distance_type", config.get("distance_type") or "cosine", _DISTANCES)]
        dims = _number("dims", config.get("dims"))
        if kind != "flat" and dims > _TYPES[type_]:
            raise ValueError(
                f"An index of kind {kind!r} takes up to {_TYPES[type_]} dims of {type_!r}, not {dims}. Take "
                "'vector_type': 'halfvec' (up to 4000), 'kind': 'flat', or shorter vectors."
            )
        names = _PARAMETERS[kind]
        given = {names[name]: _number(name, value) for name, value in settings.items() if name in names}
        clause = ", ".join(f"{name} = {value}" for name, value in given.items())
        return cls(
            type=type_,
            dims=dims,
            kind=kind,
            operator=distance.operator,
            ops=distance.ops,
            score=distance.score.format(distance=f"v.embedding {distance.operator} %(query)s::{type_}"),
            parameters=f"WITH ({clause})" if clause else "",
        )

    def packed(self, vector: Sequence[float]) -> str:
        """A vector as PostgreSQL reads it.

        Raises:
            ValueError: It has another number of dimensions, or something in it is no finite number.
        """
        numbers = [float(number) for number in vector]
        if len(numbers) != self.dims:
            raise ValueError(
                f"A vector has {len(numbers)} dimensions, and the index was made for {self.dims}: 'dims' "
                "must be what 'embed' makes."
            )
        if not all(map(math.isfinite, numbers)):
            raise ValueError(
                "A vector has something in it that is no finite number: look at what 'embed' makes."
            )
        return orjson.dumps(numbers).decode()


def _one_of(name: str, value: Any, known: dict[str, Any]) -> str:
    if value not in known:
        raise ValueError(f"Invalid {name} for pgvector: {value!r}. Expected one of {', '.join(known)}.")
    return str(value)


def _number(name: str, value: Any) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"Invalid {name} for vector index: {value!r}. Expected a number above 0.") from error
    if number <= 0:
        raise ValueError(f"Invalid {name} for vector index: {value!r}. Expected a number above 0.")
    return number
