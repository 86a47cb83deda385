"""The line of those of this process who wait for one thread. Knows nothing of logs."""

from __future__ import annotations

import threading
from bisect import insort
from concurrent.futures import Future


class Place:
    """Somebody of this process who waits; ``turn`` is done when nobody here is before them."""

    def __init__(self, order: tuple[bool, int]) -> None:
        self.order = order
        self.turn: Future[None] = Future()


class Line:
    """Those of this process who wait for one thread. Only the first one watches the log."""

    def __init__(self) -> None:
        self._places: list[Place] = []
        self._lock = threading.Lock()

    def enter(self, order: tuple[bool, int]) -> Place:
        """Take a place; ``order`` says who comes first."""
        place = Place(order)
        with self._lock:
            insort(self._places, place, key=lambda one: one.order)
            self._call()
        return place

    def leave(self, place: Place) -> bool:
        """Leave, and call the next one; whether nobody is left."""
        with self._lock:
            self._places.remove(place)
            self._call()
            return not self._places

    def _call(self) -> None:
        places = self._places
        if places and not places[0].turn.done():
            places[0].turn.set_result(None)
