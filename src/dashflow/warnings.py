"""Deprecation warnings, under LangGraph's names: a program that filters them goes on filtering them."""

from __future__ import annotations

from typing import Any
from warnings import warn

__all__ = (
    "LangGraphDeprecatedSinceV05",
    "LangGraphDeprecatedSinceV10",
    "LangGraphDeprecatedSinceV11",
    "LangGraphDeprecationWarning",
)


class LangGraphDeprecationWarning(DeprecationWarning):
    """Something that LangGraph deprecated and DashFlow therefore offers, too, for as long.

    Attributes:
        message: What is deprecated and what to use instead.
        since: LangGraph version (major, minor) that deprecated it.
        expected_removal: LangGraph version that is to remove it; the next major one unless given.
    """

    message: str
    since: tuple[int, int]
    expected_removal: tuple[int, int]

    def __init__(
        self,
        message: str,
        *args: object,
        since: tuple[int, int],
        expected_removal: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(message, *args)
        self.message = message.rstrip(".")
        self.since = since
        self.expected_removal = expected_removal or (since[0] + 1, 0)

    def __str__(self) -> str:
        since = "{}.{}".format(*self.since)
        removal = "{}.{}".format(*self.expected_removal)
        return f"{self.message}. Deprecated in LangGraph V{since} to be removed in V{removal}."

    def __reduce__(self) -> tuple[object, ...]:
        return (_revive, (type(self), self.args, self.__dict__))


def _revive(
    kind: type[LangGraphDeprecationWarning], args: tuple[object, ...], state: dict[str, object]
) -> LangGraphDeprecationWarning:
    """Rebuild a pickled warning; its constructors take keywords that ``args`` does not have."""
    warning = kind.__new__(kind)
    warning.args = args
    warning.__dict__.update(state)
    return warning


class LangGraphDeprecatedSinceV05(LangGraphDeprecationWarning):
    """Deprecated since LangGraph 0.5."""

    def __init__(self, message: str, *args: object) -> None:
        super().__init__(message, *args, since=(0, 5), expected_removal=(2, 0))


class LangGraphDeprecatedSinceV10(LangGraphDeprecationWarning):
    """Deprecated since LangGraph 1.0."""

    def __init__(self, message: str, *args: object) -> None:
        super().__init__(message, *args, since=(1, 0), expected_removal=(2, 0))


class LangGraphDeprecatedSinceV11(LangGraphDeprecationWarning):
    """Deprecated since LangGraph 1.1."""

    def __init__(self, message: str, *args: object) -> None:
        super().__init__(message, *args, since=(1, 1), expected_removal=(3, 0))


def renamed(
    given: dict[str, Any], old: str, new: str, value: Any, category: type[LangGraphDeprecationWarning]
) -> Any:
    """``value``, or when that is None what the caller's caller gave under the parameter's old name.

    Args:
        given: Keyword arguments that are left over; the old name is taken out.
        old: The old name.
        new: The present one.
        value: What was given under the present name.
        category: Says since when the old name is deprecated.

    Warns:
        LangGraphDeprecationWarning: The old name was used.
    """
    if old not in given:
        return value
    warn(f"`{old}` is deprecated and will be removed. Please use `{new}` instead.", category, stacklevel=3)
    former = given.pop(old)
    return former if value is None else value


def warn_of_unknown(function: str, given: dict[str, Any]) -> None:
    """LangGraph lets unknown keyword arguments of ``function`` pass; so do we, but not without a word.

    Warns:
        UserWarning: There are any.
    """
    for name in given:
        warn(f"{function} has no parameter {name!r}; the argument is ignored.", stacklevel=3)
