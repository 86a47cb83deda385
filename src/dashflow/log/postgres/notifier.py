"""Tells other processes that there are new events: one thread, one notification for many commits.

Outside the transactions that append, since a NOTIFY inside would make all commits of the whole server
wait for each other. Knows no events; a notification that is lost costs the listener a little time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from dashflow.errors import LogError

INTERVAL: Final = 0.004
"""Seconds between two notifications, at least."""


class Notifier:
    """A thread that is started by the first commit."""

    def __init__(self, send: Callable[[], object]) -> None:
        """``send`` sends one notification; it may raise ``LogError`` when it cannot."""
        self._send = send
        self._due = threading.Event()
        self._stopped = threading.Event()
        self._starting = threading.Lock()
        self._thread: threading.Thread | None = None

    def ring(self) -> None:
        """There are new events."""
        if not self._due.is_set():
            self._due.set()
            if self._thread is None:
                self._start()

    def close(self) -> None:
        """Send what is due and end the thread."""
        self._stopped.set()
        self._due.set()
        with self._starting:
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _start(self) -> None:
        with self._starting:
            if self._thread is None and not self._stopped.is_set():
                thread = threading.Thread(target=self._run, name="dashflow-log-notifier", daemon=True)
                thread.start()
                self._thread = thread

    def _run(self) -> None:
        while True:
            self._due.wait()
            ending = self._stopped.is_set()
            self._due.clear()
            try:
                self._send()
            except LogError:
                self._stopped.wait(1.0)  # listeners look for themselves now and then
            if ending:
                return
            self._stopped.wait(INTERVAL)
            if self._stopped.is_set():
                self._due.set()
