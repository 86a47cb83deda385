"""Questions to a log that many flows of one event loop ask at the same time: gathered into one.

While a question is on its way to the log, the others wait for it and then go together. Knows only the port's
``versions``, and nothing of who asks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from weakref import WeakKeyDictionary

from dashflow.hosts.threads import THREADS
from dashflow.log.base import EventLog

Found = list[int] | None
Asked = tuple[Sequence[str], asyncio.Future[Found]]


class Questions:
    """Those of one event loop to one log."""

    def __init__(self) -> None:
        self._waiting: list[Asked] = []
        self._asking = False

    async def versions(self, log: EventLog, streams: Sequence[str]) -> Found:
        """See ``EventLog.versions``; None when it could not be told: ask alone, to hear why."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Found] = loop.create_future()
        self._waiting.append((streams, future))
        if not self._asking:
            self._ask(log, loop)
        return await future

    def _ask(self, log: EventLog, loop: asyncio.AbstractEventLoop) -> None:
        """Ask for all who wait, on a thread."""
        asked, self._waiting = self._waiting, []
        self._asking = True

        def ask() -> None:
            found: Found = None
            with suppress(Exception):  # who asked asks again, alone, and meets it
                found = log.versions([stream for streams, _ in asked for stream in streams])
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._tell, log, loop, asked, found)

        THREADS.start(ask)

    def _tell(
        self, log: EventLog, loop: asyncio.AbstractEventLoop, asked: Sequence[Asked], found: Found
    ) -> None:
        self._asking = False
        if self._waiting:
            self._ask(log, loop)
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
