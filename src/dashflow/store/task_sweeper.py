"""Deletes a store's expired items from time to time, in a task; ``sweeper`` does it in a thread."""

from __future__ import annotations

import asyncio
import logging
import weakref
from contextlib import suppress
from types import TracebackType
from typing import Self

from dashflow.store.base.settings import TTLConfig
from dashflow.store.sweeper import interval_seconds

__all__ = ("SweptByTask",)

_logger = logging.getLogger(__name__)


class SweptByTask:
    """What stores have in common that a task sweeps; they are swept only when items can be over."""

    ttl_config: TTLConfig | None
    _stop: asyncio.Event | None = None
    _sweeping: asyncio.Task[None] | None = None

    async def sweep_ttl(self) -> int:
        """Delete the items whose life is over; how many that were."""
        raise NotImplementedError

    async def start_ttl_sweeper(self, sweep_interval_minutes: float | None = None) -> asyncio.Task[None]:
        """Sweep every so many minutes, in a task.

        Args:
            sweep_interval_minutes: Between two sweeps; None: as the store was told, else 5.

        Returns:
            The task; cancelling it stops the sweeper.
        """
        if self.ttl_config is None:
            return asyncio.create_task(asyncio.sleep(0))
        if self._sweeping is None or self._sweeping.done():
            self._stop = asyncio.Event()
            seconds = interval_seconds(self.ttl_config, sweep_interval_minutes)
            self._sweeping = asyncio.create_task(
                _sweep(weakref.ref(self), seconds, self._stop), name="ttl_sweeper"
            )
        return self._sweeping

    async def stop_ttl_sweeper(self, timeout: float | None = None) -> bool:  # noqa: ASYNC109 - LangGraph's
        """Stop the sweeper; whether it has stopped within ``timeout`` seconds."""
        if self._sweeping is None:
            return True
        if self._stop is not None:
            self._stop.set()
        await asyncio.wait({self._sweeping}, timeout=timeout)
        if not self._sweeping.done():
            return False
        self._sweeping = None
        return True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        if self._stop is not None:
            self._stop.set()


async def _sweep(where: weakref.ReferenceType[SweptByTask], seconds: float, stop: asyncio.Event) -> None:
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await stop.wait()
            return
        store = where()
        if store is None:
            return
        try:
            await store.sweep_ttl()
        except Exception:
            _logger.exception("A sweep of expired items failed; the next is in %g s", seconds)
        del store
