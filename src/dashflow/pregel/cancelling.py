"""Ending the run of a thread from outside, whoever runs it. Sync and async side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dashflow._util.drive import drive
from dashflow.errors import UsageError
from dashflow.pregel.start import loop_host, sync_host
from dashflow.pregel.threads import Look

if TYPE_CHECKING:
    from dashflow.types.cancellation import Cancellation

Config = Mapping[str, Any]


class CancelMethods:
    """The part of ``Pregel`` that cancels runs."""

    def cancel(self, config: Config, *, reason: str = "", wait: float = 0.0) -> Cancellation:
        """Cancel a thread's run, also one that goes on in another process, or waits for somebody.

        When this returns the cancel is durable: the run can record nothing any more, whatever its nodes still
        do. Async nodes are cancelled, nodes in processes of their own are killed, graphs inside stop with the
        run; other nodes are asked through ``runtime.control``. Once all work has stopped the run's last
        record says that it is cancelled, and its caller gets ``RunCancelledError``.

        What the run had recorded stays. A new input, or ``invoke(None)``, goes on from there.

        Args:
            config: Names the thread; with a ``run_id``, only if that is the run that goes on.
            reason: For people; it is recorded.
            wait: Seconds to wait at most until all work has stopped.

        Returns:
            How the run stands; to cancel what has ended already is no error.

        Raises:
            ValueError: The graph has no checkpointer, or ``config`` names no thread.
            UsageError: The saver keeps no log.
            StorageUnavailableError: The cancel could not be recorded.
        """
        return drive(_cancel(Look(self, sync_host(self), config), reason, wait))  # type: ignore[arg-type]  # a Pregel

    async def acancel(self, config: Config, *, reason: str = "", wait: float = 0.0) -> Cancellation:
        """``cancel`` for asyncio callers."""
        return await _cancel(Look(self, loop_host(), config), reason, wait)  # type: ignore[arg-type]  # a Pregel


async def _cancel(look: Look, reason: str, wait: float) -> Cancellation:
    from dashflow.engine.cancel import Cancelling

    if not type(look.saver).__dict__.get("drives_log"):
        raise UsageError(
            "A cancel is kept in the event log, and this graph's saver, a "
            f"{type(look.saver).__name__}, keeps none. Use one of DashFlow's savers, or cancel the task that "
            "runs the graph."
        )
    options = look.options
    run = str(options.config.get("run_id") or options.config["configurable"].get("run_id") or "")
    return await Cancelling(look.host, look.saver.reader, options.thread, run=run, reason=reason).ask(wait)
