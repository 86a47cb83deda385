"""Notices what other processes commit: looks at the file's change counter while somebody waits.

SQLite has no notification between processes. The counter (``PRAGMA data_version``) costs a few
microseconds to read. The thread sleeps while nobody waits, and does nothing but ring the bell.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from typing import Final

from dashflow.log.subscriptions import Bell

SOON: Final = 0.004
"""Seconds between two looks, while others write."""

LATER: Final = 0.02
"""The same after nothing has happened for ``_QUIET`` looks: who follows a sleeping log may sleep, too."""

_QUIET: Final = 250


class Watcher:
    """A thread that is started by the first one who waits."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self.bell = Bell(on_wait=self._need)
        self._connect = connect
        self._needed = threading.Event()
        self._stopped = threading.Event()
        self._starting = threading.RLock()
        self._thread: threading.Thread | None = None

    def close(self) -> None:
        """End the thread and every waiting."""
        self._stopped.set()
        self._needed.set()
        self.bell.close()
        with self._starting:
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _need(self) -> None:
        with self._starting:
            if self._thread is None and not self._stopped.is_set():
                thread = threading.Thread(target=self._run, name="dashflow-log-watcher", daemon=True)
                thread.start()
                self._thread = thread
        self._needed.set()

    def _run(self) -> None:
        connection: sqlite3.Connection | None = None
        seen: int | None = None
        quiet = 0
        try:
            while not self._stopped.wait(SOON if quiet < _QUIET else LATER):
                if not self.bell.awaited:
                    self._needed.clear()
                    if not self.bell.awaited and not self._stopped.is_set():
                        self._needed.wait()
                try:
                    connection = connection or self._connect()
                    now = connection.execute("PRAGMA data_version").fetchone()[0]
                except sqlite3.Error:
                    now = None  # those who wait read for themselves, and meet the error
                # The first look rings too: what came before it would go unseen.
                quiet += 1
                if now != seen or now is None:
                    seen, quiet = now, 0
                    self.bell.ring()
        finally:
            if connection is not None:
                connection.close()
