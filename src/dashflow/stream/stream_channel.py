"""StreamChannel: what a transformer pushes, waiting for the one who reads it. May not know muxes or runs."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Generic, TypeVar

from dashflow.stream.fanout import afan_out, fan_out

__all__ = ("StreamChannel",)

T = TypeVar("T")


def _unnumbered() -> int:
    return 0


class StreamChannel(Generic[T]):
    """A queue with one reader, who drives the run by reading.

    Nothing is kept for a reader who has not come: items pushed before somebody iterates are only forwarded.
    Whether it is read with ``for`` or with ``async for`` is set by the run it belongs to.

    Args:
        name: Every item also becomes an event of the run, with this name as its method (``custom:name``
            unless the transformer is native). None: the items stay in this process.
        maxlen: Accepted for later use; a channel never holds more than its reader let the run make.

    Raises:
        ValueError: ``maxlen`` is not positive.
    """

    def __init__(self, name: str | None = None, *, maxlen: int | None = None) -> None:
        if maxlen is not None and maxlen <= 0:
            raise ValueError("StreamChannel maxlen must be a positive int or None")
        self.name = name
        self._maxlen = maxlen
        self._items: deque[tuple[int, T]] = deque()
        self._subscribed = False
        self._closed = False
        self._error: BaseException | None = None
        self._is_async: bool | None = None
        self._stamp: Callable[[], int] = _unnumbered
        self._wire_fn: Callable[[T], None] | None = None
        self._request_more: Callable[[], bool] | None = None
        self._arequest_more: Callable[[], Awaitable[bool]] | None = None

    # -- set by the mux -----------------------------------------------------------------------

    def _bind(self, *, is_async: bool, stamp: Callable[[], int] = _unnumbered) -> None:
        """Say how it is read, and what numbers its items so that several channels have one order."""
        if self._is_async is not None:
            raise RuntimeError("StreamChannel is already bound")
        self._is_async = is_async
        self._stamp = stamp

    def _wire(self, forward: Callable[[T], None]) -> None:
        """Also hand every item to ``forward``."""
        self._wire_fn = forward

    # -- writing ------------------------------------------------------------------------------

    def push(self, item: T) -> None:
        """Add an item; forward it in any case, keep it only for a reader.

        Raises:
            RuntimeError: The channel is closed and has a reader.
        """
        if self._subscribed:
            if self._closed:
                raise RuntimeError("Cannot push to a closed StreamChannel")
            self._items.append((self._stamp(), item))
        if self._wire_fn is not None:
            self._wire_fn(item)

    def close(self) -> None:
        """Nothing more comes. The mux does this at the end of the run."""
        self._closed = True

    def fail(self, err: BaseException) -> None:
        """Nothing more comes, because of ``err``; the reader gets it after the last item."""
        self._error = err
        self._closed = True

    # -- reading ------------------------------------------------------------------------------

    def _claim(self, *, asynchronous: bool, fan: str) -> None:
        """Become the channel's reader.

        Raises:
            TypeError: The channel belongs to no run yet, or to one of the other kind.
            RuntimeError: It has a reader.
        """
        if self._is_async is None:
            raise TypeError(
                "StreamChannel has not been bound yet. Register the transformer with a StreamMux first."
            )
        if self._is_async and not asynchronous:
            raise TypeError("This StreamChannel is bound to async mode — use 'async for' instead.")
        if asynchronous and not self._is_async:
            raise TypeError("This StreamChannel is bound to sync mode — use 'for' instead.")
        if self._subscribed:
            raise RuntimeError(f"StreamChannel already has a subscriber; use .{fan}(n) for fan-out.")
        self._subscribed = True

    def _ended(self) -> bool:
        """Whether nothing waits and nothing can come. Raises what the channel failed with."""
        if self._items or not self._closed:
            return False
        if self._error is not None:
            raise self._error
        return True

    def __iter__(self) -> Iterator[T]:
        """Read the channel, once. Raises what ``_claim`` does, then what the run fails with."""
        self._claim(asynchronous=False, fan="tee")
        return self._read()

    def _read(self) -> Iterator[T]:
        while not self._ended():
            if self._items:
                yield self._items.popleft()[1]
            elif (self._request_more is None or not self._request_more()) and self._dry():
                return

    def __aiter__(self) -> AsyncIterator[T]:
        """``__iter__`` for ``async for``."""
        self._claim(asynchronous=True, fan="atee")
        return self._aread()

    async def _aread(self) -> AsyncIterator[T]:
        while not self._ended():
            if self._items:
                yield self._items.popleft()[1]
            elif (self._arequest_more is None or not await self._arequest_more()) and self._dry():
                return

    def _dry(self) -> bool:
        """Whether the last attempt to get more brought neither an item nor an end."""
        return not self._items and not self._closed

    def tee(self, n: int = 2) -> tuple[Iterator[T], ...]:
        """Read the channel with ``n`` independent iterators, each of which gets every item.

        Raises:
            ValueError: ``n`` is less than 1.
            TypeError, RuntimeError: As for iterating.
        """
        if n < 1:
            raise ValueError("tee() requires n >= 1")
        return fan_out(iter(self), n)

    def atee(self, n: int = 2) -> tuple[AsyncIterator[T], ...]:
        """``tee`` for ``async for``; the iterators may be read by different tasks.

        Raises:
            ValueError: ``n`` is less than 1.
            TypeError, RuntimeError: As for iterating.
        """
        if n < 1:
            raise ValueError("atee() requires n >= 1")
        return afan_out(aiter(self), n)
