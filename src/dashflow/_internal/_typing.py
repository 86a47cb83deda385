"""``MISSING`` and ``DeprecatedKwargs`` at the path from which third-party code imports them. Nothing else."""

from typing import TypedDict

from dashflow._util.sentinel import MISSING

__all__ = ("MISSING", "DeprecatedKwargs")


class DeprecatedKwargs(TypedDict):
    """Type of keyword arguments of which none is left: ``**kwargs: Unpack[DeprecatedKwargs]``."""
