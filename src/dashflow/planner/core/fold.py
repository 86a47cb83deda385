"""``fold(state, event) -> state``: what each event changes, as a table. Pure: same events, same bytes.

Trusts events (they were decided by ``process`` on the state before them) and so never raises for one
that ``process`` made. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from dashflow.planner.core import dag
from dashflow.planner.core.agenda import Agenda
from dashflow.planner.core.events import (
    AnswerSource,
    ApprovalAwaited,
    ApprovalReceived,
    ClarificationReceived,
    ClarificationRequested,
    ContextCompacted,
    Event,
    PlanCancelled,
    PlanFailed,
    PlanningCompleted,
    PlanRejected,
    PlanRequested,
    ResultIgnored,
    TaskDispatched,
    TasksPlanned,
    TaskStatusUpdated,
)
from dashflow.planner.core.state import Compacted, PlannerState, RunStatus, TaskTime
from dashflow.planner.core.table import Table, table
from dashflow.planner.core.task import Task, TaskStatus


def fold(state: PlannerState, event: Event) -> PlannerState:
    """The state after ``event``; the one given is left as it is."""
    return _CHANGES[type(event)](state, event, {"cursor": state.cursor + 1, "updated_at": event.at})


def fold_all(events: Iterable[Event], state: PlannerState | None = None) -> PlannerState:
    """The state after all of ``events``, from ``state`` or from nothing."""
    state = PlannerState() if state is None else state
    for event in events:
        state = fold(state, event)
    return state


def _requested(state: PlannerState, event: PlanRequested, changes: dict[str, Any]) -> PlannerState:
    return replace(
        state,
        run=event.run,
        goal=event.goal,
        folder=event.folder,
        out=event.out,
        answers=event.answers,
        model=event.model,
        workers=event.workers,
        config=event.config,
        created_at=event.at,
        **changes,
    )


def _planned(state: PlannerState, event: TasksPlanned, changes: dict[str, Any]) -> PlannerState:
    tasks = Table({task.id: task for task in event.tasks})
    order = dag.dispatch_order(event.tasks)
    return replace(
        state,
        tasks=tasks,
        order=order,
        known=Agenda(tasks, order),
        planned_by=event.planner,
        notes=event.notes,
        **changes,
    )


def _rejected(state: PlannerState, event: PlanRejected, changes: dict[str, Any]) -> PlannerState:
    return replace(state, rejections=state.rejections + 1, rejected=event.problem, **changes)


def _dispatched(state: PlannerState, event: TaskDispatched, changes: dict[str, Any]) -> PlannerState:
    return replace(
        state,
        times=table(state.times).put(event.task, TaskTime(started=event.at)),
        **_with(state, event.task, status=TaskStatus.RUNNING, attempt=event.attempt),
        **changes,
    )


def _updated(state: PlannerState, event: TaskStatusUpdated, changes: dict[str, Any]) -> PlannerState:
    started = state.times.get(event.task, TaskTime()).started
    if event.status is TaskStatus.NEEDS_CLARIFICATION:
        changes["questions"] = (*state.questions, event.task)
    return replace(
        state,
        times=table(state.times).put(event.task, TaskTime(started, event.at)),
        **_with(
            state,
            event.task,
            status=event.status,
            result=event.result,
            error=event.error,
            question=event.question,
        ),
        **changes,
    )


def _asked(state: PlannerState, event: ClarificationRequested, changes: dict[str, Any]) -> PlannerState:
    return replace(state, **_with(state, event.task, question=event.question), **changes)


def _answered(state: PlannerState, event: ClarificationReceived, changes: dict[str, Any]) -> PlannerState:
    return replace(
        state,
        questions=tuple(task for task in state.questions if task != event.task),
        answers_used=state.answers_used + (event.source is AnswerSource.RECORDED),
        **_with(state, event.task, status=TaskStatus.PLANNED, question=None, answer=event.text),
        **changes,
    )


def _awaited(state: PlannerState, event: ApprovalAwaited, changes: dict[str, Any]) -> PlannerState:
    return replace(state, **_with(state, event.task, status=TaskStatus.NEEDS_APPROVAL), **changes)


def _received(state: PlannerState, event: ApprovalReceived, changes: dict[str, Any]) -> PlannerState:
    if event.outcome != "approved":
        return replace(state, **changes)  # that the task failed is told by the event that follows
    return replace(
        state,
        **_with(state, event.task, status=TaskStatus.PLANNED, approved=event.digest),
        **changes,
    )


def _ignored(state: PlannerState, event: ResultIgnored, changes: dict[str, Any]) -> PlannerState:
    return replace(state, **changes)


def _compacted(state: PlannerState, event: ContextCompacted, changes: dict[str, Any]) -> PlannerState:
    return replace(state, context=Compacted(event.summary, event.dropped), **changes)


def _completed(state: PlannerState, event: PlanningCompleted, changes: dict[str, Any]) -> PlannerState:
    return replace(state, outcome=RunStatus.COMPLETED, ended_at=event.at, **changes)


def _failed(state: PlannerState, event: PlanFailed, changes: dict[str, Any]) -> PlannerState:
    return replace(
        state,
        outcome=RunStatus.FAILED,
        error=event.error,
        error_code=event.code,
        ended_at=event.at,
        **changes,
    )


def _cancelled(state: PlannerState, event: PlanCancelled, changes: dict[str, Any]) -> PlannerState:
    return replace(
        state,
        outcome=RunStatus.CANCELLED,
        error=event.reason or None,
        error_code="CANCELLED",
        questions=(),
        ended_at=event.at,
        **changes,
    )


def _with(state: PlannerState, name: str, **fields: Any) -> dict[str, Any]:
    """What changes with a task: itself, and what could be done next."""
    before = state.tasks[name]
    task: Task = replace(before, **fields)
    changed: dict[str, Any] = {"tasks": table(state.tasks).put(name, task)}
    if state.known is not None and task.status is not before.status:
        changed["known"] = state.known.moved(name, before.status, task.status)
    return changed


_CHANGES: dict[type, Callable[[PlannerState, Any, dict[str, Any]], PlannerState]] = {
    PlanRequested: _requested,
    TasksPlanned: _planned,
    PlanRejected: _rejected,
    TaskDispatched: _dispatched,
    TaskStatusUpdated: _updated,
    ResultIgnored: _ignored,
    ClarificationRequested: _asked,
    ClarificationReceived: _answered,
    ApprovalAwaited: _awaited,
    ApprovalReceived: _received,
    ContextCompacted: _compacted,
    PlanningCompleted: _completed,
    PlanFailed: _failed,
    PlanCancelled: _cancelled,
}
