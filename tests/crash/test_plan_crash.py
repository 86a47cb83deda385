"""A plan's process dies at every moment it can: another one finishes the work and repeats none of it."""

import json
from contextlib import suppress

import pytest

from dashflow.hosts.simulated import SimulatedCrash, SimulatedHost
from dashflow.log.memory import MemoryLog
from dashflow.log.open import open_log
from dashflow.planner import RunStatus, Task, TaskKind, TaskStatus
from dashflow.planner.core import codec
from dashflow.planner.core.events import TaskStatusUpdated
from dashflow.planner.core.fold import fold_all
from dashflow.planner.executors.base import Completed, Failed, NeedsClarification
from dashflow.planner.planning import Proposal
from dashflow.planner.runs import PlanRequest, PlanRuns

pytestmark = pytest.mark.feature("PLAN-01", "DAG-01", "HIL-001")

GOAL = (
    "Audit this code: find functions longer than 60 lines and TODO or FIXME comments, run the tests, and "
    "write a report. Ask me which folders to leave out."
)


class Office:
    """The world outside: an executor whose work is counted, a planner, what the report was made of."""

    kinds = frozenset(TaskKind)

    def __init__(self, failing=()):
        self.failing = failing
        self.executed = []
        self.reports = []

    def plan(self, request):
        tasks = [
            self._task("ask", kind=TaskKind.CLARIFICATION),
            self._task("long", "ask"),
            self._task("marks", "ask"),
            self._task("tests", "ask"),
            self._task("more", "tests"),
            self._task("report", after="long marks tests more"),
        ]
        return Proposal(tuple(tasks), "office")

    def _task(self, name, needs="", after="", kind=TaskKind.ANALYSIS):
        return Task(
            name, name, kind, dependencies=tuple(needs.split()), optional_dependencies=tuple(after.split())
        )

    def execute(self, execution):
        task = execution.task
        self.executed.append((task.id, task.attempt))
        execution.progress("at work")
        if task.kind is TaskKind.CLARIFICATION:
            return Completed({"out": task.answer}) if task.answer else NeedsClarification("which folders?")
        if task.id in self.failing:
            return Failed("cannot")
        if task.id == "report":
            made_of = {name: execution.inputs[name] for name in sorted(execution.inputs)}
            statuses = {one.id: one.status for one in execution.tasks.values() if one.id != "report"}
            self.reports.append(json.dumps([made_of, statuses], sort_keys=True))
        return Completed({"found": [task.id, sorted(execution.inputs)]})

    def completions(self, log, run):
        """How often each task is recorded as completed."""
        found = {}
        for record in log.read(codec.stream_of(run)):
            event = codec.decode(record)
            if isinstance(event, TaskStatusUpdated) and event.status is TaskStatus.COMPLETED:
                found[event.task] = found.get(event.task, 0) + 1
        return found


def undisturbed(seed, failing):
    office = Office(failing)
    host = SimulatedHost(seed)
    log = MemoryLog()
    runs = PlanRuns(log, host=host, executors=[office], planning=office)
    run = runs.accept(PlanRequest(GOAL, answers=("docs",), workers=2))
    accepted = host.calls
    state = runs.run(run)
    return state, office, accepted, host.calls


def crash_and_resume(open_again, seed, failing, crash_at, after, answers):
    """One life that ends at a port call, then another that finishes; the log, and both offices."""
    log = open_again()
    dead = SimulatedHost(seed, crash_at=crash_at, crash_after=after)
    first = Office(failing)
    runs = PlanRuns(log, host=dead, executors=[first], planning=first)
    run = None
    with suppress(SimulatedCrash):
        run = runs.accept(PlanRequest(GOAL, answers=answers, workers=2))
        runs.run(run)
    assert dead.crashed
    log = open_again(log)
    if run is None:
        (run,) = [info.stream.removeprefix("plan-") for info in log.streams()] or [None]
    return log, run, first


def finish(log, run, seed, failing, answers):
    second = Office(failing)
    host = SimulatedHost(seed + 1000, start=1_800_000_000_000_000_000)
    runs = PlanRuns(log, host=host, executors=[second], planning=second)
    state = runs.run(run)
    if not answers:
        assert state.status is RunStatus.WAITING
        runs.answer(run, "docs")
        state = runs.run(run)
    return state, second


def memory_lives():
    def open_again(former=None):
        if former is None:
            return MemoryLog()
        former.abandon()
        return MemoryLog(former.store)

    return open_again


@pytest.mark.parametrize("failing", [(), ("tests",)], ids=["all well", "one fails"])
@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.guarantee("plans-resume")
def test_a_crash_at_every_port_call(seed, after, failing, soak):
    for schedule in range(seed, seed + (300 if soak else 3), 3):
        crash_everywhere(schedule, after, failing)


