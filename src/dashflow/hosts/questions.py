"""Questions to a log that many flows of one event loop ask at the same time: gathered into one.

While a question is on its way to the log, the others wait for it and then go together. Knows only the port's
``versions`` and ``glance``, and nothing of who asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final
from weakref import WeakKeyDictionary

from dashflow.hosts.threads import THREADS
from dashflow.log.base import EventLog

_CROWD: Final = 0.001
"""Seconds: who asks so soon after another one waits for those who ask in the same turn of the loop."""

Found = list[int] | None
Asked = tuple[Sequence[str], asyncio.Future[Found]]


class Questions:
    """Those of one event loop to one log."""

    def __init__(self) -> None:
        self._waiting: list[Asked] = []
        self._asking = False
        self._last = 0.0

    async def versions(self, log: EventLog, streams: Sequence[str]) -> Found:
        """See ``EventLog.versions``; None when it could not be told: ask alone, to hear why."""
        loop = asyncio.get_running_loop()
        before, self._last = self._last, loop.time()
        if self._last - before > _CROWD and not self._asking and (found := log.glance(streams)) is not None:
            return found
        future: asyncio.Future[Found] = loop.create_future()
        self._waiting.append((streams, future))
        if not self._asking:
            self._asking = True
            loop.call_soon(self._ask, log, loop)
        return await future

    def _ask(self, log: EventLog, loop: asyncio.AbstractEventLoop) -> None:
        """Ask for all who wait; on a thread, if that takes waiting."""
        asked, self._waiting = self._waiting, []
        streams = [stream for some, _ in asked for stream in some]

        def ask() -> None:
            found: Found = None
            with suppress(Exception):  # who asked asks again, alone, and meets it
                found = log.versions(streams)
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._tell, log, loop, asked, found)

        known: Found = None
        with suppress(Exception):
            known = log.glance(streams)
        if known is None:
            THREADS.start(ask)
        else:
            self._tell(log, loop, asked, known)

    def _tell(
        self, log: EventLog, loop: asyncio.AbstractEventLoop, asked: Sequence[Asked], found: Found
    ) -> None:
        self._asking = bool(self._waiting)
        if self._asking:
            loop.call_soon(self._ask, log, loop)
        start = 0
        for streams, future in asked:
            end = start + len(streams)
            if not future.done():  # else cancelled meanwhile
                future.set_result(None if found is None else found[start:end])
            start = end


_OPEN: WeakKeyDictionary[asyncio.AbstractEventLoop, WeakKeyDictionary[EventLog, Questions]] = (
    WeakKeyDictionary()
)


def questions_to(log: EventLog) -> Questions | None:
    """Those of the running loop to ``log``; None for a log of somebody's own that cannot be remembered."""
    known = _OPEN.setdefault(asyncio.get_running_loop(), WeakKeyDictionary())
    with suppress(TypeError):
        return known.setdefault(log, Questions())
    return None
