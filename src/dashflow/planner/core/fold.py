"""``fold(state, event) -> state``: what each event changes, as a table. Pure: same events, same bytes.

Trusts events (they were decided by ``process`` on the state before them) and so never raises for one
that ``process`` made. Decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from dashflow.planner.core import dag
from dashflow.planner.core.events import (
    AnswerSource,
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
    return replace(
        state,
        tasks={task.id: task for task in event.tasks},
        order=dag.dispatch_order(event.tasks),
        planned_by=event.planner,
        notes=event.notes,
        **changes,
    )


def _rejected(state: PlannerState, event: PlanRejected, changes: dict[str, Any]) -> PlannerState:
    return replace(state, rejections=state.rejections + 1, rejected=event.problem, **changes)


def _dispatched(state: PlannerState, event: TaskDispatched, changes: dict[str, Any]) -> PlannerState:
    return replace(
        state,
        tasks=_with(state, event.task, status=TaskStatus.RUNNING, attempt=event.attempt),
        times={**state.times, event.task: TaskTime(started=event.at)},
        **changes,
    )


def _updated(state: PlannerState, event: TaskStatusUpdated, changes: dict[str, Any]) -> PlannerState:
    started = state.times.get(event.task, TaskTime()).started
    if event.status is TaskStatus.NEEDS_CLARIFICATION:
        changes["questions"] = (*state.questions, event.task)
    return replace(
        state,
        tasks=_with(
            state,
            event.task,
            status=event.status,
            result=event.result,
            error=event.error,
            question=event.question,
        ),
        times={**state.times, event.task: TaskTime(started, event.at)},
        **changes,
    )


def _asked(state: PlannerState, event: ClarificationRequested, changes: dict[str, Any]) -> PlannerState:
    return replace(state, tasks=_with(state, event.task, question=event.question), **changes)


def _answered(state: PlannerState, event: ClarificationReceived, changes: dict[str, Any]) -> PlannerState:
    return replace(
        state,
        tasks=_with(state, event.task, status=TaskStatus.PLANNED, question=None, answer=event.text),
        questions=tuple(task for task in state.questions if task != event.task),
        answers_used=state.answers_used + (event.source is AnswerSource.RECORDED),
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


def _with(state: PlannerState, task: str, **fields: Any) -> dict[str, Task]:
    return {**state.tasks, task: replace(state.tasks[task], **fields)}


_CHANGES: dict[type, Callable[[PlannerState, Any, dict[str, Any]], PlannerState]] = {
    PlanRequested: _requested,
    TasksPlanned: _planned,
    PlanRejected: _rejected,
    TaskDispatched: _dispatched,
    TaskStatusUpdated: _updated,
    ResultIgnored: _ignored,
    ClarificationRequested: _asked,
    ClarificationReceived: _answered,
    ContextCompacted: _compacted,
    PlanningCompleted: _completed,
    PlanFailed: _failed,
    PlanCancelled: _cancelled,
}
