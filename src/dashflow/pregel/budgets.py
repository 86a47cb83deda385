"""What a thread's run may use, and has used, from outside. Sync and async side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dashflow._util.drive import drive
from dashflow.errors import UsageError
from dashflow.pregel.start import loop_host, sync_host
from dashflow.pregel.threads import Look

if TYPE_CHECKING:
    from dashflow.checkpoint.thread import ThreadReader
    from dashflow.types.budget import BudgetUse

Config = Mapping[str, Any]


class BudgetMethods:
    """The part of ``Pregel`` that looks at budgets and changes them."""

    def get_budget(self, config: Config) -> BudgetUse:
        """The limits of a thread's last run, and what it has used.

        Raises:
            ValueError: The graph has no checkpointer, or ``config`` names no thread.
            UsageError: The saver keeps no log.
        """
        return drive(_use(Look(self, sync_host(self), config)))  # type: ignore[arg-type]  # a Pregel

    async def aget_budget(self, config: Config) -> BudgetUse:
        """``get_budget`` for asyncio callers."""
        return await _use(Look(self, loop_host(), config))  # type: ignore[arg-type]  # a Pregel

    def update_budget(self, config: Config, **limits: float | None) -> BudgetUse:
        """Give a thread's run other limits; one that waits for them goes on with ``invoke(None, config)``.

        Args:
            config: Names the thread.
            limits: ``tokens``, ``money``, ``seconds``, ``steps``: the new limit in all, what was used so far
                included; None for no limit. Others stay.

        Raises:
            ValueError, UsageError: As ``get_budget``; or what is named cannot be limited so.
            RunStateError: The thread has no run.
            OwnershipConflictError: The run goes on at this moment.
        """
        return drive(_change(Look(self, sync_host(self), config), limits))  # type: ignore[arg-type]  # a Pregel

    async def aupdate_budget(self, config: Config, **limits: float | None) -> BudgetUse:
        """``update_budget`` for asyncio callers."""
        return await _change(Look(self, loop_host(), config), limits)  # type: ignore[arg-type]  # a Pregel


async def _use(look: Look) -> BudgetUse:
    from dashflow.engine.budgets import budget_use

    return await budget_use(look.host, _reader(look), look.options.thread)


async def _change(look: Look, limits: Mapping[str, float | None]) -> BudgetUse:
    from dashflow.engine.budgets import change_budget

    return await change_budget(look.host, _reader(look), look.options.thread, limits)


def _reader(look: Look) -> ThreadReader:
    if not type(look.saver).__dict__.get("drives_log"):
        raise UsageError(
            f"Budgets are kept in the event log, and this graph's saver, a {type(look.saver).__name__}, "
            "keeps none. Use one of DashFlow's savers."
        )
    reader: ThreadReader = look.saver.reader
    return reader
