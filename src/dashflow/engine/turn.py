"""Turn: a new input's way to its run on a thread whose run may be going on ("double texting").

Where the thread is free this costs one look at its inbox. Else the input waits:
see ``dashflow.engine.waiting``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from dashflow._util.scope import CURRENT
from dashflow.checkpoint.inbox import Busy, Inbox, has_worker
from dashflow.checkpoint.thread import ThreadReader, stream_of
from dashflow.core.fold import ThreadState
from dashflow.core.inbox import InputQueued, InputTaken, InputWithdrawn
from dashflow.engine.ports import Host
from dashflow.errors import (
    FencedError,
    LogClosedError,
    OwnershipConflictError,
    StorageUnavailableError,
    VersionConflictError,
)
from dashflow.options import RunOptions


class Turn:
    """One input's.

    Args:
        host: The world.
        reader: The log's threads.
        graph: Name of the graph; "" when it was given none.
        options: How the caller wants it to run.
        given: The input.

    Attributes:
        inbox: The thread's.
        stream: The thread's own stream.
        scanned: Up to this version of it, the input's run has not started.
        ticket: Its id in the inbox; "" while it does not wait there.
        seizes: Whether the thread is taken from a run that is going on.
    """

    def __init__(self, host: Host, reader: ThreadReader, graph: str, options: RunOptions, given: Any) -> None:
        self.host = host
        self.reader = reader
        self.graph = graph
        self.options = options
        self.given = given
        self.inbox = Inbox(reader, options.thread)
        self.stream = stream_of(options.thread)
        self.scanned = 0
        self.ticket = ""
        self.seizes = False

    def check(self, state: ThreadState, end: int, inbox: int) -> None:
        """Called in the read that finds where to go on.

        Args:
            state: The thread as it is.
            end: Its stream's version, at which the run will claim it.
            inbox: The version of its inbox, for an input that does not wait there.

        Raises:
            Busy: It is not this input's turn.
            FencedError: Somebody else has started its run.
        """
        if not self.ticket:
            if not self.inbox.empty(inbox):
                raise Busy
        else:
            if self.inbox.started(self.ticket, self.scanned, end):
                raise self.ran_elsewhere()
            self.scanned = end
        if state.status == "running" and not self.seizes and has_worker(self.reader, state.graph):
            raise Busy  # if its process is dead the worker finishes it first

    async def take(self, accept: Callable[[], Awaitable[None]]) -> None:
        """Have the input accepted as a run, at once or in its turn.

        Args:
            accept: Tries it: claims the thread and records the run's first event.

        Raises:
            OwnershipConflictError: The run that is going on waits for this one itself, so it would never end.
            FencedError: While this process was away somebody took it for dead and ran the input.
            Exception: What ``accept`` raises about the input.
        """
        try:
            await accept()
        except (OwnershipConflictError, VersionConflictError, Busy) as error:
            if self._waits_for_itself():
                raise OwnershipConflictError(self.stream, "the very code that calls") from error
        else:
            return
        from dashflow.engine.waiting import Waiting  # only those who wait pay for it

        waiting = Waiting(self)
        try:
            await waiting.queue()
            await waiting.wait(accept)
        except _STAYS:
            raise
        except BaseException as error:
            if not self.ticket:
                raise  # it was not accepted
            await waiting.tell(InputWithdrawn(self.ticket, type(error).__name__))
            raise

    def _waits_for_itself(self) -> bool:
        """Whether the run that holds the thread cannot end before this call returns."""
        if self.reader.holders.get(self.stream, _NOBODY) == self.host.here():
            return True
        scope: Any = CURRENT.get()
        while scope is not None:
            run = scope.run
            if run.lent is not None and run.options.thread == self.options.thread:
                return True
            scope = run.outer
        return False

    def ran_elsewhere(self) -> FencedError:
        """What to tell a caller whose input somebody else ran, or runs."""
        log = self.reader.lines
        last = log.read(self.stream, after=log.version(self.stream) - 1, limit=1)
        return FencedError(self.stream, 0, last[0].epoch if last else 0)


class Adopted(Turn):
    """The turn of an input whose caller died. It has come: whoever makes this has looked."""

    def __init__(self, host: Host, reader: ThreadReader, options: RunOptions, queued: InputQueued) -> None:
        super().__init__(host, reader, queued.graph, options, queued.given)
        self.ticket = queued.ticket
        self.scanned = queued.since

    async def take(self, accept: Callable[[], Awaitable[None]]) -> None:
        """Have the input accepted as a run.

        Raises:
            OwnershipConflictError, VersionConflictError: Somebody was faster.
            FencedError: Its run has started already.
            Exception: What ``accept`` raises about the input, which is then withdrawn.
        """
        from dashflow.engine.waiting import Waiting

        waiting = Waiting(self)
        try:
            await accept()
        except Busy as error:
            raise OwnershipConflictError(self.stream, "a process that died") from error
        except FencedError:
            await waiting.tell(InputTaken(self.ticket))
            raise
        except (OwnershipConflictError, VersionConflictError, *_STAYS):
            raise
        except Exception as error:
            await waiting.tell(InputWithdrawn(self.ticket, type(error).__name__))
            raise
        await waiting.tell(InputTaken(self.ticket))


_STAYS: Final = (FencedError, LogClosedError, StorageUnavailableError)
"""Errors that leave an input in the inbox: it is accepted, and somebody else runs it."""

_NOBODY: Final = object()
