"""What kind of function something is. Callable objects count by their ``__call__``."""

from __future__ import annotations

from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import Any


def is_asynchronous(function: Any) -> bool:
    """Whether calling it gives an awaitable: a coroutine function or an object with an async call."""
    return iscoroutinefunction(function) or iscoroutinefunction(_call(function))


def is_generator(function: Any) -> bool:
    """Whether calling it gives a generator; a call of an object counts only if async, as for LangChain."""
    return (
        isgeneratorfunction(function) or isasyncgenfunction(function) or isasyncgenfunction(_call(function))
    )


def _call(function: Any) -> Any:
    return getattr(function, "__call__", None)  # noqa: B004  # its kind is asked for, not whether there is one
