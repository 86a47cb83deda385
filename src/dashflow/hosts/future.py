"""CallFuture: what a called task returns: wait for it from a thread, or await it on a loop."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import Future
from concurrent.futures import wait as wait_for
from typing import Any, TypeVar

T = TypeVar("T")


class CallFuture(Future[T]):
    """A future for both worlds: ``result()`` blocks, ``await`` suspends."""

    def __await__(self) -> Generator[Any, None, T]:
        if self.done():
            return self.result()
        import asyncio  # whoever awaits has loaded it

        return (yield from asyncio.wrap_future(self).__await__())


def ready(value: T) -> CallFuture[T]:
    """A future that has its result."""
    future: CallFuture[T] = CallFuture()
    future.set_result(value)
    return future


def wait(future: CallFuture[Any]) -> None:
    """Wait for a future, whatever it comes to, also when its caller cancelled it."""
    wait_for((future,))


def settle(future: CallFuture[Any], work: Callable[[], Any]) -> None:
    """Do ``work``, here and now, and give the future what it comes to."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        value = work()
    except BaseException as error:  # its caller must hear of it
        future.set_exception(error)
    else:
        future.set_result(value)
