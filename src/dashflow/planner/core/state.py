"""What is known about a plan: the state that ``fold`` builds from events. Frozen data; decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from dashflow.planner.core import dag
from dashflow.planner.core.agenda import Agenda
from dashflow.planner.core.events import PlannerConfig
from dashflow.planner.core.task import Task, TaskStatus


class RunStatus(StrEnum):
    """Where a run stands."""

    PLANNING = "planning"
    """Accepted; there is no plan yet."""
    RUNNING = "running"
    """Tasks run, or could."""
    WAITING = "waiting"
    """Nothing can go on until a person answers, or approves."""
    COMPLETED = "completed"
    """Every task is completed."""
    FAILED = "failed"
    """There is no plan, or all that could run has run and some tasks failed or were blocked."""
    CANCELLED = "cancelled"


FINISHED = frozenset({RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED})


class TaskCondition(StrEnum):
    """A task's status together with what follows from its dependencies and its run; for showing."""

    PLANNED = "planned"
    """Waits for other tasks."""
    READY = "ready"
    """Could start; no worker is free yet, or nobody runs the plan."""
    RUNNING = "running"
    COMPLETED = "completed"
    NEEDS_CLARIFICATION = "needs_clarification"
    NEEDS_APPROVAL = "needs_approval"
    FAILED = "failed"
    BLOCKED = "blocked"
    """Never starts: a task that it needs failed."""
    CANCELLED = "cancelled"
    """Was not at its end when the run was cancelled."""


class TaskTime(msgspec.Struct, frozen=True):
    """When a task's last attempt started and ended, nanoseconds since the Unix epoch; 0: not yet."""

    started: int = 0
    ended: int = 0


class Compacted(msgspec.Struct, frozen=True):
    """What the last compaction left: a summary, and which items of the context it stands for."""

    summary: str = ""
    dropped: tuple[str, ...] = ()


class PlannerState(msgspec.Struct, frozen=True):
    """The plan of one run, after ``cursor`` events.

    Attributes:
        run: Id of the run; empty before anything was requested.
        goal, folder, out, answers, model, workers, config: As requested.
        tasks: The plan by id, in plan order; empty while there is none.
        order: Ids in the order in which ready tasks are dispatched.
        times: When each task that was dispatched started and ended.
        cursor: How many events were folded: the version of the run's stream.
        answers_used: How many of ``answers`` questions have used up.
        questions: Ids of the tasks that wait for an answer, the one asked first in front.
        rejections: How many proposed plans were rejected.
        rejected: Why the last one was; empty if none was.
        planned_by: ``rules``, or the name of the model.
        notes: What the planner left out or repaired.
        outcome: How the run ended; None while it has not.
        error, error_code: Why it failed or was cancelled.
        created_at, updated_at, ended_at: Nanoseconds since the Unix epoch; 0: not yet.
        context: What the last compaction left.
        known: What could be done next, as folding keeps it; None: to be found out. See ``agenda``.
    """

    run: str = ""
    goal: str = ""
    folder: str | None = None
    out: str = ""
    answers: tuple[str, ...] = ()
    model: str | None = None
    workers: int = 4
    config: PlannerConfig = PlannerConfig()
    tasks: Mapping[str, Task] = {}
    order: tuple[str, ...] = ()
    times: Mapping[str, TaskTime] = {}
    cursor: int = 0
    answers_used: int = 0
    questions: tuple[str, ...] = ()
    rejections: int = 0
    rejected: str = ""
    planned_by: str = ""
    notes: tuple[str, ...] = ()
    outcome: RunStatus | None = None
    error: str | None = None
    error_code: str | None = None
    created_at: int = 0
    updated_at: int = 0
    ended_at: int = 0
    context: Compacted = Compacted()
    known: Any = None

    @property
    def agenda(self) -> Agenda:
        """What could be done next. A state that was not folded looks at all of its tasks for that."""
        return Agenda(self.tasks, self.order or tuple(self.tasks)) if self.known is None else self.known

    @property
    def status(self) -> RunStatus:
        """Where the run stands."""
        if self.outcome is not None:
            return self.outcome
        if not self.tasks:
            return RunStatus.PLANNING
        agenda = self.agenda
        if (self.questions or agenda.held) and agenda.idle:
            return RunStatus.WAITING
        return RunStatus.RUNNING

    @property
    def finished(self) -> bool:
        """Whether the run came to its end, whatever end."""
        return self.outcome is not None

    @property
    def waiting_for_clarification(self) -> bool:
        """Whether any question is open (other tasks may still run)."""
        return bool(self.questions)

    @property
    def running(self) -> list[Task]:
        """Tasks that an executor has, in the order in which they were dispatched."""
        return [self.tasks[one] for one in self.agenda.running]

    @property
    def held(self) -> list[Task]:
        """Tasks that wait for an approval, in plan order."""
        if not self.tasks or not self.agenda.held:
            return []
        return [task for task in self.tasks.values() if task.status is TaskStatus.NEEDS_APPROVAL]

    def count(self, status: TaskStatus) -> int:
        """How many tasks have this status."""
        return sum(task.status is status for task in self.tasks.values())

    def condition(self, task: str) -> TaskCondition:
        """The task's status together with what follows from its dependencies and its run.

        Raises:
            KeyError: no task of that id.
        """
        status = self.tasks[task].status
        if status in dag.TERMINAL:
            return TaskCondition(status.value)
        if status is TaskStatus.PLANNED and self.agenda.is_blocked(task):
            return TaskCondition.BLOCKED
        if self.outcome is RunStatus.CANCELLED:
            return TaskCondition.CANCELLED
        if status is TaskStatus.PLANNED and self.agenda.is_ready(task):
            return TaskCondition.READY
        return TaskCondition(status.value)
