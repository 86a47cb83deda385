"""MISSING: stands for "there is none" where ``None`` is a value. Imports nothing of DashFlow."""

from __future__ import annotations

from typing import Any, Final, cast, final

__all__ = ("MISSING", "Missing")


@final
class Missing:
    """Type of ``MISSING``. Copies, pickles and deep copies of it are the same object."""

    __slots__ = ()

    def __new__(cls) -> Missing:
        return cast("Missing", MISSING)

    def __repr__(self) -> str:
        return "MISSING"

    def __copy__(self) -> Missing:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Missing:
        return self

    def __reduce__(self) -> str:
        return "MISSING"


MISSING: Final[Any] = object.__new__(Missing)
"""No value: an empty channel, an absent checkpoint entry, an argument that was not given."""
