"""Following a log: catch up in pages, then wait for the bell and read on.

Knows no backend: one hands in how to read a page after a cursor, and rings a ``Bell`` after every
commit that it sees. Keeps at most one page in memory, whatever the log holds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from threading import Condition, Lock
from time import monotonic
from typing import Final

from dashflow.errors import LogClosedError
from dashflow.log.base import Record

PAGE: Final = 500
"""Records that iteration reads at a time."""

Fetch = Callable[[int, int], tuple[list[Record], int]]
"""``fetch(cursor, limit)``: the next records after the cursor, and the cursor behind them.

The cursor is the backend's own number (a position or a version). Without records the new cursor
tells how far the log was looked at, so that nothing is looked at twice.
"""


class Bell:
    """Tells everybody who waits that the log has grown, or that it was closed."""

    def __init__(self, on_wait: Callable[[], None] | None = None) -> None:
        """``on_wait`` is called whenever somebody begins to wait, when ``awaited`` says so."""
        self._condition = Condition()
        self._listeners: set[Callable[[], object]] = set()
        self._on_wait = on_wait
        self._waiting = 0
        self.rings = 0
        self.closed = False

    @property
    def awaited(self) -> bool:
        """Whether anybody waits right now."""
        return self._waiting > 0 or bool(self._listeners)

    def ring(self) -> None:
        """Wake everybody; cheap when nobody waits."""
        # Counted before it is asked whether anybody waits; who waits looks at the count after he said so. Of
        # rings at the same moment one may go uncounted: what it tells of was there before the count.
        self.rings += 1
        if not self._waiting and not self._listeners:
            return
        with self._condition:
            if self._waiting:
                self._condition.notify_all()
            listeners = tuple(self._listeners)
        for listener in listeners:
            with suppress(RuntimeError):  # an event loop that has ended without a word
                listener()

    def close(self) -> None:
        """End all waiting, now and later."""
        self.closed = True
        self.ring()

    def wait(self, seen: int, timeout: float | None) -> bool:
        """Block until there were more rings than ``seen``; False after ``timeout`` seconds."""
        with self._condition:
            self._waiting += 1
            if self._on_wait is not None:
                self._on_wait()
            try:
                return self._condition.wait_for(lambda: self.rings != seen or self.closed, timeout)
            finally:
                self._waiting -= 1

    @contextmanager
    def listening(self, seen: int, listener: Callable[[], object]) -> Iterator[None]:
        """Call ``listener`` at every ring inside the block; at once if there were more than ``seen``."""
        with self._condition:
            self._listeners.add(listener)
            late = self.rings != seen or self.closed
            if self._on_wait is not None:
                self._on_wait()
        try:
            if late:
                listener()
            yield
        finally:
            with self._condition:
                self._listeners.discard(listener)


class PagedSubscription:
    """A ``Subscription`` over any backend that can read a page after a cursor.

    Threads that share one subscription share its records: each goes to exactly one of them.
    """

    def __init__(self, fetch: Fetch, cursor: int, bell: Bell) -> None:
        self._fetch = fetch
        self._cursor = cursor
        self._bell = bell
        self._page: deque[Record] = deque()
        self._turn = Lock()
        self._closed = False

    def poll(self, timeout: float | None = None, limit: int = PAGE) -> list[Record]:
        """The next records, at least one; an empty list after ``timeout`` seconds or when closed."""
        deadline = None if timeout is None else monotonic() + timeout
        with self._turn:
            while not self._ended:
                seen = self._bell.rings
                if self._page or self._read(limit):
                    return [self._page.popleft() for _ in range(min(limit, len(self._page)))]
                left = None if deadline is None else deadline - monotonic()
                if (left is not None and left <= 0) or self._ended or not self._bell.wait(seen, left):
                    break
        return []

    def close(self) -> None:
        """End the subscription; whoever is blocked on it returns."""
        self._closed = True
        self._bell.ring()

    def __iter__(self) -> Iterator[Record]:
        while page := self.poll():
            rest = deque(page)
            try:
                while rest and not self._ended:
                    yield rest.popleft()
            finally:
                # What a loop leaves behind by a `break` goes back: the next one misses nothing.
                with self._turn:
                    self._page.extendleft(reversed(rest))

    async def __aiter__(self) -> AsyncIterator[Record]:
        """The records, read on a worker thread: the event loop is never blocked."""
        import asyncio  # 40 ms that programs without an event loop need not wait for

        loop = asyncio.get_running_loop()
        while not self._ended:
            seen = self._bell.rings
            while self._page and not self._ended:
                yield self._page.popleft()
            before = self._cursor
            try:
                page, after = await asyncio.to_thread(self._fetch, before, PAGE)
            except LogClosedError:
                return
            # Taken over only now: a wait that is cancelled loses nothing, the page is read again.
            # And only once: another task may have taken the same page meanwhile.
            if self._cursor == before:
                self._page.extend(page)
                self._cursor = after
            if not page and not self._ended:
                rung = asyncio.Event()
                with self._bell.listening(seen, partial(loop.call_soon_threadsafe, rung.set)):
                    await rung.wait()

    @property
    def _ended(self) -> bool:
        return self._closed or self._bell.closed

    def _read(self, limit: int) -> bool:
        """Fill the page; False when there is nothing new."""
        try:
            page, self._cursor = self._fetch(self._cursor, limit)
        except LogClosedError:
            self._closed = True
            return False
        self._page.extend(page)
        return bool(page)
