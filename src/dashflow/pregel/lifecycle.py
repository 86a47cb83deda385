"""Tells graph handlers among a run's callbacks that it goes on, or stopped. May not know the engine.

A run without such handlers asks ``watch_for`` once and gets None, without loading LangChain.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import UUID

from dashflow._util.reserved import path_of
from dashflow.types.interrupts import Interrupt

if TYPE_CHECKING:
    from dashflow.callbacks import GraphLifecycleStatus

__all__ = ("Watch", "watch_for")


def watch_for(config: Mapping[str, Any], *, asynchronous: bool, run_id: UUID | None = None) -> Watch | None:
    """Who tells the graph handlers of a run; None when there are none.

    Args:
        config: The run's config.
        asynchronous: Whether handlers may be awaited.
        run_id: The run's id as handlers get it.
    """
    known = sys.modules.get("dashflow.callbacks")
    if known is None or not config.get("callbacks"):
        return None  # nobody can have made a graph handler
    make = (
        known.get_async_graph_callback_manager_for_config
        if asynchronous
        else known.get_sync_graph_callback_manager_for_config
    )
    manager = make(config, run_id=run_id)
    return Watch(manager, asynchronous) if manager.handlers else None


_STATUS: dict[str, GraphLifecycleStatus] = {
    "": "pending",
    "before": "interrupt_before",
    "after": "interrupt_after",
}


class Watch:
    """The graph handlers of one run.

    Args:
        manager: A manager of ``dashflow.callbacks``.
        asynchronous: Whether it is the one to be awaited.
    """

    def __init__(self, manager: Any, asynchronous: bool) -> None:
        self._manager = manager
        self._asynchronous = asynchronous

    async def resumed(self, checkpoint_id: str, namespace: str) -> None:
        """The run goes on from a checkpoint. Raises what a handler with ``raise_error`` raises."""
        from dashflow.callbacks import GraphResumeEvent

        event = GraphResumeEvent(self._manager.run_id, "pending", checkpoint_id, path_of(namespace))
        await self._tell(self._manager.on_resume, event)

    async def interrupted(
        self,
        checkpoint_id: str,
        namespace: str,
        interrupts: Sequence[Interrupt[Any]],
        held: str = "",
    ) -> None:
        """The run stopped: for questions, or ``before`` or ``after`` a node. Raises as ``resumed``."""
        from dashflow.callbacks import GraphInterruptEvent

        event = GraphInterruptEvent(
            self._manager.run_id, _STATUS[held], checkpoint_id, path_of(namespace), tuple(interrupts)
        )
        await self._tell(self._manager.on_interrupt, event)

    async def _tell(self, listener: Any, event: Any) -> None:
        told = listener(event)
        if self._asynchronous:
            await told
