"""Notices what other processes commit: listens on a connection of its own, and looks when it cannot hear.

LISTEN needs a session of its own; through a transaction pooler it may seem to work and tell nothing.
So it counts only once a notification was heard, and even then the watcher looks now and then. It rings
the bell and does nothing else.
"""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import Final

import psycopg

from dashflow.errors import LogError
from dashflow.log.postgres.connections import Row
from dashflow.log.subscriptions import Bell

SOON: Final = 0.01
"""Seconds between two looks while nothing can be heard and somebody waits."""

LATER: Final = 0.05
"""The same after nothing has happened for ``_QUIET`` looks."""

SAFE: Final = 1.0
"""The same while notifications are heard: one may be lost."""

_QUIET: Final = 200
_RETRY: Final = 2.0
"""Seconds before another try to listen."""


class Watcher:
    """A thread that is started by the first one who waits."""

    def __init__(
        self,
        *,
        listen: Callable[[], psycopg.Connection[Row]],
        probe: Callable[[], object],
        head: Callable[[], int],
        instance: str,
    ) -> None:
        """``listen`` opens a connection that listens; ``probe`` sends it a notification; ``head`` tells the
        last position of the log, raising ``LogError`` when it cannot."""
        self.bell = Bell(on_wait=self._need)
        self._listen = listen
        self.probe = probe
        self._head = head
        self._instance = instance
        self._starting = threading.RLock()
        self._thread: threading.Thread | None = None
        self._stopped = False
        self._asleep = False  # nobody waited when the thread looked last
        self._wakes: tuple[socket.socket, socket.socket] | None = None
        self._connection: psycopg.Connection[Row] | None = None
        self._try_at = 0.0
        self.heard = False

    def close(self) -> None:
        """End the thread and every waiting."""
        with self._starting:
            self._stopped = True
            thread = self._thread
            self._wake()
        self.bell.close()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _need(self) -> None:
        if self._thread is None:
            with self._starting:
                if self._thread is None and not self._stopped:
                    self._wakes = socket.socketpair()
                    for end in self._wakes:
                        end.setblocking(False)
                    thread = threading.Thread(target=self._run, name="dashflow-log-watcher", daemon=True)
                    thread.start()
                    self._thread = thread
        elif self._asleep:
            with self._starting:
                self._wake()

    def _wake(self) -> None:
        if self._wakes is not None:
            with suppress(BlockingIOError):  # it is full: awake anyway
                self._wakes[1].send(b"!")

    def _run(self) -> None:
        assert self._wakes is not None
        wake = self._wakes[0]
        seen: int | None = None
        quiet = 0
        try:
            while not self._stopped:
                self._listen_if_due()
                self._asleep = not self.bell.awaited
                self._wait(wake, quiet)
                if self._stopped or self._drain(wake):
                    quiet = 0
                    continue
                if not self.bell.awaited:
                    continue
                try:
                    now: int | None = self._head()
                except LogError:
                    now = None  # those who wait read for themselves, and meet the error
                quiet += 1
                # The first look rings too: what came before it would go unseen.
                if now != seen or now is None:
                    seen, quiet = now, 0
                    self.bell.ring()
        finally:
            with self._starting:
                self._deafen()
                for end in self._wakes:
                    end.close()
                self._wakes = None

    def _wait(self, wake: socket.socket, quiet: int) -> None:
        """Sleep until something is heard, somebody begins to wait, or it is time for a look."""
        if self._asleep and not self.bell.awaited:
            pause = None
        elif self.heard:
            pause = SAFE
        else:
            pause = SOON if quiet < _QUIET else LATER
        with selectors.DefaultSelector() as sources:
            sources.register(wake, selectors.EVENT_READ)
            if self._connection is not None and not self._connection.closed:
                sources.register(self._connection, selectors.EVENT_READ)
            sources.select(pause)
        with suppress(BlockingIOError):
            while wake.recv(64):
                continue

    def _drain(self, wake: socket.socket) -> bool:
        """Take what was heard; ring unless it was only of our own commits. Whether anything was."""
        if self._connection is None:
            return False
        try:
            said = list(self._connection.notifies(timeout=0))
        except psycopg.Error:
            self._deafen()
            return False
        if said:
            self.heard = True
            if any(notification.payload != self._instance for notification in said):
                self.bell.ring()
        return bool(said)

    def _listen_if_due(self) -> None:
        """Begin to listen, or again after the connection was lost."""
        if self._connection is not None or monotonic() < self._try_at:
            return
        self._try_at = monotonic() + _RETRY
        try:
            self._connection = self._listen()
            self.probe()
        except (psycopg.Error, LogError):
            self._deafen()
        self.bell.ring()  # what came while nothing could be heard

    def _deafen(self) -> None:
        self.heard = False
        if self._connection is not None:
            self._connection.close()
            self._connection = None
