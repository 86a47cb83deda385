"""Deprecation warnings, under LangGraph's names: a program that filters them goes on filtering them."""

from __future__ import annotations

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
