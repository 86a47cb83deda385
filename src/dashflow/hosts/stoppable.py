"""A host that can be told to stop: whatever a flow waits for then ends, and the flow cleans up and leaves.

The planner's flow knows no signals. Every place where it waits for long is a call of its host, so that
is where a stop reaches it; nothing is decided any more after it, and the run stays resumable.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

from dashflow.engine.ports import Done, Posted
from dashflow.hosts.sync import DEFAULT_LIMIT, SyncHost, ThreadCrew
from dashflow.hosts.threads import THREADS


class StopRequested(BaseException):
    """Leaves a flow that was told to stop. No ``Exception``: it is nobody's fault and nothing to record."""


class StoppableCrew(ThreadCrew):
    """Threads whose flow stops waiting for them when its host is told to stop."""

    def __init__(self, limit: int, stopping: Callable[[], bool]) -> None:
        super().__init__(limit, attentive=True)
        self._stopping = stopping

    def wake(self) -> None:
        """End the flow's waiting."""
        self.post(None)

    async def next(self, within: float | None = None) -> Done | Posted:
        """As ``ThreadCrew.next``; raises ``StopRequested`` once the host was told to stop."""
        if self._stopping():
            raise StopRequested
        happened = await super().next(within)
        if self._stopping():
            raise StopRequested
        return happened


class StoppableHost(SyncHost):
    """``SyncHost`` with a ``stop`` that a signal handler may call. Runs one flow at a time."""

    def __init__(self) -> None:
        super().__init__()
        self._stopped = False
        self._crew: StoppableCrew | None = None
        self._call: SimpleQueue[Done | None] | None = None

    def stop(self) -> None:
        """Make the flow leave, now and whatever it starts to wait for later."""
        # The flag first: whoever begins to wait after this looks at it before waiting.
        self._stopped = True
        if self._crew is not None:
            self._crew.wake()
        if self._call is not None:
            self._call.put(None)

    def stopped(self) -> bool:
        """Whether ``stop`` was called."""
        return self._stopped

    def crew(self, limit: int | None = None, *, attentive: bool = False) -> StoppableCrew:
        """See ``Host.crew``; every crew here is attentive."""
        self._crew = StoppableCrew(DEFAULT_LIMIT if limit is None else max(1, limit), self.stopped)
        return self._crew

    async def call(self, work: Callable[[], Any], *, blocking: bool = True) -> Any:
        """See ``Host.call``. The work gets a thread, so that a stop need not wait for its end."""
        if not blocking:
            return await super().call(work, blocking=blocking)
        answer: SimpleQueue[Done | None] = SimpleQueue()
        context = contextvars.copy_context()

        def job() -> None:
            try:
                answer.put(Done(None, context.run(work)))
            except BaseException as error:  # whatever it is, the flow must hear of it
                answer.put(Done(None, None, error))

        self._call = answer
        if self._stopped:
            raise StopRequested
        THREADS.start(job)
        done = answer.get()
        self._call = None
        if done is None or self._stopped:
            raise StopRequested
        if done.error is not None:
            raise done.error
        return done.value
