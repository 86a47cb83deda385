"""Attempts at items: beginning them on a crew, time limits, what they came to, whether to try again.

Puts outcomes into the outbox; appends nothing. An attempt whose time is over is refused, also when its thread
goes on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from functools import partial
from typing import Any, Final, NamedTuple, cast

from dashflow.batch.core.events import Failure
from dashflow.batch.core.settings import BatchSettings
from dashflow.batch.outbox import Outbox
from dashflow.batch.work import Item, StopReason, Suspended, Work
from dashflow.engine.ports import Crew, Done, Host, Overdue
from dashflow.engine.retry import delay_before
from dashflow.errors import DashFlowError, ItemTimeoutError, ItemWaitingError, ValueCodecError
from dashflow.log.codec import encode
from dashflow.types import RetryPolicy

MESSAGE: Final = 2000
"""Characters that are recorded of an error's message."""


class Again(NamedTuple):
    """An item is to be tried again, so many seconds from now."""

    item: int
    after: float


class _Attempt:
    """The latest attempt at an unfinished item.

    Attributes:
        item: What is handed to the work.
        here: How many attempts this process made.
        running: Whether its end is still waited for.
        held: Whether it has not begun, since its beginning has to be recorded first.
    """

    __slots__ = ("begun", "held", "here", "item", "running")

    def __init__(self, item: Item, here: int, begun: float) -> None:
        self.item = item
        self.here = here
        self.begun = begun
        self.running = True
        self.held = False


