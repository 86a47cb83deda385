"""Plans whose tasks have to be approved: others go on, decisions come from any process, results stay."""

import threading

import pytest

from dashflow.hitl import Approvals, Terms
from dashflow.hosts.simulated import SimulatedHost
from dashflow.hosts.sync import SyncHost
from dashflow.log.memory import MemoryLog
from dashflow.log.open import open_log
from dashflow.planner import RunStatus, Task, TaskKind, TaskStatus
from dashflow.planner.core.events import PlannerConfig
from dashflow.planner.executors.base import Completed, Failed
from dashflow.planner.planning import Proposal
from dashflow.planner.runs import PlanRequest, PlanRuns
from dashflow.worker import Report, Worker

pytestmark = pytest.mark.feature("HIL-005", "NEW-09")

ANN = Terms(("ann",))


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def log(request, tmp_path):
    if request.param == "memory":
        opened = MemoryLog()
    else:
        where = tmp_path / "log.db" if request.param == "sqlite" else request.getfixturevalue("postgres").log
        opened = open_log(str(where))
    yield opened
    opened.close()


@pytest.fixture(params=["threads", "simulated"])
def host(request):
    return SyncHost() if request.param == "threads" else SimulatedHost(seed=7)


class Office:
    """Plans what it was told, and does it with functions by task id; keeps what it did."""

    kinds = frozenset(TaskKind)

    def __init__(self, *tasks, **functions):
        self.tasks = tasks
        self.functions = functions
        self.done = []

    def plan(self, request):
        return Proposal(self.tasks, "office")

    def execute(self, execution):
        self.done.append(execution.task.id)
        function = self.functions.get(execution.task.id)
        return function(execution) if function else Completed({"by": execution.task.id})


def task(name, needs="", approval=None, kind=TaskKind.TOOL_CALL):
    return Task(name, f"do {name}", kind, dependencies=tuple(needs.split()), approval=approval)


def begin(log, host, office, **request):
    runs = PlanRuns(log, host=host, executors=[office], planning=office)
    run = runs.accept(PlanRequest("work", **request))
    return runs, run


def decide(log, approval, verdict="approve", by="ann"):
    approvals = Approvals(log)
    return approvals.vote(approval, by, verdict, seen=approvals.get(approval).hash)


def standing(state):
    return {name: state.condition(name).value for name in state.tasks}


def test_what_needs_no_approval_goes_on_and_the_rest_after_it(log, host):
    office = Office(task("a"), task("b", "a", ANN), task("c", "b"), task("d", "a"))
    runs, run = begin(log, host, office)
    state = runs.run(run)
    assert state.status is RunStatus.WAITING
    assert standing(state) == {"a": "completed", "b": "needs_approval", "c": "planned", "d": "completed"}
    assert sorted(office.done) == ["a", "d"]
    [waiting] = Approvals(log).waiting("ann")
    assert (waiting.subject, waiting.origin.kind, waiting.origin.name) == ("b: do b", "plan", run)
    payload = Approvals(log).get(f"{run}.b").payload
    assert (payload["task"], payload["description"], [*payload["inputs"]]) == ("b", "do b", ["a"])
    assert runs.run(run).status is RunStatus.WAITING  # nothing is asked twice
    assert len(Approvals(log).history(f"{run}.b")) == 1
    decide(log, f"{run}.b")
    state = runs.run(run)
    assert state.status is RunStatus.COMPLETED
    assert sorted(office.done) == ["a", "b", "c", "d"]
    assert Approvals(log).get(f"{run}.b").taken
    assert runs.list()[0].tasks_done == 4


def test_what_is_rejected_fails_and_partial_results_stay(log, host):
    office = Office(task("a"), task("b", approval=ANN), task("c", "b"))
    runs, run = begin(log, host, office)
    runs.run(run)
    assert runs.list()[0].tasks_waiting == 1
    decide(log, f"{run}.b", "reject")
    state = runs.run(run)
    assert state.status is RunStatus.FAILED
    assert standing(state) == {"a": "completed", "b": "failed", "c": "blocked"}
    assert state.tasks["a"].result == {"by": "a"}
    assert state.tasks["b"].error == "Not approved: rejected by ann (out of reach)."
    assert office.done == ["a"]


