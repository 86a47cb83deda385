"""``process(state, command) -> events``: what each command leads to, as a table. Pure; changes nothing.

A command that changes nothing gives no events. A command that a caller should not have given raises a
``UsageError``. Who calls appends the events first and folds them afterwards, so a failed write leaves
no memory ahead of the log.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

from msgspec.structs import replace

from dashflow.errors import EmptyGoalError, PlanError, RunStateError, UsageError
from dashflow.hitl.core.terms import Terms
from dashflow.planner.core import context, dag
from dashflow.planner.core.approvals import approval_id, check_terms, digest
from dashflow.planner.core.commands import (
    AnswerClarification,
    Cancel,
    ClarificationProvided,
    Command,
    CompactContext,
    Continue,
    FailPlanning,
    HandleExecutorEvent,
    Initialize,
    ProposePlan,
    ReceiveApproval,
    Recover,
    TaskCompleted,
    TaskFailed,
    TaskNeedsClarification,
)
from dashflow.planner.core.events import (
    AnswerSource,
    ApprovalAwaited,
    ApprovalReceived,
    ClarificationReceived,
    ClarificationRequested,
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
from dashflow.planner.core.state import PlannerState
from dashflow.planner.core.task import Task, TaskStatus


def process(state: PlannerState, command: Command) -> list[Event]:
    """The events that ``command`` leads to in ``state``; empty when it changes nothing.

    Raises:
        EmptyGoalError: a goal without words.
        RunStateError: the run's state does not allow the command (an answer that nobody asked for).
        UsageError: a request with values that cannot be.
    """
    return _DECISIONS[type(command)](state, command)


# -- making the plan --------------------------------------------------------------------------


def _initialize(state: PlannerState, command: Initialize) -> list[Event]:
    if state.run:
        raise RunStateError(state.run, "already accepted", "give the new goal a run of its own.")
    if not any(character.isalnum() for character in command.goal):
        raise EmptyGoalError
    if command.workers < 1:
        raise UsageError(f"{command.workers} workers can do nothing. Ask for at least 1.")
    if command.config.profile not in context.PROFILES:
        raise UsageError(
            f"No profile {command.config.profile!r}. There are: {', '.join(sorted(context.PROFILES))}."
        )
    for terms in command.config.approvals.values():
        terms.check()
    return [
        PlanRequested(
            at=command.now,
            run=command.run,
            goal=command.goal,
            folder=command.folder,
            out=command.out,
            answers=command.answers,
            model=command.model,
            workers=command.workers,
            config=command.config,
        )
    ]


def _propose(state: PlannerState, command: ProposePlan) -> list[Event]:
    if _not_planning(state):
        return []
    try:
        dag.validate(command.tasks)
        check_terms(command.tasks)
    except PlanError as error:
        rejected = PlanRejected(at=command.now, code=error.code, problem=str(error))
        if state.rejections + 1 < state.config.max_rejections:
            return [rejected]
        return [rejected, PlanFailed(at=command.now, code=error.code, error=str(error))]
    wanted = state.config.approvals
    tasks = tuple(_fresh(task, task.approval or wanted.get(task.kind)) for task in command.tasks)
    return [TasksPlanned(at=command.now, tasks=tasks, planner=command.planner, notes=command.notes)]


def _fresh(task: Task, approval: Terms | None) -> Task:
    """The task as a plan has it: nothing has happened to it yet, whatever the proposal says."""
    return replace(
        task,
        status=TaskStatus.PLANNED,
        attempt=0,
        result=None,
        error=None,
        question=None,
        answer=None,
        approval=approval,
        approved="",
        dependencies=tuple(dict.fromkeys(task.dependencies)),
        optional_dependencies=tuple(
            one for one in dict.fromkeys(task.optional_dependencies) if one not in task.dependencies
        ),
    )


def _fail_planning(state: PlannerState, command: FailPlanning) -> list[Event]:
    if _not_planning(state):
        return []
    return [PlanFailed(at=command.now, code=command.code, error=command.error)]


def _not_planning(state: PlannerState) -> bool:
    return not state.run or state.finished or bool(state.tasks)


# -- running it -------------------------------------------------------------------------------


def _continue(state: PlannerState, command: Continue) -> list[Event]:
    if state.finished or not state.tasks:
        return []
    agenda = state.agenda
    running = len(agenda.running)
    held: list[Event] = [_hold(state, state.tasks[one], command.now) for one in agenda.unasked()]
    startable = islice(agenda.startable(), max(0, state.workers - running))
    dispatched: list[Event] = [_dispatch(state.tasks[one], command.now) for one in startable]
    if dispatched or held or running or state.questions or agenda.held:
        return [*held, *dispatched]
    return [_end(state, command.now)]


def _hold(state: PlannerState, task: Task, now: int) -> ApprovalAwaited:
    """Ask before it starts. At once for all that could start: people take longer than workers."""
    return ApprovalAwaited(
        at=now, task=task.id, approval=approval_id(state.run, task.id), digest=digest(state, task)
    )


def _end(state: PlannerState, now: int) -> Event:
    """The plan's end: called when nothing runs, nothing can start and nobody is asked."""
    failed = tuple(task.id for task in state.tasks.values() if task.status is TaskStatus.FAILED)
    if not failed:
        count = len(state.tasks)
        return PlanningCompleted(at=now, summary=f"{count} task{'s' * (count != 1)} completed")
    held = tuple(one for one in state.tasks if state.agenda.is_blocked(one))
    first = state.tasks[failed[0]]
    text = f"{len(failed)} of {len(state.tasks)} tasks failed ({', '.join(failed)})"
    if held:
        text += f", so {len(held)} could not start ({', '.join(held)})"
    text += f". First failure, {first.id}: {first.error or 'no reason given'}"
    return PlanFailed(at=now, code="TASKS_FAILED", error=text, failed=failed, blocked=held)


