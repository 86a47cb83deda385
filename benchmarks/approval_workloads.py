"""A plan of many tasks of which many have to be approved: worked off, listed, decided, opened again.

DashFlow only; LangGraph has nothing that does it. ``where`` is ``sqlite`` or ``postgres``.
"""

from __future__ import annotations

import time

from benchmarks.package import Library, expect
from benchmarks.workloads import Figures
from dashflow.hitl import Approvals, Terms
from dashflow.log.open import open_log
from dashflow.planner import RunStatus, Task, TaskKind
from dashflow.planner.executors.base import Completed, Execution, Outcome
from dashflow.planner.planning import PlanningRequest, Proposal
from dashflow.planner.runs import PlanRequest, PlanRuns

TERMS = Terms(("ann", "bob"), quorum=2, expires_after=86_400.0, remind_every=3_600.0)
CHAINS = 50


class Office:
    """Plans so many tasks in chains, of which the last have to be approved; their work is nothing."""

    kinds = frozenset(TaskKind)

    def __init__(self, tasks: int, approvals: int) -> None:
        self._tasks = tasks
        self._first = tasks - approvals

    def plan(self, request: PlanningRequest) -> Proposal:
        """All at once: the last ones of the plan wait for people, and depend on none of each other."""
        return Proposal(tuple(self._task(number) for number in range(self._tasks)), "benchmark")

    def _task(self, number: int) -> Task:
        held = number >= self._first
        needs = (f"t{self._first - 1 - number % CHAINS}",) if held else ()
        if not held and number >= CHAINS:
            needs = (f"t{number - CHAINS}",)
        return Task(
            f"t{number}", "work", TaskKind.TOOL_CALL, dependencies=needs, approval=TERMS if held else None
        )

    def execute(self, execution: Execution) -> Outcome:
        """Done."""
        return Completed({"n": 1})


def approvals(lib: Library, where: str, tasks: int, held: int) -> Figures:
    """Until people are asked, per task; a person's list; a vote; opening the plan in a new process."""
    address = lib.place(where).address
    log = open_log(address)
    office = Office(tasks, held)
    runs = PlanRuns(log, executors=[office], planning=office)
    run = runs.accept(PlanRequest("work"))
    start = time.perf_counter()
    state = runs.run(run)
    worked = time.perf_counter() - start
    expect((state.status, len(state.held)), (RunStatus.WAITING, held))
    desk = Approvals(log)
    expect(len(desk.waiting("ann")), held)
    start = time.perf_counter()
    waiting = desk.waiting("ann")
    listed = time.perf_counter() - start
    start = time.perf_counter()
    for one in waiting:
        for person in ("ann", "bob"):
            desk.vote(one.approval, person, "approve", seen=one.hash)
    voted = time.perf_counter() - start
    log.close()
    log = open_log(address)
    runs = PlanRuns(log, executors=[office], planning=office)
    start = time.perf_counter()
    expect(runs.state(run).status, RunStatus.WAITING)
    opened = time.perf_counter() - start
    expect(runs.run(run).status, RunStatus.COMPLETED)
    log.close()
    return {
        "task": worked / (tasks - held) * 1e6,
        "list": listed * 1e3,
        "vote": voted / (2 * held) * 1e6,
        "open": opened * 1e3,
    }


WORK = {work.__name__: work for work in (approvals,)}
