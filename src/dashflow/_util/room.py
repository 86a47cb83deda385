"""Room for so many at a time in this process, and those who wait for it. Knows nothing of who they are."""

from __future__ import annotations

import os
import threading
from collections import deque
from concurrent.futures import Future


class Room:
    """Room for ``limit``; may be used from any thread and any event loop."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._inside = 0
        self._waiting: deque[Future[None]] = deque()
        self._lock = threading.Lock()

    def enter(self, queue: int | None) -> Future[None] | None:
        """A place: its future is done when there is room. None: as many as ``queue`` wait already."""
        place: Future[None] = Future()
        with self._lock:
            if self._inside < self.limit and not self._waiting:
                self._inside += 1
                place.set_result(None)
            elif queue is not None and len(self._waiting) >= queue:
                return None
            else:
                self._waiting.append(place)
        return place

    def leave(self, place: Future[None]) -> None:
        """Give a place up, whether there was room for it yet or not."""
        with self._lock:
            if not place.done():
                self._waiting.remove(place)
            elif self._waiting:
                self._waiting.popleft().set_result(None)
            else:
                self._inside -= 1


_ROOMS: dict[str, Room] = {}
_MAKING = threading.Lock()


def room(name: str, limit: int) -> Room:
    """The room of that name; made for so many by whoever comes first."""
    found = _ROOMS.get(name)
    if found is None:
        with _MAKING:
            found = _ROOMS.setdefault(name, Room(limit))
    return found


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_ROOMS.clear)  # those inside did not come along