def _recover(state: PlannerState, command: Recover) -> list[Event]:
    if state.finished:
        return []
    return [_dispatch(task, command.now) for task in state.running]


def _dispatch(task: Task, now: int) -> TaskDispatched:
    return TaskDispatched(at=now, task=task.id, attempt=task.attempt + 1)


# -- what executors report --------------------------------------------------------------------


def _handle(state: PlannerState, command: HandleExecutorEvent) -> list[Event]:
    if state.finished or not state.run:
        return []
    report = command.event
    if isinstance(report, ClarificationProvided):
        return _provided(state, report, command.now)
    task = state.tasks.get(report.task)
    if task is None:
        return [_ignored(report.task, report.attempt, "no such task", command.now)]
    if task.status is not TaskStatus.RUNNING:
        return [_ignored(task.id, report.attempt, f"the task is {task.status.value}", command.now)]
    if report.attempt != task.attempt:
        return [_ignored(task.id, report.attempt, f"attempt {task.attempt} runs now", command.now)]
    return _REPORTS[type(report)](state, report, command.now)


def _task_completed(state: PlannerState, report: TaskCompleted, now: int) -> list[Event]:
    return [
        TaskStatusUpdated(
            at=now,
            task=report.task,
            attempt=report.attempt,
            status=TaskStatus.COMPLETED,
            result=report.result,
        )
    ]


def _task_failed(state: PlannerState, report: TaskFailed, now: int) -> list[Event]:
    return [
        TaskStatusUpdated(
            at=now,
            task=report.task,
            attempt=report.attempt,
            status=TaskStatus.FAILED,
            error=report.error,
        )
    ]


def _task_asks(state: PlannerState, report: TaskNeedsClarification, now: int) -> list[Event]:
    events: list[Event] = [
        TaskStatusUpdated(
            at=now,
            task=report.task,
            attempt=report.attempt,
            status=TaskStatus.NEEDS_CLARIFICATION,
            question=report.question,
        ),
        ClarificationRequested(at=now, task=report.task, question=report.question),
    ]
    if state.answers_used < len(state.answers):
        text = state.answers[state.answers_used]
        events.append(
            ClarificationReceived(at=now, task=report.task, text=text, source=AnswerSource.RECORDED)
        )
    return events


def _provided(state: PlannerState, report: ClarificationProvided, now: int) -> list[Event]:
    if report.task not in state.questions:
        attempt = state.tasks[report.task].attempt if report.task in state.tasks else 0
        return [_ignored(report.task, attempt, "an answer that was not asked for", now)]
    return [ClarificationReceived(at=now, task=report.task, text=report.text, source=AnswerSource.EXECUTOR)]


def _ignored(task: str, attempt: int, reason: str, now: int) -> ResultIgnored:
    return ResultIgnored(at=now, task=task, attempt=attempt, reason=reason)


# -- what people ask --------------------------------------------------------------------------


def _answer(state: PlannerState, command: AnswerClarification) -> list[Event]:
    if not state.questions:
        raise RunStateError(state.run, state.status.value, "it asks nothing that could be answered.")
    task = state.questions[0] if command.task is None else command.task
    if task not in state.questions:
        raise RunStateError(
            state.run,
            state.status.value,
            f"task {task!r} asks nothing; open questions: {', '.join(state.questions)}.",
        )
    return [ClarificationReceived(at=command.now, task=task, text=command.text, source=command.source)]


def _receive(state: PlannerState, command: ReceiveApproval) -> list[Event]:
    task = state.tasks.get(command.task)
    if state.finished or task is None or task.status is not TaskStatus.NEEDS_APPROVAL:
        return []  # told already, or nobody waits any more
    if command.digest != digest(state, task):
        return []  # decided on something else
    received = ApprovalReceived(
        at=command.now,
        task=task.id,
        digest=command.digest,
        outcome=command.outcome,
        by=command.by,
        reason=command.reason,
    )
    if command.outcome == "approved":
        return [received]
    who = f" by {', '.join(command.by)}" if command.by else ""
    why = f" ({command.reason})" if command.reason else ""
    failed = TaskStatusUpdated(
        at=command.now,
        task=task.id,
        attempt=task.attempt,
        status=TaskStatus.FAILED,
        error=f"Not approved: {command.outcome}{who}{why}.",
    )
    return [received, failed]


def _compact(state: PlannerState, command: CompactContext) -> list[Event]:
    if not state.run:
        return []
    return [context.compact(state, command.max_tokens, command.summary, command.now)]


def _cancel(state: PlannerState, command: Cancel) -> list[Event]:
    if state.finished:
        raise RunStateError(state.run, state.status.value, "there is nothing left to cancel.")
    if not state.run:
        return []
    return [PlanCancelled(at=command.now, reason=command.reason)]


_DECISIONS: dict[type, Callable[[PlannerState, Any], list[Event]]] = {
    Initialize: _initialize,
    ProposePlan: _propose,
    FailPlanning: _fail_planning,
    HandleExecutorEvent: _handle,
    Continue: _continue,
    Recover: _recover,
    AnswerClarification: _answer,
    ReceiveApproval: _receive,
    CompactContext: _compact,
    Cancel: _cancel,
}

_REPORTS: dict[type, Callable[[PlannerState, Any, int], list[Event]]] = {
    TaskCompleted: _task_completed,
    TaskFailed: _task_failed,
    TaskNeedsClarification: _task_asks,
}