def crash_everywhere(seed, after, failing):
    expected, calm, accepted, calls = undisturbed(seed, failing)
    for crash_at in range(1, calls + 1):
        log, run, first = crash_and_resume(memory_lives(), seed, failing, crash_at, after, ("docs",))
        if run is None:
            assert crash_at <= accepted, "an accepted run is never lost"
            continue
        before = fold_all(codec.decode(record) for record in log.read(codec.stream_of(run)))
        state, second = finish(log, run, seed, failing, ("docs",))
        check(log, run, first, second, before, state)
        assert (state.status, state.error) == (expected.status, expected.error)
        assert made(state) == made(expected)
        assert second.reports in ([], calm.reports)
        assert (first.reports + second.reports)[-1:] == calm.reports


def check(log, run, first, second, before, state):
    """What was recorded as completed before the crash did not run again; nothing completed twice."""
    finished = {one.id for one in before.tasks.values() if one.status is TaskStatus.COMPLETED}
    assert finished.isdisjoint(name for name, _ in second.executed)
    assert all(times == 1 for times in second.completions(log, run).values())
    runs_of_attempts = first.executed + second.executed
    assert len(set(runs_of_attempts)) == len(runs_of_attempts), "no attempt is executed twice"
    assert state.finished
    assert not log.streams()[0].owner


def made(state):
    return {one.id: (one.status, one.result, one.error, one.answer) for one in state.tasks.values()}


@pytest.mark.guarantee("plans-resume")
def test_a_crash_while_a_person_is_asked():
    expected, calm, _, calls = undisturbed(4, ())
    for crash_at in range(3, calls):
        log = MemoryLog()
        office = Office()
        dead = SimulatedHost(4, crash_at=crash_at)
        runs = PlanRuns(log, host=dead, executors=[office], planning=office)
        given = []

        def ask(task, question, given=given):
            given.append(question)
            return "docs"

        run = runs.accept(PlanRequest(GOAL, workers=2))
        try:
            runs.run(run, ask=ask)
        except SimulatedCrash:
            log.abandon()
        log = MemoryLog(log.store)
        host = SimulatedHost(1004, start=1_800_000_000_000_000_000)
        second = Office()
        again = []
        runs = PlanRuns(log, host=host, executors=[second], planning=second)
        recorded = any(record.type == "ClarificationReceived" for record in log.read(codec.stream_of(run)))
        state = runs.run(run, ask=lambda task, question, again=again: again.append(question) or "docs")
        assert state.status is RunStatus.COMPLETED
        assert made(state) == made(expected)
        assert bool(again) != recorded, "a recorded answer is not asked for again, a lost one is"
        assert (office.reports + second.reports)[-1] == calm.reports[0]


def test_crash_after_crash_still_comes_to_the_end():
    expected, calm, _, _ = undisturbed(0, ())
    for step in range(2, 9):
        log = MemoryLog()
        starting = Office()
        runs = PlanRuns(log, host=SimulatedHost(99), executors=[starting], planning=starting)
        run = runs.accept(PlanRequest(GOAL, answers=("docs",), workers=2))
        lives, executed, reports = 0, [], []
        while not runs.state(run).finished:
            lives += 1
            assert lives < 200
            log.abandon()
            log = MemoryLog(log.store)
            host = SimulatedHost(
                lives, crash_at=step + lives // 4, start=1_700_000_000_000_000_000 + lives * 10**12
            )
            office = Office()
            runs = PlanRuns(log, host=host, executors=[office], planning=office)
            with suppress(SimulatedCrash):
                runs.run(run)
            executed += office.executed
            reports += office.reports
            runs = PlanRuns(log, host=SimulatedHost(5000 + lives), executors=[office], planning=office)
        state = runs.state(run)
        assert made(state) == made(expected)
        assert set(reports) == set(calm.reports)
        assert len(set(executed)) == len(executed)


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
@pytest.mark.guarantee("plans-resume")
def test_a_crash_at_every_port_call_on_a_file(after, tmp_path):
    expected, calm, accepted, calls = undisturbed(1, ())
    for crash_at in range(1, calls + 1, 2):
        path = tmp_path / f"{crash_at}.db"

        def open_again(former=None, path=path):
            if former is not None:
                former.close()
            return open_log(path)

        log, run, first = crash_and_resume(open_again, 1, (), crash_at, after, ("docs",))
        if run is None:
            assert crash_at <= accepted
        else:
            before = fold_all(codec.decode(record) for record in log.read(codec.stream_of(run)))
            state, second = finish(log, run, 1, (), ("docs",))
            check(log, run, first, second, before, state)
            assert made(state) == made(expected)
            assert (first.reports + second.reports)[-1:] == calm.reports
        log.close()
