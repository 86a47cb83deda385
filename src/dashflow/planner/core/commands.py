"""What may be asked of a plan: the planner's commands. Frozen data; no behaviour.

Every command has ``now``, nanoseconds since the Unix epoch: the handler asks no clock.
"""

from __future__ import annotations

from typing import Any

import msgspec

from dashflow.planner.core.events import AnswerSource, PlannerConfig
from dashflow.planner.core.task import Task


class PlannerCommand(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Base of the planner's commands. ``now``: nanoseconds since the Unix epoch."""

    now: int


class Initialize(PlannerCommand, frozen=True, tag=True, kw_only=True):
    """Accept a goal; fields as in ``events.PlanRequested``."""

    run: str
    goal: str
    folder: str | None = None
    out: str = ""
    answers: tuple[str, ...] = ()
    model: str | None = None
    workers: int = 4
    config: PlannerConfig = PlannerConfig()


class ProposePlan(PlannerCommand, frozen=True, tag=True, kw_only=True):
    """A planning executor's answer: these tasks. They are checked before they become the plan."""

    tasks: tuple[Task, ...]
    planner: str = ""
    notes: tuple[str, ...] = ()


class FailPlanning(PlannerCommand, frozen=True, tag=True, kw_only=True):
    """The planning executor gave up; ``code`` is its error's stable code."""

    code: str
    error: str


class TaskCompleted(msgspec.Struct, frozen=True, tag=True):
    """An executor is done with an attempt; ``result`` is plain data."""

    task: str
    attempt: int
    result: dict[str, Any]


class TaskFailed(msgspec.Struct, frozen=True, tag=True):
    """An executor could not do it; ``error`` says why."""

    task: str
    attempt: int
    error: str


class TaskNeedsClarification(msgspec.Struct, frozen=True, tag=True):
    """An executor cannot go on without an answer."""

    task: str
    attempt: int
    question: str


class ClarificationProvided(msgspec.Struct, frozen=True, tag=True):
    """An executor (not a person at the terminal) brings the answer to a task's question."""

    task: str
    text: str


ExecutorEvent = TaskCompleted | TaskFailed | TaskNeedsClarification | ClarificationProvided


class HandleExecutorEvent(PlannerCommand, frozen=True, tag=True, kw_only=True):
    """Take in what an executor reports."""

    event: ExecutorEvent


class Continue(PlannerCommand, frozen=True, tag=True, kw_only=True):
    """Go on: dispatch what can run, or come to the end when nothing is left."""


class Recover(PlannerCommand, frozen=True, tag=True, kw_only=True):
    """A new owner takes over: what ran under the former one is dispatched again, as a new attempt."""


class AnswerClarification(PlannerCommand, frozen=True, tag=True, kw_only=True):
    """Answer a task's question; without ``task``, the one that was asked first."""

    text: str
    task: str | None = None
    source: AnswerSource = AnswerSource.PERSON


class ReceiveApproval(PlannerCommand, frozen=True, tag=True, kw_only=True):
    """It was decided on what has this ``digest``; fields as in ``events.ApprovalReceived``."""

    task: str
    digest: str
    outcome: str
    by: tuple[str, ...] = ()
    reason: str = ""


class CompactContext(PlannerCommand, frozen=True, tag=True, kw_only=True):
    """Make the context at most about ``max_tokens`` long. ``summary`` is a model's, if one was asked;
    without it the context is cut by rules."""

    max_tokens: int
    summary: str | None = None


class Cancel(PlannerCommand, frozen=True, tag=True, kw_only=True):
    """End the run without finishing it."""

    reason: str = ""


Command = (
    Initialize
    | ProposePlan
    | FailPlanning
    | HandleExecutorEvent
    | Continue
    | Recover
    | AnswerClarification
    | ReceiveApproval
    | CompactContext
    | Cancel
)
"""Every planner command; ``process`` has a row for each."""
