"""Deletes a store's expired items from time to time, in a thread or in a task."""

from __future__ import annotations

import logging
import threading
import weakref
from concurrent.futures import Future
from typing import Final, Protocol

from dashflow.store.base.settings import TTLConfig

__all__ = ("SweepingStore", "SweptByThread", "ThreadSweeper", "interval_seconds")

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
        self._done: Future[None] = Future()

    def start(self, store: SweepingStore, seconds: float) -> Future[None]:
        """Sweep ``store`` every ``seconds``; nothing new if that is going on already.

        Returns:
            Done when the sweeper has stopped; cancelling it stops the sweeper.
        """
        if self._thread is not None and self._thread.is_alive() and not self._stop.is_set():
            return self._done
        stop = self._stop = threading.Event()
        done: Future[None] = Future()
        done.add_done_callback(lambda future: stop.set() if future.cancelled() else None)
        self._done = done
        self._thread = threading.Thread(
            target=_sweep, args=(weakref.ref(store), seconds, stop, done), daemon=True, name="ttl-sweeper"
        )
        self._thread.start()
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


class SweptByThread:
    """What stores have in common that a thread sweeps; they are swept only when items can be over."""

    ttl_config: TTLConfig | None
    _sweeper: ThreadSweeper

    def sweep_ttl(self) -> int:
        """Delete the items whose life is over; how many that were."""
        raise NotImplementedError

    def start_ttl_sweeper(self, sweep_interval_minutes: float | None = None) -> Future[None]:
        """Sweep every so many minutes, in a thread.

        Args:
            sweep_interval_minutes: Between two sweeps; None: as the store was told, else 5.

        Returns:
            Done when the sweeper has stopped; cancelling it stops the sweeper.
        """
        if self.ttl_config is None:
            done: Future[None] = Future()
            done.set_result(None)
            return done
        return self._sweeper.start(self, interval_seconds(self.ttl_config, sweep_interval_minutes))

    def stop_ttl_sweeper(self, timeout: float | None = None) -> bool:
        """Stop the sweeper; whether it has stopped within ``timeout`` seconds."""
        return self._sweeper.stop(timeout)


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
    if done.set_running_or_notify_cancel():
        done.set_result(None)
