"""A cache of daemon threads: an idle one is used again, a new one is made when none is idle.

Unbounded on purpose: a piece of work may itself wait for other pieces (a graph inside a node), so a
bounded pool could wait for itself for ever. How many pieces run at a time is the crew's business.
The pattern is the thread cache of the trio project.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

_IDLE_SECONDS = 10.0


class _Worker:
    """One cached thread; waits for its next job on a lock of its own."""

    __slots__ = ("cache", "job", "wake")

    def __init__(self, cache: ThreadCache) -> None:
        self.cache = cache
        self.job: Callable[[], None] | None = None
        self.wake = threading.Lock()
        self.wake.acquire()
        threading.Thread(target=self.serve, name="dashflow-worker", daemon=True).start()

    def serve(self) -> None:
        idle = self.cache.idle
        while True:
            if self.wake.acquire(timeout=_IDLE_SECONDS):
                job, self.job = self.job, None
                if job is not None:
                    job()
                del job  # what it refers to must not live until the next job comes
                idle[self] = None
            elif idle.pop(self, self) is None:
                return  # nobody took us out of the idle set meanwhile, so nobody will wake us


class ThreadCache:
    """Starts jobs on threads without waiting; jobs must not raise."""

    def __init__(self) -> None:
        self.idle: dict[_Worker, None] = {}

    def start(self, job: Callable[[], None]) -> None:
        """Run ``job()`` on some thread, soon."""
        try:
            worker, _ = self.idle.popitem()
        except KeyError:
            worker = _Worker(self)
        worker.job = job
        worker.wake.release()


THREADS = ThreadCache()
"""The process's thread cache. A fork's child has none of the threads, so it starts an empty one."""


def _forget_after_fork() -> None:
    THREADS.idle = {}


def install_fork_guard(register: Callable[..., None]) -> None:
    """Make forked children forget threads that did not come along."""
    register(after_in_child=_forget_after_fork)
