"""What has happened to a plan: the planner's events. Frozen data; no behaviour.

Every event has ``at``, nanoseconds since the Unix epoch, which came in with the command: ``fold`` needs
no clock. Events carry outcomes, never inputs to compute again. A layout that changes gets a new number in
``codec.SCHEMAS`` and an up-cast there; stored events are never edited.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from dashflow.hitl.core.terms import Terms
from dashflow.planner.core.task import Task, TaskKind, TaskStatus


class PlannerConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a plan is made and its context kept small; recorded when the run is accepted.

    Attributes:
        system_prompt: Told to a planning model before the goal; empty for the built-in text.
        profile: Name of a row of ``context.PROFILES``: what is kept when the context is compacted.
        max_rejections: How many plans that cannot be run are rejected before planning has failed.
        approvals: By kind of task, on which terms somebody has to approve each of them before it starts; a
            planner may ask for more.
    """

    system_prompt: str = ""
    profile: str = "balanced"
    max_rejections: int = 2
    approvals: dict[TaskKind, Terms] = {}


class AnswerSource(StrEnum):
    """Where an answer came from."""

    RECORDED = "recorded"
    """Given in advance, with the request."""
    PERSON = "person"
    EXECUTOR = "executor"


class PlannerEvent(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """Base of the planner's events. ``at``: nanoseconds since the Unix epoch."""

    at: int


class PlanRequested(PlannerEvent, frozen=True, tag=True, kw_only=True):
    """A goal was accepted. All that the run depends on is in here, before anything runs.

    ``folder`` and ``out`` are absolute paths; ``answers`` are used in order by questions; ``model``
    is None for planning by rules; ``workers`` bounds how many tasks run at a time.
    """

    run: str
    goal: str
    folder: str | None = None
    out: str = ""
    answers: tuple[str, ...] = ()
    model: str | None = None
    workers: int = 4
    config: PlannerConfig = PlannerConfig()


class TasksPlanned(PlannerEvent, frozen=True, tag=True, kw_only=True):
    """The goal became this graph of tasks, checked: ids unique, dependencies known, no cycle.

    ``planner`` names who planned (``rules`` or a model's name); ``notes`` say what it left out or repaired.
    """

    tasks: tuple[Task, ...]
    planner: str = ""
    notes: tuple[str, ...] = ()


class PlanRejected(PlannerEvent, frozen=True, tag=True, kw_only=True):
    """A proposed plan cannot be run; ``code`` is the error's stable code, ``problem`` its text."""

    code: str
    problem: str


class TaskDispatched(PlannerEvent, frozen=True, tag=True, kw_only=True):
    """A task was handed to an executor; only a result with this ``attempt`` counts."""

    task: str
    attempt: int


class TaskStatusUpdated(PlannerEvent, frozen=True, tag=True, kw_only=True, omit_defaults=True):
    """An attempt came to something: a result, an error or a question."""

    task: str
    attempt: int
    status: TaskStatus
    result: dict[str, Any] | None = None
    error: str | None = None
    question: str | None = None


class ResultIgnored(PlannerEvent, frozen=True, tag=True, kw_only=True):
    """Something reported about a task that no longer matters (an old attempt); nothing changed."""

    task: str
    attempt: int
    reason: str


class ClarificationRequested(PlannerEvent, frozen=True, tag=True, kw_only=True):
    """A person is asked; only this task, and what depends on it, waits."""

    task: str
    question: str


class ClarificationReceived(PlannerEvent, frozen=True, tag=True, kw_only=True):
    """The question of ``task`` was answered; the task can go on."""

    task: str
    text: str
    source: AnswerSource = AnswerSource.PERSON


class ApprovalAwaited(PlannerEvent, frozen=True, tag=True, kw_only=True):
    """A task could start, and somebody has to approve it first; only it, and what depends on it, waits.

    ``approval`` is the approval's id, ``digest`` the hash of what is to be approved.
    """

    task: str
    approval: str
    digest: str


class ApprovalReceived(PlannerEvent, frozen=True, tag=True, kw_only=True):
    """It was decided whether ``task`` may start.

    ``outcome`` is ``approved``, or why it may not: ``rejected``, ``expired`` or ``cancelled``; ``by`` are
    those whose votes decided, ``reason`` is the rule by which.
    """

    task: str
    digest: str
    outcome: str
    by: tuple[str, ...] = ()
    reason: str = ""


class ContextCompacted(PlannerEvent, frozen=True, tag=True, kw_only=True):
    """The context was made smaller. Tasks and results stay as they are; every dropped item can be read
    back by its reference (a task's id and field).

    Tokens are estimates, see ``context.tokens``.
    """

    summary: str
    kept: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    tokens_before: int = 0
    tokens_after: int = 0


class PlanningCompleted(PlannerEvent, frozen=True, tag=True, kw_only=True):
    """Every task of the plan is completed."""

    summary: str = ""


class PlanFailed(PlannerEvent, frozen=True, tag=True, kw_only=True):
    """No plan was made, or all that could run has run and some tasks failed or were blocked by those."""

    code: str
    error: str
    failed: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()


class PlanCancelled(PlannerEvent, frozen=True, tag=True, kw_only=True):
    """Somebody ended the run; results that still arrive are ignored."""

    reason: str = ""


Event = (
    PlanRequested
    | TasksPlanned
    | PlanRejected
    | TaskDispatched
    | TaskStatusUpdated
    | ResultIgnored
    | ClarificationRequested
    | ClarificationReceived
    | ApprovalAwaited
    | ApprovalReceived
    | ContextCompacted
    | PlanningCompleted
    | PlanFailed
    | PlanCancelled
)
"""Every planner event; ``codec`` knows how each is stored."""
