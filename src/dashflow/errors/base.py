"""The base of DashFlow's own errors, and how errors are pickled."""

from __future__ import annotations

from typing import Any


def _revive(kind: type[BaseException], args: tuple[Any, ...], state: dict[str, Any]) -> BaseException:
    """Rebuild an error without running its constructor, whatever that takes."""
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return error


class Portable(Exception):
    """Pickles by its parts, so that constructors may take what they like."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (_revive, (type(self), self.args, self.__dict__))


class DashFlowError(Portable):
    """Base of the errors that are DashFlow's own.

    Attributes:
        code: Stable upper-case identifier, safe to match on.
        data: Plain values that the message was built from.
    """

    code = "DASHFLOW_ERROR"

    def __init__(self, message: str, **data: Any) -> None:
        super().__init__(message)
        self.data = data