def test_a_failed_task_is_no_reason_to_forget_an_approval(log, host):
    office = Office(
        task("a"), task("b", approval=ANN), task("c", "a"), task("d", "b"), a=lambda execution: Failed("no")
    )
    runs, run = begin(log, host, office)
    assert runs.run(run).status is RunStatus.WAITING
    decide(log, f"{run}.b")
    state = runs.run(run)
    assert standing(state) == {"a": "failed", "b": "completed", "c": "blocked", "d": "completed"}


def test_a_decision_while_other_tasks_run_is_heard_of(log):
    asked, decided = threading.Event(), threading.Event()

    def slow(execution):
        asked.wait(60)
        decide(log, f"{execution.run}.b")
        decided.set()
        return Completed({})

    office = Office(task("a"), task("b", approval=ANN), task("c", "b"), a=slow)
    runs, run = begin(log, SyncHost(), office)
    seen = []

    def watch(event):
        seen.append(type(event).__name__)
        if Approvals(log).list():
            asked.set()

    thread = threading.Thread(target=lambda: runs.run(run, watch=watch))
    thread.start()
    while not Approvals(log).list():
        pass
    asked.set()
    thread.join()
    assert decided.is_set()
    assert runs.state(run).status is RunStatus.COMPLETED
    assert seen.count("ApprovalReceived") == 1


def test_kinds_of_tasks_need_approval_by_the_request(log):
    office = Office(task("a"), task("b", kind=TaskKind.REFACTOR))
    runs, run = begin(log, SyncHost(), office, config=PlannerConfig(approvals={TaskKind.REFACTOR: ANN}))
    state = runs.run(run)
    assert [one.id for one in state.held] == ["b"]
    assert runs.state(run).tasks["b"].approval == ANN


def test_a_worker_brings_the_decision_and_goes_on(tmp_path):
    """With the executors that everybody has: the demonstration plan, whose report must be approved."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "stock.py").write_text("STOCK = 3  # TODO: count\n")
    log = open_log(str(tmp_path / "log.db"))
    runs = PlanRuns(log)
    request = PlanRequest(
        "Find TODO comments and write a report.",
        folder=str(tmp_path / "shop"),
        out=str(tmp_path / "out"),
        config=PlannerConfig(approvals={TaskKind.PROCESSING: ANN}),
    )
    run = runs.accept(request)
    told: list[Report] = []

    def work():
        told.clear()
        Worker(saver=log, plans=True, tell=told.append).run(once=True)
        return [report.what for report in told]

    assert work() == ["taken over", "paused"]
    assert work() == []
    [waiting] = Approvals(log).waiting("ann")
    decide(log, waiting.approval)
    assert work() == ["taken over", "finished"]
    assert runs.state(run).status is RunStatus.COMPLETED
    assert (tmp_path / "out" / "report.md").exists()
    assert Approvals(log).get(waiting.approval).taken
    log.close()


def test_what_was_held_and_not_asked_is_asked_by_whoever_comes(log):
    """A crash right after a task was held: the next worker asks, and once."""
    office = Office(task("a", approval=ANN))
    runs, run = begin(log, SimulatedHost(seed=1), office)
    calls = 0

    class Dies(SimulatedHost):
        async def append(self, log, append):
            nonlocal calls
            if append.stream.startswith("approval-"):
                calls += 1
                raise KeyboardInterrupt
            return await super().append(log, append)

    with pytest.raises(KeyboardInterrupt):
        PlanRuns(log, host=Dies(seed=1), executors=[office], planning=office).run(run)
    assert calls == 1
    assert Approvals(log).list() == []
    told = []
    for _ in range(2):
        Worker(saver=log, plans=True, tell=told.append).run(once=True)
    assert [one.id for one in Approvals(log).list()] == [f"{run}.a"]
    assert len(Approvals(log).history(f"{run}.a")) == 1
    decide(log, f"{run}.a", "reject")
    Worker(saver=log, plans=True, tell=told.append).run(once=True)
    state = runs.state(run)
    assert (state.status, state.tasks["a"].status) == (RunStatus.FAILED, TaskStatus.FAILED)


def test_many_approvals_of_one_plan(log):
    office = Office(
        *(task(f"t{n}", approval=ANN if n % 2 else None) for n in range(60)), task("last", "t1 t2")
    )
    runs, run = begin(log, SyncHost(), office)
    state = runs.run(run)
    assert len(state.held) == 30
    waiting = Approvals(log).waiting("ann")
    assert len(waiting) == 30
    for one in waiting:
        decide(log, one.approval)
    assert runs.run(run).status is RunStatus.COMPLETED
    assert len(office.done) == len({*office.done}) == 61
