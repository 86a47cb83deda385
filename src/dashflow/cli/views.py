"""What commands have to say, as plain frozen data: the one description behind JSON and people's output.

Knows the planner's state; knows nothing of terminals. The field names are the ``--json`` interface:
they are added to, never renamed. Times are ISO 8601 in UTC, durations are seconds.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from datetime import UTC, datetime
from math import isfinite
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from dashflow.cli.exits import Exit
from dashflow.cli.options import DEFAULT_DB, Settings
from dashflow.planner.core.approvals import approval_id
from dashflow.planner.core.state import PlannerState, RunStatus, TaskCondition, TaskTime
from dashflow.planner.core.task import Task
from dashflow.types.breakpoints import Breakpoint

SCHEMA = 1
"""Number of the JSON layout; grows only when a field's meaning has to change."""

STOPPED = "stopped"
"""Shown for a run that could go on, and for its tasks that were running, when nobody runs it now."""


class TaskView(msgspec.Struct, frozen=True):
    """One task of a plan; ``after`` and ``after_optional`` are the ids it waits for."""

    id: str
    description: str
    kind: str
    state: str
    seconds: float | None
    attempt: int
    after: tuple[str, ...]
    after_optional: tuple[str, ...]
    question: str | None
    answer: str | None
    error: str | None


class HeldView(msgspec.Struct, frozen=True):
    """A task that somebody has to approve before it starts, and the command that shows what."""

    task: str
    approval: str
    show_with: str


class QuestionView(msgspec.Struct, frozen=True):
    """An open question and the line to type to answer it."""

    task: str
    text: str
    answer_with: str


class ReportView(msgspec.Struct, frozen=True):
    """The files of a report; None where there is none yet."""

    markdown: str | None
    json: str | None


class ProblemView(msgspec.Struct, frozen=True):
    """An error by its stable code, and what it says."""

    code: str
    message: str


class RunView(msgspec.Struct, frozen=True):
    """A run as ``run``, ``resume``, ``answer``, ``cancel`` and ``show`` tell of it.

    ``findings`` counts those of ``report.json`` by kind; None without a report. ``exit_code`` is there
    when the command worked on the run. ``next`` holds commands to try.
    """

    schema: int
    run: str
    status: str
    goal: str
    folder: str | None
    out: str
    log: str
    model: str | None
    workers: int
    planned_by: str
    notes: tuple[str, ...]
    created_at: str
    ended_at: str | None
    seconds: float | None
    tasks: tuple[TaskView, ...]
    questions: tuple[QuestionView, ...]
    approvals: tuple[HeldView, ...]
    findings: dict[str, int] | None
    report: ReportView
    error: ProblemView | None
    next: tuple[str, ...]
    exit_code: int | UnsetType = UNSET


class RunsView(msgspec.Struct, frozen=True):
    """Several runs that were worked on by one command."""

    schema: int
    runs: tuple[RunView, ...]
    errors: tuple[ProblemView, ...]
    exit_code: int


class RunRow(msgspec.Struct, frozen=True):
    """A line of ``runs``; ``owner`` is empty when nobody alive runs it.

    ``kind`` is ``plan`` or ``graph``. A graph's thread has no goal, and how many tasks are to come nobody
    knows: ``tasks_total`` counts those that were begun. ``steps`` counts its supersteps; 0 for a plan.
    """

    run: str
    status: str
    goal: str
    tasks_done: int
    tasks_total: int
    created_at: str
    updated_at: str
    owner: str
    kind: str = "plan"
    steps: int = 0
    tasks_failed: int = 0
    tasks_waiting: int = 0
    error: str = ""


class RunList(msgspec.Struct, frozen=True):
    """The runs of a log, the one accepted last in front."""

    schema: int
    log: str
    runs: tuple[RunRow, ...]


class EventView(msgspec.Struct, frozen=True):
    """An event of the log: its envelope, and its payload as plain data."""

    position: int
    stream: str
    version: int
    type: str
    schema: int
    at: str
    event_id: str
    correlation_id: str
    causation_id: str
    epoch: int
    fingerprint: str
    data: dict[str, Any]


