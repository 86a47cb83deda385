"""Cancelling a run: from the wish, in whatever process, to the record that all its work has stopped.

The wish takes the thread's stream away from whoever runs it, in the commit that records the wish: from then
on the log refuses what the run still does. The stream then belongs to the same process under another name
(``CLEARING``), so that others wait until that has cleared up, and take over if it dies. Its last record is
``RunCancelled``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

from dashflow.checkpoint.events import to_new
from dashflow.checkpoint.thread import ThreadReader, stream_of, thread_of
from dashflow.core.events import CancelRequested, Change, Event, RunCancelled
from dashflow.core.fold import ThreadState
from dashflow.engine.halt import Halt
from dashflow.engine.history import Pen
from dashflow.engine.journal import CLEARING, Journal, give_back
from dashflow.engine.ports import Host
from dashflow.errors import FencedError, OwnershipConflictError, VersionConflictError
from dashflow.log.base import ANY, Append, Appended, Ticket
from dashflow.log.ids import EventIds
from dashflow.types.cancellation import Cancellation

LEFT_BY_THE_DEAD: Final = 1.0
"""Seconds after which one who waits looks whether the process that clears up still lives."""

_POLITE: Final = 50
"""How often a named run is met at the version that was read, before whatever its version is is taken."""


class Cancelling:
    """One wish.

    Args:
        host: The world.
        reader: The log's threads.
        thread: Whose run is to end.
        run: Only if this is the run; "" for whichever goes on.
        reason: For people.
    """

    def __init__(
        self, host: Host, reader: ThreadReader, thread: str, *, run: str = "", reason: str = ""
    ) -> None:
        self._host = host
        self._reader = reader
        self._thread = thread
        self._run = run
        self._reason = reason
        self._stream = stream_of(thread)

    async def ask(self, wait: float = 0.0) -> Cancellation:
        """Cancel; durable on return.

        Args:
            wait: Seconds to wait at most until the run's work has stopped.
        """
        tries = 0
        while True:
            state = await self._head()
            other = self._run and state.run != self._run
            if other or state.status not in ("running", "paused", "cancelling"):
                return self._told(state)
            if state.status == "cancelling":
                return await self._await(wait)
            try:
                await self._end(state)
            except VersionConflictError:
                continue
            except OwnershipConflictError as held:
                tries += 1
                await self._take_away(
                    state, str(held.data["owner"]), exact=bool(self._run) and tries < _POLITE
                )
                continue
            return self._told(await self._head())

    async def _head(self) -> ThreadState:
        return await self._host.read(lambda: self._reader.head(self._thread))

    def _told(self, state: ThreadState) -> Cancellation:
        reason = self._reason if state.status in ("cancelling", "cancelled") else ""
        return Cancellation(self._thread, state.run, state.status, reason)

    async def _end(self, state: ThreadState) -> None:
        """Record that it is over, since nobody alive is at work on it.

        Raises:
            OwnershipConflictError: Somebody is.
            VersionConflictError: Something happened meanwhile.
        """
        left = self._reader.left
        owner = left.get(self._stream) or f"{self._reader.log.instance}/cancel"
        await self._append(RunCancelled(state.run, self._reason), state.version, owner)
        if left.get(self._stream) == owner:
            del left[self._stream]

    async def _append(self, event: Event, expected: int, owner: str, *, force: bool = False) -> Appended:
        host, now = self._host, self._host.now()
        new = to_new(event, EventIds(host.entropy(), now).next(), now, "", b"", "")
        append = Append(
            self._stream, (new,), expected, owner=owner, claim=True, release=not force, force=force
        )
        return await host.append(self._reader.lines, append)

    async def _take_away(self, state: ThreadState, owner: str, *, exact: bool) -> None:
        """Take the stream from who runs it."""
        if owner.endswith(CLEARING) or state.status != "running":
            return  # somebody else did; or it begins just now
        event = CancelRequested(self._run, self._reason)
        expected = state.version if exact else ANY
        clearing = owner + CLEARING
        try:
            taken = await self._append(event, expected, clearing, force=True)
        except VersionConflictError:
            return
        if (await self._head()).status != "cancelling":  # it came to its end before
            free = Append(self._stream, owner=clearing, epoch=taken.epoch, release=True)
            with suppress(FencedError):  # somebody has it already
                await self._host.append(self._reader.lines, free)
        self._host.alert()

    async def _await(self, wait: float) -> Cancellation:
        """Wait until the work has stopped, or its process is dead."""
        until = self._host.elapsed() + wait
        while True:
            position, state = await self._host.read(self._seen)
            if state.status != "cancelling":
                return self._told(state)
            try:
                await self._end(state)
            except (OwnershipConflictError, VersionConflictError):
                left = until - self._host.elapsed()
                if left <= 0:
                    return self._told(state)
                within = min(left, LEFT_BY_THE_DEAD)
                await self._host.read(partial(self._ended, position, within))

    def _seen(self) -> tuple[int, ThreadState]:
        state = self._reader.head(self._thread)
        last = self._reader.lines.read(self._stream, after=state.version - 1, limit=1)
        return (last[0].position if last else 0), state

    def _ended(self, after: int, within: float) -> None:
        subscription = self._reader.log.subscribe(
            after=after, stream=self._stream, types=(RunCancelled.type,)
        )
        try:
            subscription.poll(within)
        finally:
            subscription.close()


def keep_alive(pen: Pen, version: int) -> Ticket | None:
    """Become the stream's owner under one's own lease while the work stops; does not wait for that.

    Args:
        pen: What wrote the run.
        version: Of the stream, with the wish; if it is another one now, somebody was faster.
    """
    if not isinstance(pen, Journal):
        return None
    return pen.log.submit(Append(pen.stream, expected=version, owner=pen.clearing, claim=True))


async def cleared(
    host: Host, pen: Pen, halt: Halt, kept: Ticket | None, leave: Callable[[Mapping[str, Any]], Change | None]
) -> None:
    """A cancelled run has come to its end: wait until all its work has stopped, and record that.

    Args:
        host: The world.
        pen: What wrote the run.
        halt: Told why the run was cancelled.
        kept: What ``keep_alive`` gave, if it was called.
        leave: From the thread's values as they are recorded to what the run's end changes in them.
    """
    if not isinstance(pen, Journal):
        return
    reader = pen.reader
    held = pen.abandon()
    try:
        await host.quiet()
        await _give_back(host, reader, halt.thread)
        epoch = await _settled(host, kept)
        while True:
            state = await host.read(lambda: reader.head(halt.thread))
            if state.status != "cancelling" or state.run != halt.run:
                break
            halt.reason = await host.read(partial(_reason, reader, pen.stream, state.version))
            now = host.now()
            last = RunCancelled(halt.run, halt.reason, None if held else leave(state.values))
            events = [*held, to_new(last, EventIds(host.entropy(), now).next(), now, halt.run, b"", "")]
            append = Append(pen.stream, events, state.version, owner=pen.clearing, claim=True, release=True)
            try:
                await host.append(pen.log, append)
            except VersionConflictError:
                continue
            except OwnershipConflictError:
                return
            return
        if epoch:
            with suppress(FencedError):
                await host.append(pen.log, Append(pen.stream, owner=pen.clearing, epoch=epoch, release=True))
    except BaseException:  # whoever comes next does it
        reader.left[pen.stream] = pen.clearing
        raise


async def _give_back(host: Host, reader: ThreadReader, thread: str) -> None:
    """Release streams of graphs inside that were stopped while they were being claimed."""
    for stream in [*reader.left]:
        if thread_of(stream) != (thread, "") and thread_of(stream)[0] == thread:
            with suppress(OwnershipConflictError):  # somebody has it by now
                await give_back(host, reader, stream)


async def _settled(host: Host, kept: Ticket | None) -> int:
    """The epoch that ``keep_alive`` came to; 0 for none."""
    if kept is None:
        return 0
    try:
        return (await host.settle(kept)).epoch
    except (VersionConflictError, OwnershipConflictError):
        return 0


def _reason(reader: ThreadReader, stream: str, version: int) -> str:
    """What the wish at a version of a stream says."""
    for record in reader.lines.read(stream, after=version - 1, upto=version):
        if record.type == CancelRequested.type:
            event = reader.event(record, stream)
            return event.reason if isinstance(event, CancelRequested) else ""
    return ""
