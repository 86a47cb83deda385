"""What can happen to a run from outside, as events of its thread: limits, cancels, attempts. See
``dashflow.core.events``.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec


class UsageRecorded(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a run with a budget has used so far, by name; what it used before it was paused is included."""

    type: ClassVar[str] = "UsageRecorded"
    spent: dict[str, float]


class BudgetChanged(msgspec.Struct, frozen=True, omit_defaults=True):
    """Somebody changed the limits of a thread's run while it did not run: those named here; None: none."""

    type: ClassVar[str] = "BudgetChanged"
    limits: dict[str, float | None]


class CancelRequested(msgspec.Struct, frozen=True, omit_defaults=True):
    """A run is to end. Whoever runs it may commit nothing any more; it is over once ``RunCancelled`` says so.

    Attributes:
        run: Id of the run, "" for whichever goes on; the event means nothing when there is none such.
        reason: For people.
    """

    type: ClassVar[str] = "CancelRequested"
    run: str
    reason: str = ""


class RunDeadLettered(msgspec.Struct, frozen=True, omit_defaults=True):
    """Nobody takes the run over any more: again and again its process died before anything was completed.

    Attributes:
        run: Id of the run.
        attempts: How often it was tried.
        reason: For people.
    """

    type: ClassVar[str] = "RunDeadLettered"
    run: str
    attempts: int
    reason: str


class RunRequeued(msgspec.Struct, frozen=True, omit_defaults=True):
    """Somebody gave a dead letter new attempts, or put back a run that could not be finished here.

    Attributes:
        run: Its id.
        attempt: How many takeovers count against it.
    """

    type: ClassVar[str] = "RunRequeued"
    run: str
    attempt: int = 0
