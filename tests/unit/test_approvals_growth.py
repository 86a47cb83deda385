"""A gate on growth without a clock: twice as many tasks and approvals are twice the calls, not four times.

Counts are the same on every machine, however busy. Votes, timers and a person's list cost what they are
about, whatever else is in the log.
"""

import gc
import sys

import pytest

from dashflow.hitl import Approvals, Terms
from dashflow.hitl.overview import DUE, TODO
from dashflow.hosts.sync import SyncHost
from dashflow.log.memory import MemoryLog
from dashflow.planner.core.commands import (
    Continue,
    HandleExecutorEvent,
    Initialize,
    ProposePlan,
    ReceiveApproval,
    TaskCompleted,
)
from dashflow.planner.core.events import ApprovalAwaited, TaskDispatched
from dashflow.planner.core.fold import fold_all
from dashflow.planner.core.process import process
from dashflow.planner.core.state import PlannerState
from dashflow.planner.core.task import Task, TaskKind
from dashflow.planner.overview import PlanOverview
from dashflow.planner.runs import PlanRequest, PlanRuns

pytestmark = pytest.mark.feature("HIL-005")

LINEAR = 2.3
"""How many times more calls twice the size may need; the log's own logarithms are in it."""

TERMS = Terms(("ann", "bob"), quorum=2, expires_after=3600, remind_every=600)


def calls(work):
    """How many Python and C functions ``work`` calls on this thread."""
    count = 0

    def tally(frame, event, argument):
        nonlocal count
        if event in ("call", "c_call"):
            count += 1

    before = sys.getprofile()
    gc.collect()
    gc.disable()
    sys.setprofile(tally)
    try:
        work()
    finally:
        sys.setprofile(before)
        gc.enable()
    return count


def growth(work, size):
    """How many times more calls ``work`` makes for twice the size."""
    work(4)  # what is imported or made once
    return calls(lambda: work(2 * size)) / calls(lambda: work(size))


def worked_off(size):
    """A plan of so many tasks, a third of which have to be approved; its events."""
    state, events = PlannerState(), []

    def do(command):
        nonlocal state
        new = process(state, command)
        state = fold_all(new, state)
        events.extend(new)
        return new

    tasks = [
        Task(f"t{n}", "do it", TaskKind.ANALYSIS, dependencies=(f"t{n - 9}",) if n >= 9 else (),
             approval=TERMS if n % 3 == 0 else None)
        for n in range(size)
    ]  # fmt: skip
    do(Initialize(now=0, run="r", goal="x", workers=8))
    do(ProposePlan(now=0, tasks=tuple(tasks)))
    waiting = do(Continue(now=0))
    while waiting:
        event = waiting.pop()
        if isinstance(event, ApprovalAwaited):
            do(ReceiveApproval(now=0, task=event.task, digest=event.digest, outcome="approved"))
        elif isinstance(event, TaskDispatched):
            report = TaskCompleted(event.task, event.attempt, {"n": 1})
            do(HandleExecutorEvent(now=0, event=report))
        waiting += do(Continue(now=0))
    assert state.finished
    return events


def test_a_plan_is_worked_off_in_the_time_of_its_events():
    assert growth(worked_off, 300) <= LINEAR


def test_a_plan_is_folded_in_the_time_of_its_events():
    histories = {size: worked_off(size) for size in (4, 300, 600)}
    assert growth(lambda size: fold_all(histories[size]), 300) <= LINEAR


def test_a_plan_whose_tasks_are_all_ready_at_once_is_too():
    def work(size):
        state = PlannerState()
        tasks = tuple(Task(f"t{n}", "do it", TaskKind.ANALYSIS) for n in range(size))
        for command in (Initialize(now=0, run="r", goal="x"), ProposePlan(now=0, tasks=tasks)):
            state = fold_all(process(state, command), state)
        while True:
            state = fold_all(process(state, Continue(now=0)), state)
            if state.finished:
                return
            for one in state.running:
                event = TaskCompleted(one.id, one.attempt, {})
                state = fold_all(process(state, HandleExecutorEvent(now=0, event=event)), state)

    assert growth(work, 300) <= LINEAR


def test_a_list_of_plans_is_made_in_the_time_of_their_events():
    from dashflow.log.projections import Projector
    from dashflow.planner.core import codec

    def filled(size):
        log = MemoryLog()
        runs = PlanRuns(log, executors=())
        runs.accept(PlanRequest("work"), run="r")
        news = [
            codec.encode(event, event_id=number.to_bytes(16, "big"), correlation_id="r")
            for number, event in enumerate(worked_off(size)[1:], 1)
        ]
        from dashflow.log.base import Append

        log.append(Append("plan-r", news))
        return log

    logs = {size: filled(size) for size in (4, 300, 600)}
    assert growth(lambda size: Projector(logs[size], PlanOverview()).rebuild(), 300) <= LINEAR


def asked(size):
    """A log in which so many approvals wait for bob, and five for ann."""
    approvals = Approvals(MemoryLog(), host=SyncHost())
    for number in range(size):
        approvals.ask("pay", {"n": number}, Terms(("bob",), expires_after=3600), approval=f"b{number}")
    for number in range(5):
        approvals.ask("pay", {"n": number}, TERMS, approval=f"a{number}")
    return approvals


def test_asking_and_listing_take_the_time_of_what_is_asked():
    assert growth(lambda size: asked(size).list(), 100) <= LINEAR


def test_what_concerns_one_person_or_one_approval_costs_the_same_in_any_company():
    def costs(size):
        approvals = asked(size)
        approvals.overview.catch_up()
        seen = approvals.get("a0").hash

        def decide():
            for person in ("ann", "bob"):
                approvals.vote("a0", person, "approve", seen=seen)

        return (
            calls(lambda: approvals.waiting("ann")),
            calls(decide),
            calls(approvals.overview.catch_up),
            calls(lambda: approvals.overview.items(DUE, limit=10)),
            calls(lambda: approvals.overview.items(TODO)),
        )

    costs(4)
    assert costs(400) == costs(200)
