"""Watchman: one thread of a process that looks whether somebody cancels a run which goes on here.

A run learns of a cancel at its next record by itself, since that is refused. This is for the work between two
records. The thread looks every few hundredths of a second while there are runs, and sleeps while there are
none; it decides nothing.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from typing import Final

from dashflow.core.events import CancelRequested
from dashflow.errors import LogError
from dashflow.log.base import EventLog, Record, Subscription

INTERVAL: Final = 0.05
"""Seconds between two looks."""

_CATEGORY: Final = "run"
_KEPT: Final = 256
"""How many streams' last cancels are kept, for runs that begin while they are read."""


Halt = Callable[[int], None]


class _Post:
    """One log's runs: by stream, from which position, and what to call."""

    __slots__ = ("_lock", "_runs", "_seen", "_subscription", "log")

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self._runs: dict[str, tuple[int, Halt]] = {}
        self._seen: dict[str, Record] = {}
        self._subscription: Subscription | None = None
        self._lock = threading.Lock()

    def add(self, stream: str, after: int, halt: Halt) -> None:
        """A run begins; what was seen before anybody asked for it counts too."""
        with self._lock:
            self._runs[stream] = (after, halt)
            seen = self._seen.get(stream)
        if seen is not None and seen.position > after:
            halt(seen.version)

    def remove(self, stream: str) -> bool:
        """A run has ended; whether none is left."""
        with self._lock:
            self._runs.pop(stream, None)
            return not self._runs

    def look(self) -> None:
        """See what is new, and call whoever is meant."""
        found: list[tuple[Halt, int]] = []
        with self._lock:
            if not self._runs:
                return
            if self._subscription is None:
                after = min(position for position, _ in self._runs.values())
                self._subscription = self.log.subscribe(
                    after=after, category=_CATEGORY, types=(CancelRequested.type,)
                )
            while page := self._subscription.poll(0):
                for record in page:
                    self._seen[record.stream] = record
                    run = self._runs.get(record.stream)
                    if run is not None and record.position > run[0]:
                        found.append((run[1], record.version))
            while len(self._seen) > _KEPT:
                del self._seen[next(iter(self._seen))]
        for halt, version in found:
            halt(version)


class Watchman:
    """Looks after the runs of all logs of this process."""

    def __init__(self) -> None:
        self._posts: dict[int, _Post] = {}
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._asleep = False

    def guard(self, log: EventLog, stream: str, after: int, halt: Halt) -> None:
        """See ``Host.guard``; ``halt`` is called on the watchman's thread, or on the caller's at once."""
        with self._lock:
            post = self._posts.get(id(log))
            if post is None:
                post = self._posts[id(log)] = _Post(log)
            post.add(stream, after, halt)
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="dashflow-watchman", daemon=True)
                self._thread.start()
            elif self._asleep:
                self._wake.set()

    def unguard(self, log: EventLog, stream: str) -> None:
        """See ``Host.unguard``."""
        with self._lock:
            post = self._posts.get(id(log))
            if post is not None and post.remove(stream):
                del self._posts[id(log)]

    def _drop(self, post: _Post) -> None:
        with self._lock:
            for key in [key for key, one in self._posts.items() if one is post]:
                del self._posts[key]

    def hurry(self) -> None:
        """Look now: something happened in this process."""
        self._wake.set()

    def forget(self) -> None:
        """In a forked child: neither the thread nor the runs came along."""
        self.__init__()  # type: ignore[misc]  # as new

    def _watch(self) -> None:
        rested = False
        while True:
            with self._lock:
                self._asleep = not self._posts and rested
            self._wake.wait(None if self._asleep else INTERVAL)
            self._wake.clear()
            with self._lock:
                posts = [*self._posts.values()]
            rested = not posts
            for post in posts:
                try:
                    post.look()
                except LogError:
                    continue  # it cannot be read just now, or was closed: its runs find out by themselves
                except Exception:  # one log must not keep the others from being looked at
                    logging.getLogger("dashflow.watchman").exception("A log cannot be looked at.")
                except BaseException:  # a log that plays the one of a dead process, see ``dashflow.testing``
                    self._drop(post)


WATCHMAN = Watchman()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=WATCHMAN.forget)
