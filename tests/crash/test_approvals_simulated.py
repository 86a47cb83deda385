"""A plan that needs approvals dies at every moment it can: nothing is asked twice, no decision is lost."""

from contextlib import suppress

import pytest

from dashflow.hitl import Approvals, Terms
from dashflow.hosts.simulated import SimulatedCrash, SimulatedHost
from dashflow.log.memory import MemoryLog
from dashflow.planner import RunStatus, Task, TaskKind, TaskStatus
from dashflow.planner.core import codec
from dashflow.planner.core.events import ApprovalAwaited, ApprovalReceived, TaskStatusUpdated
from dashflow.planner.executors.base import Completed
from dashflow.planner.planning import Proposal
from dashflow.planner.runs import PlanRequest, PlanRuns

pytestmark = pytest.mark.feature("HIL-005", "NEW-09")

TERMS = Terms(("ann",), expires_after=10**9)
START = 1_700_000_000_000_000_000


class Office:
    """Plans, works, and keeps what it did."""

    kinds = frozenset(TaskKind)

    def __init__(self):
        self.executed = []

    def plan(self, request):
        return Proposal(
            (
                self._task("look"),
                self._task("pay", "look", approval=TERMS),
                self._task("beside"),
                self._task("risky", approval=TERMS),
                self._task("last", "pay", after="risky"),
            ),
            "office",
        )

    def _task(self, name, needs="", after="", approval=None):
        return Task(
            name,
            name,
            TaskKind.TOOL_CALL,
            dependencies=tuple(needs.split()),
            optional_dependencies=tuple(after.split()),
            approval=approval,
        )

    def execute(self, execution):
        self.executed.append((execution.task.id, execution.task.attempt))
        return Completed({"found": execution.task.id})


class Life:
    """One process after another on one log; each may die at a port call."""

    def __init__(self, seed):
        self.seed = seed
        self.log = MemoryLog()
        self.office = Office()
        self.lives = 0
        self.run = ""

    def host(self, **crash):
        self.lives += 1
        return SimulatedHost(self.seed + 1000 * self.lives, start=START + self.lives * 10**12, **crash)

    def runs(self, host):
        return PlanRuns(self.log, host=host, executors=[self.office], planning=self.office)

    def live(self, **crash):
        """Run as far as it goes; the host, which knows whether it died."""
        host = self.host(**crash)
        runs = self.runs(host)
        with suppress(SimulatedCrash):
            if not self.run:
                self.run = runs.accept(PlanRequest("work", workers=2), run="r")
            runs.run(self.run)
        if host.crashed:
            self.log.abandon()
            self.log = MemoryLog(self.log.store)
        return host

    def decide(self):
        """Ann looks at what waits for her, in a process that lives, and answers, twice each time."""
        approvals = Approvals(self.log, host=self.host())
        for one in approvals.waiting("ann"):
            verdict = "reject" if one.subject.startswith("risky") else "approve"
            for _ in range(2):
                approvals.vote(one.approval, "ann", verdict, seen=one.hash, answer=f"{one.approval}/ann")

    def finish(self):
        """Lives that do not die, until the plan's end."""
        for _ in range(6):
            self.live()
            if not self.run or self.runs(self.host()).state(self.run).finished:
                return
            self.decide()

    def check(self):
        state = self.runs(self.host()).state(self.run)
        assert state.status is RunStatus.FAILED  # one task was rejected
        assert {one.id: one.status for one in state.tasks.values()} == {
            "look": TaskStatus.COMPLETED,
            "pay": TaskStatus.COMPLETED,
            "beside": TaskStatus.COMPLETED,
            "risky": TaskStatus.FAILED,
            "last": TaskStatus.COMPLETED,
        }
        events = [codec.decode(record) for record in self.log.read(codec.stream_of(self.run))]
        for kind in (ApprovalAwaited, ApprovalReceived):
            assert sorted(event.task for event in events if isinstance(event, kind)) == ["pay", "risky"]
        done = [one.task for one in events if isinstance(one, TaskStatusUpdated) and one.result is not None]
        assert len(done) == len({*done})
        assert len(self.office.executed) == len({*self.office.executed})
        assert "risky" not in [name for name, _ in self.office.executed]
        approvals = Approvals(self.log, host=self.host())
        for name in ("r.pay", "r.risky"):
            kinds = [type(event).__name__ for _, event in approvals.history(name)]
            taken = ["DecisionTaken"] if approvals.get(name).taken else []
            assert kinds == ["ApprovalRequested", "VoteCast", "ApprovalDecided", *taken]


def calm(seed):
    """How many port calls each life makes when nobody dies."""
    life = Life(seed)
    counts = []
    for _ in range(2):
        counts.append(life.live().calls)
        life.decide()
    life.finish()
    life.check()
    return counts


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "after the call"])
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.guarantee("approvals-asked-once")
def test_a_crash_at_every_port_call(seed, after, soak):
    for schedule in range(seed, seed + (200 if soak else 2), 2):
        asking, going_on = calm(schedule)
        for crash_at in range(1, asking + 1):  # before anybody has answered
            life = Life(schedule)
            assert life.live(crash_at=crash_at, crash_after=after).crashed
            life.finish()
            life.check()
        for crash_at in range(1, going_on + 1):  # between decision and resume
            life = Life(schedule)
            life.live()
            life.decide()
            assert life.live(crash_at=crash_at, crash_after=after).crashed
            life.finish()
            life.check()


def test_crash_after_crash_still_comes_to_the_end():
    for step in range(3, 12):
        life = Life(step)
        for _ in range(6):
            life.live(crash_at=step * 3)
            if life.run:
                life.decide()
        life.finish()
        life.check()
