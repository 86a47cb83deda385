"""Tasks of a plan run beside each other: how many at a time, in which order, and what is told meanwhile."""

import threading

import pytest

from dashflow.hosts.simulated import SimulatedHost
from dashflow.hosts.sync import SyncHost
from dashflow.log.memory import MemoryLog
from dashflow.planner import RunStatus, Task, TaskKind
from dashflow.planner.core.events import TaskDispatched
from dashflow.planner.executors.base import Completed, NeedsClarification
from dashflow.planner.planning import Proposal
from dashflow.planner.runs import PlanRequest, PlanRuns, Progress

pytestmark = pytest.mark.feature("DAG-01")


class Scripted:
    """Plans what it was told."""

    def __init__(self, *tasks):
        self.tasks = tasks

    def plan(self, request):
        return Proposal(self.tasks, "script")


class Doing:
    """An executor of one function."""

    kinds = frozenset(TaskKind)

    def __init__(self, function):
        self.execute = function


def task(name, *needs, **params):
    return Task(name, name, TaskKind.TOOL_CALL, dependencies=needs, params=params)


def run_plan(function, *tasks, workers, host=None, watch=None, **fields):
    runs = PlanRuns(
        MemoryLog(), host=host or SyncHost(), executors=[Doing(function)], planning=Scripted(*tasks)
    )
    run = runs.accept(PlanRequest("go", workers=workers, **fields))
    return runs.run(run, watch=watch)


def test_a_hundred_tasks_run_at_the_same_time():
    everybody = threading.Barrier(100)

    def meet(execution):
        everybody.wait(timeout=60)  # breaks unless all hundred are there together
        return Completed({})

    state = run_plan(meet, *(task(f"t{n}") for n in range(100)), workers=100)
    assert state.status is RunStatus.COMPLETED


@pytest.mark.parametrize("workers", [1, 3, 8])
def test_never_more_tasks_at_a_time_than_workers(workers):
    lock = threading.Lock()
    now, most = 0, 0
    together = threading.Barrier(workers)

    def count(execution):
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        together.wait(timeout=60)
        with lock:
            now -= 1
        return Completed({})

    state = run_plan(count, *(task(f"t{n}") for n in range(workers * 6)), workers=workers)
    assert state.status is RunStatus.COMPLETED
    assert most == workers


def test_fork_and_join():
    order = []
    lock = threading.Lock()

    def note(execution):
        with lock:
            order.append(execution.task.id)
        return Completed({"saw": sorted(execution.inputs)} if execution.task.id == "join" else {})

    branches = [f"b{n}" for n in range(20)]
    state = run_plan(
        note, task("fork"), *(task(name, "fork") for name in branches), task("join", *branches), workers=8
    )
    assert order[0] == "fork"
    assert order[-1] == "join"
    assert state.tasks["join"].result == {"saw": sorted(branches)}


@pytest.mark.parametrize("seed", range(5))
def test_a_thousand_tasks_in_layers_come_to_their_end(seed):
    tasks = [
        task(f"t{layer}.{n}", *(f"t{layer - 1}.{(n * 7 + k) % 50}" for k in range(2 if layer else 0)))
        for layer in range(20)
        for n in range(50)
    ]
    state = run_plan(lambda one: Completed({}), *tasks, workers=16, host=SimulatedHost(seed=seed))
    assert state.status is RunStatus.COMPLETED
    assert all(one.attempt == 1 for one in state.tasks.values())


def test_the_critical_path_is_started_first():
    seen = []
    tasks = [task("short", seconds=1), task("start", seconds=1), task("long", "start", seconds=50)]
    run_plan(
        lambda one: Completed({}),
        *tasks,
        workers=1,
        watch=lambda event: seen.append(event.task) if isinstance(event, TaskDispatched) else None,
    )
    assert seen == ["start", "long", "short"]


def test_progress_is_told_and_not_recorded():
    seen = []

    def work(execution):
        execution.progress("half way")
        return Completed({})

    run_plan(work, task("a"), workers=1, watch=seen.append)
    assert Progress("a", 1, "half way") in seen
    names = [type(event).__name__ for event in seen]
    assert names == [
        "TasksPlanned",
        "TaskDispatched",
        "Progress",
        "TaskStatusUpdated",
        "PlanningCompleted",
    ]


def test_other_branches_go_on_while_a_person_thinks():
    done = []

    def work(execution):
        if execution.task.id == "ask" and execution.task.answer is None:
            return NeedsClarification("well?")
        done.append(execution.task.id)
        return Completed({})

    def ask(question_task, question):
        assert sorted(done) == ["a", "b", "c"], "all that can go on without the answer is done"
        return "yes"

    runs = PlanRuns(
        MemoryLog(),
        executors=[Doing(work)],
        planning=Scripted(task("ask"), task("after", "ask"), task("a"), task("b", "a"), task("c", "b")),
    )
    state = runs.run(runs.accept(PlanRequest("go", workers=2)), ask=ask)
    assert state.status is RunStatus.COMPLETED
    assert done[-1] == "after"