class StateView(msgspec.Struct, frozen=True):
    """The folded state of a plan or a graph thread after ``version`` events."""

    schema: int
    thread: str
    kind: str
    version: int
    state: Any


class WorkView(msgspec.Struct, frozen=True):
    """What a worker did or came upon; fields as in ``dashflow.worker.Report``."""

    what: str
    kind: str
    name: str
    run: str
    graph: str
    attempt: int
    text: str


class DeadLetterRow(msgspec.Struct, frozen=True):
    """A run that is not tried any more."""

    thread: str
    run: str
    graph: str
    attempts: int
    reason: str
    at: str


class DeadLetterList(msgspec.Struct, frozen=True):
    """The dead letters of a log, the oldest in front; ``next`` is a command to give the first a new try."""

    schema: int
    log: str
    dead_letters: tuple[DeadLetterRow, ...]
    next: str


class RetainedThread(msgspec.Struct, frozen=True):
    """A graph's thread, how many of its checkpoints were dropped, and whether a run kept it from that."""

    thread: str
    checkpoints: int
    running: bool


class Retained(msgspec.Struct, frozen=True):
    """What became of threads that were pruned or deleted: ``did`` says what."""

    schema: int
    did: str
    threads: tuple[RetainedThread, ...]


class BreakpointList(msgspec.Struct, frozen=True):
    """The breakpoints that were set on a graph's thread."""

    schema: int
    thread: str
    breakpoints: tuple[Breakpoint, ...]


class CancelView(msgspec.Struct, frozen=True):
    """How the run of a graph's thread stands that was to be cancelled; see ``Cancellation``."""

    schema: int
    thread: str
    run: str
    status: str
    reason: str = ""


class BudgetView(msgspec.Struct, frozen=True):
    """The limits of a thread's last run, what it has used, and the limit that it waits for ("": none)."""

    schema: int
    thread: str
    limits: dict[str, float]
    spent: dict[str, float]
    waits_for: str = ""


def timestamp(nanoseconds: int) -> str:
    """Nanoseconds since the Unix epoch as ISO 8601 in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(nanoseconds // 1_000_000 / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def seconds_between(started: int, ended: int) -> float | None:
    """Seconds between two times in nanoseconds; None when one of them is not known."""
    return round((ended - started) / 1e9, 3) if started and ended else None


def plain_data(value: Any, shown: Callable[[Any], Any] = repr) -> Any:
    """The value as data that JSON can hold: keys are text, and floats it has no word for are text too.

    Args:
        value: Plain data, structs and what they contain.
        shown: What stands for any other object.
    """
    return _json_ready(msgspec.to_builtins(value, enc_hook=shown))


def _json_ready(value: Any) -> Any:
    if isinstance(value, dict):
        return {one if isinstance(one, str) else repr(one): _json_ready(of) for one, of in value.items()}
    if isinstance(value, list | tuple):
        return [_json_ready(one) for one in value]
    return repr(value) if isinstance(value, float) and not isfinite(value) else value


def command_line(settings: Settings, *words: str) -> str:
    """A ``dashflow`` command to type, with ``--db`` where this call needed it."""
    database = [] if settings.db == DEFAULT_DB else ["--db", settings.shown_db]
    return shlex.join(["dashflow", *words, *database])


def exit_of_status(status: RunStatus) -> Exit:
    """The exit code of a command that worked on a run until it had this status."""
    if status is RunStatus.COMPLETED:
        return Exit.DONE
    if status is RunStatus.WAITING:
        return Exit.WAITING
    if status in (RunStatus.FAILED, RunStatus.CANCELLED):
        return Exit.FAILED
    return Exit.INTERRUPTED


def run_view(
    state: PlannerState,
    settings: Settings,
    log: str,
    *,
    owner: str | None = None,
    code: int | UnsetType = UNSET,
) -> RunView:
    """Describe a run from its folded state and from the report on disk.

    Args:
        state: The run's state.
        settings: For the commands that are suggested.
        log: Where the log is.
        owner: Who runs it, empty for nobody; None when it is this process or does not matter.
        code: The exit code that this command will end with.
    """
    error = state.error and ProblemView(state.error_code or "PLAN", state.error)
    return RunView(
        schema=SCHEMA,
        run=state.run,
        status=shown_status(state.status, owner),
        goal=state.goal,
        folder=state.folder,
        out=state.out,
        log=log,
        model=state.model,
        workers=state.workers,
        planned_by=state.planned_by,
        notes=state.notes,
        created_at=timestamp(state.created_at),
        ended_at=timestamp(state.ended_at) if state.ended_at else None,
        seconds=seconds_between(state.created_at, state.ended_at),
        tasks=tuple(_task_view(state, task, owner) for task in state.tasks.values()),
        questions=tuple(_question(state, one, settings) for one in state.questions),
        approvals=tuple(_held(state, task, settings) for task in state.held),
        findings=_findings(state),
        report=_report(state),
        error=error or None,
        next=_next(state, settings),
        exit_code=code,
    )


def shown_status(status: RunStatus, owner: str | None) -> str:
    """The status for people: a run that could go on and that nobody runs is ``stopped``."""
    if owner == "" and status in (RunStatus.PLANNING, RunStatus.RUNNING):
        return STOPPED
    return status.value


def task_state(state: PlannerState, task: str, *, running: bool) -> str:
    """A task's state for people; ``running`` says whether anybody works on the run."""
    condition = state.condition(task)
    return STOPPED if condition is TaskCondition.RUNNING and not running else condition.value