class Attempts:
    """The attempts of one owner of a batch.

    Args:
        retry: Which errors to try again and when.
        careful: Record that an attempt begins before it does.

    Attributes:
        running: How many attempts are waited for.
        failed, finished: How many items were given up, and came to any end, whether recorded already or not.
    """

    def __init__(
        self,
        host: Host,
        crew: Crew,
        work: Work,
        settings: BatchSettings,
        retry: RetryPolicy | None,
        *,
        careful: bool,
    ) -> None:
        self._host = host
        self._crew = crew
        self._work = work
        self._timeout = settings.timeout
        self._retry = retry or RetryPolicy(max_attempts=settings.max_attempts)
        self._careful = careful
        self._latest: dict[int, _Attempt] = {}
        self._held: dict[int, None] = {}
        self._deadlines: deque[tuple[float, _Attempt]] = deque()
        self._quitting = False
        self.running = 0
        self.failed = 0
        self.finished = 0

    def __contains__(self, item: int) -> bool:
        """Whether this process has made an attempt at an item that is not recorded as finished."""
        return item in self._latest

    def made(self, item: int) -> int:
        """How many attempts at an unfinished item this process made."""
        attempt = self._latest.get(item)
        return 0 if attempt is None else attempt.here

    def number(self, item: int, before: int) -> int:
        """Number of the next attempt at an item that had so many ``before`` this process came."""
        attempt = self._latest.get(item)
        return before + 1 if attempt is None else attempt.item.attempt + 1

    def begin(self, item: Item) -> None:
        """Begin an attempt."""
        attempt = _Attempt(item, self.made(item.index) + 1, self._host.elapsed())
        self._latest[item.index] = attempt
        self.running += 1
        if self._careful:
            attempt.held = True
            self._held[item.index] = None
        else:
            self._launch(attempt)

    def recorded(self, items: Iterable[int]) -> None:
        """That attempts at these began is durable."""
        for item in items if self._held else ():
            attempt = self._latest.get(item)
            if attempt is not None and attempt.held:
                del self._held[item]
                attempt.held = False
                attempt.begun = self._host.elapsed()
                self._launch(attempt)

    def _launch(self, attempt: _Attempt) -> None:
        item, timeout = attempt.item, self._timeout
        key = (item.index, attempt.here)
        if not (self._host.asynchronous and self._work.awaitable):
            self._crew.start(key, partial(self._work.run, item))
            if timeout is not None:
                self._deadlines.append((attempt.begun + timeout, attempt))
        elif timeout is None:
            self._crew.start(key, partial(self._work.arun, item), blocking=False)
        else:
            ends, elapsed = attempt.begun + timeout, self._host.elapsed
            limited = partial(self._host.limited, partial(self._work.arun, item), lambda: ends - elapsed())
            self._crew.start(key, limited, blocking=False)

    def forget(self, items: Iterable[int]) -> None:
        """Forget items that are recorded as finished."""
        for item in items:
            self._latest.pop(item, None)

    def ask(self, reason: StopReason) -> None:
        """Ask all that run to stop. From any thread or signal handler."""
        for attempt in list(self._latest.values()):
            if attempt.running and not attempt.held:
                attempt.item.stop(reason)

    def stop(self, reason: StopReason, *, quitting: bool = False) -> None:
        """Ask all that run to stop, and begin none that is held.

        ``quitting``: those that are cut off from now on have not failed.
        """
        self._quitting = self._quitting or quitting
        for item in self._held:
            attempt = self._latest[item]
            attempt.held = attempt.running = False
            self.running -= 1
        self._held.clear()
        self.ask(reason)

    def expire(self, now: float, outbox: Outbox) -> tuple[list[Again], float | None]:
        """Refuse attempts whose time is over.

        Returns:
            What is to be tried again, and the seconds until the next attempt's time is over.
        """
        again: list[Again] = []
        while self._deadlines:
            deadline, attempt = self._deadlines[0]
            if attempt.running and deadline > now:
                return again, deadline - now
            self._deadlines.popleft()
            if attempt.running:
                assert self._timeout is not None
                attempt.item.stop("timeout")
                self._end(attempt)
                error = ItemTimeoutError(attempt.item.key, self._timeout)
                again += self._failed(attempt, error, outbox)
        return again, None

    def end(self, done: Done, outbox: Outbox) -> list[Again]:
        """Take in what an attempt came to; what is to be tried again.

        Raises:
            BaseException: The attempt raised something that is no ``Exception``: an interrupt, an exit.
        """
        item, here = cast("tuple[int, int]", done.key)  # as _launch made it
        attempt = self._latest.get(item)
        if attempt is None or attempt.here != here or not attempt.running:
            return []  # its time was over: refused
        self._end(attempt)
        error = done.error
        if error is None:
            return self._succeeded(attempt, done.value, outbox)
        if isinstance(error, Suspended) and attempt.item.asked_to_stop:
            return []
        if self._quitting and not isinstance(error, Exception):
            return []  # cut off
        if isinstance(error, Overdue):
            error = ItemTimeoutError(attempt.item.key, self._timeout or 0.0)
        if not isinstance(error, Exception) and type(error).__name__ != "CancelledError":
            raise error
        return self._failed(attempt, error, outbox)

    def refuse(self, item: Item, error: Exception, outbox: Outbox) -> None:
        """Give up an item that cannot even begin."""
        self._fail(item, error, outbox)

    def _end(self, attempt: _Attempt) -> None:
        attempt.running = False
        self.running -= 1

    def _succeeded(self, attempt: _Attempt, value: Any, outbox: Outbox) -> list[Again]:
        item = attempt.item
        try:
            result = encode(value, "result")
        except ValueCodecError as error:
            self._fail(item, error, outbox)
        else:
            self.finished += 1
            outbox.complete(item.index, item.attempt, result)
        return []

    def _failed(self, attempt: _Attempt, error: BaseException, outbox: Outbox) -> list[Again]:
        retry = self._retry
        if (
            attempt.here < retry.max_attempts
            and not isinstance(error, ItemWaitingError)
            and isinstance(error, Exception)
            and retry.retries(error)
        ):
            return [Again(attempt.item.index, delay_before(retry, attempt.here, self._host.jitter))]
        self._fail(attempt.item, error, outbox)
        return []

    def _fail(self, item: Item, error: BaseException, outbox: Outbox) -> None:
        kind = error.code if isinstance(error, DashFlowError) else type(error).__name__
        message = str(error).encode("utf-8", "backslashreplace").decode("utf-8")
        if len(message) > MESSAGE:
            message = message[:MESSAGE] + "..."
        self.failed += 1
        self.finished += 1
        outbox.fail(Failure(item.index, item.attempt, kind, message))
