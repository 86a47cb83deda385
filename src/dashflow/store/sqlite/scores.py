"""How near vectors in a file are to a query's: by sqlite-vec where it loads, else by functions of ours.

Some builds of Python load no extensions; the scores are the same there, only slower.
"""

from __future__ import annotations

import logging
import math
import sqlite3
from array import array
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from dashflow.store import similarity

__all__ = ("packed", "score_of")

_logger = logging.getLogger(__name__)

_SQLITE_VEC: Final = {
    "cosine": "1.0 - vec_distance_cosine(v.embedding, ?)",
    "l2": "-vec_distance_L2(v.embedding, ?)",
}
"""Expressions of the kinds that sqlite-vec knows; more is nearer."""

_KINDS: Final[dict[str, Callable[[Sequence[float], list[Sequence[float]]], list[float]]]] = {
    "cosine": similarity.cosine,
    "l2": lambda query, vectors: [-distance for distance in similarity.euclidean(query, vectors)],
    "inner_product": similarity.dot,
}


def packed(vector: Sequence[float]) -> bytes:
    """A vector as it is stored: 32-bit floats, little-endian, as sqlite-vec has them."""
    floats = array("f", vector)
    if array("H", b"\1\0")[0] != 1:
        floats.byteswap()
    return floats.tobytes()


def _unpacked(data: bytes) -> Sequence[float]:
    floats = array("f", data)
    if array("H", b"\1\0")[0] != 1:
        floats.byteswap()
    return floats


@lru_cache(maxsize=8)
def _scorer(kind: str, query: bytes, with_numpy: bool) -> Callable[[bytes], float]:
    """How near a stored vector is to the query's, which is read and measured once for all rows."""
    if not with_numpy:
        read, compare = _unpacked(query), _KINDS[kind]
        return lambda stored: compare(read, [_unpacked(stored)])[0]
    import numpy

    one = numpy.frombuffer(query, "<f4").astype(float)
    length = math.sqrt(one @ one)

    def score(stored: bytes) -> float:
        vector = numpy.frombuffer(stored, "<f4").astype(float)
        if kind == "l2":
            apart = vector - one
            return -math.sqrt(apart @ apart)
        product = float(vector @ one)
        if kind == "inner_product":
            return product
        size = math.sqrt(vector @ vector) * length
        return product / size if size else 0.0

    return score


def score_of(connection: sqlite3.Connection, kind: str) -> str:
    """Make a connection able to score vectors.

    Args:
        connection: Gets the extension or the function.
        kind: ``cosine``, ``l2`` or ``inner_product``; anything else is ``cosine``.

    Returns:
        An expression of SQL on ``v.embedding`` and a parameter, the query's vector; more is nearer.
    """
    kind = kind if kind in _KINDS else "cosine"
    if kind in _SQLITE_VEC and _load_sqlite_vec(connection):
        return _SQLITE_VEC[kind]

    def score(vector: bytes | None, query: bytes) -> float | None:
        return None if vector is None else _scorer(kind, query, similarity._HAS_NUMPY)(vector)

    connection.create_function(f"dashflow_{kind}", 2, score, deterministic=True)
    return f"dashflow_{kind}(v.embedding, ?)"


def _load_sqlite_vec(connection: sqlite3.Connection) -> bool:
    """Whether the connection has sqlite-vec now."""
    if not hasattr(connection, "enable_load_extension"):
        return False
    try:
        import sqlite_vec  # type: ignore[import-not-found, import-untyped, unused-ignore]
    except ImportError:
        return False
    try:
        connection.enable_load_extension(True)
        try:
            sqlite_vec.load(connection)
        finally:
            connection.enable_load_extension(False)
    except (sqlite3.Error, AttributeError) as error:
        _logger.info("sqlite-vec cannot be loaded, vectors are compared in Python: %s", error)
        return False
    return True
