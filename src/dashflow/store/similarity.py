"""How near vectors are to each other: with numpy where it is installed, else in Python."""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

__all__ = ("cosine", "dot", "euclidean")

_HAS_NUMPY = find_spec("numpy") is not None


def _matrix(query: Sequence[float], vectors: Sequence[Sequence[float]]) -> tuple[Any, Any]:
    import numpy

    return numpy.asarray(query, dtype=float), numpy.asarray(vectors, dtype=float)


def cosine(query: Sequence[float], vectors: Sequence[Sequence[float]]) -> list[float]:
    """The cosine of the angle between ``query`` and each vector; 0 for one without a direction."""
    if not vectors:
        return []
    if _HAS_NUMPY:
        import numpy

        one, many = _matrix(query, vectors)
        lengths = numpy.linalg.norm(many, axis=1) * numpy.linalg.norm(one)
        products = many @ one
        found: list[float] = numpy.divide(
            products, lengths, out=numpy.zeros_like(lengths), where=lengths != 0
        ).tolist()
        return found
    length = math.hypot(*query)
    return [
        product / size if (size := math.hypot(*vector) * length) else 0.0
        for vector, product in zip(vectors, dot(query, vectors), strict=True)
    ]


def dot(query: Sequence[float], vectors: Sequence[Sequence[float]]) -> list[float]:
    """The inner product of ``query`` and each vector."""
    if _HAS_NUMPY and vectors:
        one, many = _matrix(query, vectors)
        found: list[float] = (many @ one).tolist()
        return found
    return [sum(a * b for a, b in zip(query, vector, strict=True)) for vector in vectors]


def euclidean(query: Sequence[float], vectors: Sequence[Sequence[float]]) -> list[float]:
    """The distance between ``query`` and each vector."""
    if _HAS_NUMPY and vectors:
        import numpy

        one, many = _matrix(query, vectors)
        found: list[float] = numpy.linalg.norm(many - one, axis=1).tolist()
        return found
    return [math.dist(query, vector) for vector in vectors]
