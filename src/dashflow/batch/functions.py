"""Items run by a plain function, sync or async. An attempt that was cut off is made again from the start."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from typing import Any

from dashflow.batch.work import Item
from dashflow.errors import UsageError
from dashflow.log.codec import Registry


class FunctionWork:
    """Calls ``function(value)`` for every item.

    Args:
        function: Gets the item's value; what it returns is the result.
        types: Classes of values, beside those of this process, that recorded values may be revived as.
    """

    kind = "function"

    def __init__(self, function: Callable[[Any], Any], types: tuple[type, ...] = ()) -> None:
        self._function = function
        self.awaitable = iscoroutinefunction(function)
        self.registry = Registry(types)

    def run(self, item: Item) -> Any:
        """See ``Work.run``.

        Raises:
            UsageError: The function is a coroutine function.
        """
        if self.awaitable:
            raise UsageError("An async function runs under asyncio only; use arun() or astream().")
        return self._function(item.value)

    def arun(self, item: Item) -> Awaitable[Any]:
        """See ``Work.arun``."""
        result: Awaitable[Any] = self._function(item.value)
        return result