def _task_view(state: PlannerState, task: Task, owner: str | None) -> TaskView:
    time = state.times.get(task.id, TaskTime())
    return TaskView(
        id=task.id,
        description=task.description,
        kind=task.kind.value,
        state=task_state(state, task.id, running=owner != ""),
        seconds=seconds_between(time.started, time.ended),
        attempt=task.attempt,
        after=task.dependencies,
        after_optional=task.optional_dependencies,
        question=task.question,
        answer=task.answer,
        error=task.error,
    )


def _question(state: PlannerState, task: str, settings: Settings) -> QuestionView:
    which = ("--task", task) if len(state.questions) > 1 else ()
    line = command_line(settings, "answer", state.run, "TEXT", *which, "--resume")
    return QuestionView(task, state.tasks[task].question or "", line)


def _held(state: PlannerState, task: Task, settings: Settings) -> HeldView:
    approval = approval_id(state.run, task.id)
    return HeldView(task.id, approval, command_line(settings, "approvals", "show", approval))


def _report(state: PlannerState) -> ReportView:
    """The report's files that exist; a run writes there only what belongs to it."""
    found = {}
    for name in ("report.md", "report.json"):
        path = Path(state.out, name) if state.out else None
        found[name] = str(path) if path is not None and path.is_file() else None
    return ReportView(found["report.md"], found["report.json"])


def _findings(state: PlannerState) -> dict[str, int] | None:
    """How many findings of each kind the report holds, most frequent first."""
    path = _report(state).json
    if path is None:
        return None
    try:
        report = json.loads(Path(path).read_bytes())
        kinds = [str(finding["kind"]) for finding in report["findings"]]
        if report["run"] != state.run:
            return None  # another run was told to write to the same folder
    except (OSError, ValueError, LookupError, TypeError):
        return None  # edited or removed by somebody meanwhile; the run itself does not depend on it
    counts = {kind: kinds.count(kind) for kind in sorted(set(kinds))}
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def _next(state: PlannerState, settings: Settings) -> tuple[str, ...]:
    """Commands that make sense now, the most useful in front."""
    show = command_line(settings, "show", state.run)
    if state.status is RunStatus.WAITING and not state.questions:
        lines = [_held(state, state.held[0], settings).show_with, show]
    elif state.status is RunStatus.WAITING:
        lines = [_question(state, state.questions[0], settings).answer_with, show]
    elif not state.finished:
        lines = [command_line(settings, "resume", state.run), show]
    else:
        lines = [show, command_line(settings, "events", state.run)]
    return tuple(lines)
