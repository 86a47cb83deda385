"""Warnings: what LangGraph deprecated, under its names, so that a program that filters them goes on filtering
them; and what a node does that its author may not know of."""

from __future__ import annotations

from typing import Any
from warnings import warn

__all__ = (
    "ChangedArgumentsWarning",
    "ChangedQuestionWarning",
    "LangGraphDeprecatedSinceV05",
    "LangGraphDeprecatedSinceV10",
    "LangGraphDeprecatedSinceV11",
    "LangGraphDeprecationWarning",
    "LateAnswerWarning",
    "UnrecordedEffectWarning",
)


class ChangedArgumentsWarning(UserWarning):
    """A recorded step is called with other arguments than it was; its recorded result was returned."""

    def __init__(self, node: str, step: str) -> None:
        super().__init__(
            f"Step {step!r} of node {node!r} was done with other arguments than it is called with now; what "
            "was recorded then is returned. Have arguments that are made anew each time (model answers, "
            "times, ids) made by a step, too."
        )


class ChangedQuestionWarning(UserWarning):
    """An answer was given to another question than the one that is asked now; it is asked again."""

    def __init__(self, node: str, identifier: str, what: str) -> None:
        super().__init__(
            f"The answer to question {identifier} of node {node!r} was not used, and the question is asked "
            f"again: {what} is not the one that was answered. Have what is made anew each time (model "
            "answers, times, ids) made by a step, or say with `bound_to=` what the answer is bound to."
        )


class LateAnswerWarning(UserWarning):
    """An answer came after its question's time was over; the question's default was used."""

    def __init__(self, thread: str, identifier: str) -> None:
        super().__init__(
            f"The answer to question {identifier} in thread {thread!r} came too late; its default is used."
        )


class UnrecordedEffectWarning(UserWarning):
    """A node asks after something that is not recorded: it will do that again when it has the answer."""

    def __init__(self, node: str, what: str) -> None:
        super().__init__(
            f"Node {node!r} asks after {what}. When it is answered it runs again from its top, and does that "
            "again. Let a step do it, or do it after the question."
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
