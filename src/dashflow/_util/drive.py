"""Run coroutines that never suspend: how one ``async def`` text serves synchronous callers.

May not know hosts or flows; a coroutine that does suspend is a fault of the host and is reported as one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Coroutine, Iterator
from contextlib import suppress
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")


def _suspended(what: object) -> NoReturn:
    raise RuntimeError(
        f"{what!r} suspended although its host is synchronous: something awaited an event loop. "
        "Use the async method (ainvoke, astream, ...) for async nodes."
    )


def drive(coro: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never suspends.

    Raises:
        RuntimeError: It did suspend; it is closed first, so its ``finally`` blocks have run.
    """
    try:
        coro.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    coro.close()
    _suspended(coro)


def iterate(agen: AsyncGenerator[T, None]) -> Iterator[T]:
    """The items of an async generator that never suspends, as a plain generator.

    Closing the returned generator closes ``agen``.
    """
    try:
        while True:
            step = agen.__anext__()
            try:
                step.send(None)
            except StopIteration as item:
                yield item.value
            except StopAsyncIteration:
                return
            else:
                with suppress(GeneratorExit, StopAsyncIteration):
                    step.throw(GeneratorExit())  # else the generator counts as running and cannot be closed
                _suspended(agen)
    finally:
        drive(agen.aclose())
