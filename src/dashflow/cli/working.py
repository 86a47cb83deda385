"""What ``run``, ``resume``, ``answer`` and ``cancel`` do: hand over to the planner, then tell how it went."""

from __future__ import annotations

import msgspec

from dashflow.cli.conductor import Conductor
from dashflow.cli.exits import Exit, exit_of
from dashflow.cli.interrupts import Interrupts
from dashflow.cli.logfile import find_run, opened
from dashflow.cli.options import Settings
from dashflow.cli.output import Output
from dashflow.cli.views import (
    SCHEMA,
    ProblemView,
    RunsView,
    RunView,
    command_line,
    exit_of_status,
    run_view,
)
from dashflow.errors import DashFlowError, OwnershipConflictError
from dashflow.log.base import EventLog
from dashflow.planner.core.state import PlannerState
from dashflow.planner.runs import PlanRequest, PlanRuns


def start(settings: Settings, request: PlanRequest) -> int:
    """Accept a request and work on it; the exit code."""
    output = Output(settings)
    with Interrupts() as interrupts, opened(settings, create=True) as log:
        conductor = Conductor(log, output, interrupts)
        run = conductor.runs.accept(request)
        output.say(f"Run {run} is recorded. If it is stopped: {command_line(settings, 'resume', run)}")
        return _tell(output, settings, _work(conductor, settings, log, run))


def resume_one(settings: Settings, name: str) -> int:
    """Go on with one run; the exit code. A finished run is told of again."""
    output = Output(settings)
    with Interrupts() as interrupts, opened(settings) as log:
        run = find_run(log, name, settings.shown_db)
        return _tell(output, settings, _resume(Conductor(log, output, interrupts), settings, log, run))


def resume_all(settings: Settings) -> int:
    """Go on with every run that waits for nobody; the exit code is the first that is not 0.

    A run that cannot go on does not hold up the others.
    """
    output = Output(settings)
    views: list[RunView] = []
    problems: list[ProblemView] = []
    codes: list[int] = []
    with Interrupts() as interrupts, opened(settings) as log:
        conductor = Conductor(log, output, interrupts)
        for run in conductor.runs.unfinished():
            if conductor.stopped:
                break
            try:
                output.say(f"Resuming {run}.")
                view = _work(conductor, settings, log, run)
            except OwnershipConflictError:
                output.say(f"{run} is being run by somebody else by now.")
                continue
            except DashFlowError as error:
                output.say(f"Error: {run}: {error}")
                problems.append(ProblemView(error.code, str(error)))
                codes.append(exit_of(error))
                continue
            views.append(view)
            codes.append(_code(view))
        _tell_of_waiting(output, settings, conductor.runs)
    code = Exit.INTERRUPTED if interrupts.came else next((one for one in codes if one), Exit.DONE)
    if not codes:
        output.say("Nothing to resume.")
    if codes or settings.json:
        output.show(RunsView(SCHEMA, tuple(views), tuple(problems), int(code)))
    return int(code)


def give_answer(settings: Settings, name: str, text: str, task: str | None, *, go_on: bool) -> int:
    """Record an answer, and go on with the run if that is wanted; the exit code."""
    output = Output(settings)
    with Interrupts() as interrupts, opened(settings) as log:
        run = find_run(log, name, settings.shown_db)
        if go_on:
            conductor = Conductor(log, output, interrupts)
            conductor.runs.answer(run, text, task)
            return _tell(output, settings, _work(conductor, settings, log, run))
        state = PlanRuns(log, executors=()).answer(run, text, task)
        if settings.json:
            output.show(run_view(state, settings, log.where))
        else:
            left = len(state.questions)
            more = f" It still asks {left} question{'s' * (left != 1)}." if left else ""
            output.say(f"The answer is recorded.{more} Go on with: {command_line(settings, 'resume', run)}")
    return Exit.DONE


def cancel_run(settings: Settings, name: str, reason: str) -> int:
    """End a run for good; the exit code."""
    output = Output(settings)
    with opened(settings) as log:
        state = PlanRuns(log, executors=()).cancel(find_run(log, name, settings.shown_db), reason)
        if settings.json:
            output.show(run_view(state, settings, log.where))
        else:
            output.say(f"Run {state.run} is cancelled. What it wrote so far stays in {state.out}.")
    return Exit.DONE


def _resume(conductor: Conductor, settings: Settings, log: EventLog, run: str) -> RunView:
    state = conductor.runs.state(run)
    return _view(state, settings, log) if state.finished else _work(conductor, settings, log, run)


def _work(conductor: Conductor, settings: Settings, log: EventLog, run: str) -> RunView:
    state = conductor.work(run)
    return _view(state, settings, log, interrupted=conductor.stopped and not state.finished)


def _view(state: PlannerState, settings: Settings, log: EventLog, *, interrupted: bool = False) -> RunView:
    code = Exit.INTERRUPTED if interrupted else exit_of_status(state.status)
    return run_view(state, settings, log.where, owner="", code=int(code))


def _code(view: RunView) -> int:
    return Exit.DONE if view.exit_code is msgspec.UNSET else view.exit_code


def _tell(output: Output, settings: Settings, view: RunView) -> int:
    code = _code(view)
    if code == Exit.INTERRUPTED:
        output.say(f"Stopped; nothing is lost. Go on with: {command_line(settings, 'resume', view.run)}")
    output.show(view)
    return code


def _tell_of_waiting(output: Output, settings: Settings, runs: PlanRuns) -> None:
    """Name the runs that only a person can help; they are left as they are."""
    for summary in runs.list():
        if summary.status.value == "waiting" and not summary.owner:
            output.say(f"Left waiting for an answer: {command_line(settings, 'show', summary.run)}")
