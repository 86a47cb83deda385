"""Deletes a store's expired items from time to time, in a thread or in a task."""

from __future__ import annotations

import logging
import threading
import weakref
from concurrent.futures import Future
from typing import Final, Protocol

from dashflow.store.base.settings import TTLConfig

__all__ = ("SweepingStore", "ThreadSweeper", "interval_seconds")

_logger = logging.getLogger(__name__)

_MINUTES: Final = 5.0
"""Between two sweeps, unless somebody says otherwise."""


class SweepingStore(Protocol):
    """A store that can be swept."""

    def sweep_ttl(self) -> int:
        """Delete what is over; how many items that were."""
        ...


def interval_seconds(config: TTLConfig, minutes: float | None) -> float:
    """Seconds between two sweeps: as whoever starts the sweeper says, else as the store was told."""
    return 60 * float(minutes or config.get("sweep_interval_minutes") or _MINUTES)


class ThreadSweeper:
    """A thread that sweeps a store until it is stopped or the store is gone."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> bool:
        """Whether it is at work."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, store: SweepingStore, seconds: float) -> Future[None]:
        """Sweep ``store`` every ``seconds``; nothing new if that is going on already.

        Returns:
            Done when the sweeper has stopped; cancelling it stops the sweeper.
        """
        done: Future[None] = Future()
        if not self.running:
            self._stop = threading.Event()
            self._thread = threading.Thread(
                target=_sweep,
                args=(weakref.ref(store), seconds, self._stop, done),
                daemon=True,
                name="ttl-sweeper",
            )
            self._thread.start()
        stop = self._stop
        done.add_done_callback(lambda future: stop.set() if future.cancelled() else None)
        return done

    def stop(self, timeout: float | None = None) -> bool:
        """Stop, and wait for the sweep that is going on.

        Args:
            timeout: The most seconds to wait; None: as long as it takes.

        Returns:
            Whether it has stopped.
        """
        thread = self._thread
        if thread is None:
            return True
        self._stop.set()
        if thread is not threading.current_thread():  # the last reference may have been this thread's
            thread.join(timeout)
            if thread.is_alive():
                return False
        self._thread = None
        return True


def _sweep(
    where: weakref.ReferenceType[SweepingStore], seconds: float, stop: threading.Event, done: Future[None]
) -> None:
    while not stop.wait(seconds):
        store = where()
        if store is None:
            break
        try:
            store.sweep_ttl()
        except Exception:
            _logger.exception("A sweep of expired items failed; the next is in %g s", seconds)
        del store
    if not done.cancelled():
        done.set_result(None)
