"""How a run stands: what the events of its end, its limits and its cancelling mean. Part of ``fold``.

Pure. Touches no channel: what became of those is folded elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from dashflow.core.events import (
    BranchStarted,
    BudgetChanged,
    CancelRequested,
    Event,
    RunPaused,
    RunRequeued,
    UsageRecorded,
)

replace = msgspec.structs.replace

# All of these: (ThreadState, event, version of the event, its time) -> ThreadState.


def paused(state: Any, event: RunPaused, version: int, at: int) -> Any:
    """It waits for somebody."""
    return replace(state, version=version, status="paused", exceeded=event.exceeded)


def used(state: Any, event: UsageRecorded, version: int, at: int) -> Any:
    """It has used so much."""
    return replace(state, version=version, spent=event.spent)


def budget_changed(state: Any, event: BudgetChanged, version: int, at: int) -> Any:
    """It may use other amounts."""
    limits = {**state.budget, **event.limits}
    budget = {name: limit for name, limit in limits.items() if limit is not None}
    return replace(state, version=version, budget=budget)


def ends(status: str) -> Callable[[Any, Event, int, int], Any]:
    """What makes a thread stand so."""
    return lambda state, event, version, at: replace(state, version=version, status=status)


def cancel_requested(state: Any, event: CancelRequested, version: int, at: int) -> Any:
    """It is to stop, if it is the one that goes on."""
    late = state.status != "running" or event.run not in ("", state.run)  # it has ended meanwhile
    return replace(state, version=version, status=state.status if late else "cancelling")


def branched(state: Any, event: BranchStarted, version: int, at: int) -> Any:
    """The thread as it was, but that nobody runs it here."""
    going_on = state.status in ("running", "cancelling")
    return replace(state, version=version, status="idle" if going_on else state.status)


def requeued(state: Any, event: RunRequeued, version: int, at: int) -> Any:
    """Anybody may go on with it."""
    return replace(state, version=version, status="running", attempt=event.attempt)


def noted(state: Any, event: Event, version: int, at: int) -> Any:
    """It says nothing about how the thread stands."""
    return replace(state, version=version)
