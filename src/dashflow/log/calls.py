"""How flows over a log make its blocking calls: at once, or in a thread while an event loop goes on.

The one difference between their synchronous and their async face. Knows no flow.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Calls(Protocol):
    """How blocking calls of the log are made: the one difference between synchronous and async callers."""

    def __call__(self, function: Callable[..., T], /, *args: Any) -> Awaitable[T]:
        """What ``function(*args)`` returns or raises."""
        ...


async def directly(function: Callable[..., T], /, *args: Any) -> T:
    """Block; never suspends."""
    return function(*args)


async def in_a_thread(function: Callable[..., T], /, *args: Any) -> T:
    """Leave the event loop free meanwhile."""
    import asyncio  # 40 ms that synchronous programs need not wait for

    return await asyncio.to_thread(function, *args)
