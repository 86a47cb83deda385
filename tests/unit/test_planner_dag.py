"""The plan as a graph: cycles with names, critical path, priorities, and how long a plan takes."""

import heapq

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashflow.errors import PlanCycleError, PlanError, UnknownDependencyError
from dashflow.planner import PlannerState, Task, TaskKind
from dashflow.planner.core import dag
from dashflow.planner.core.commands import (
    Continue,
    HandleExecutorEvent,
    Initialize,
    ProposePlan,
    TaskCompleted,
)
from dashflow.planner.core.events import TaskDispatched
from dashflow.planner.core.fold import fold_all
from dashflow.planner.core.process import process

pytestmark = pytest.mark.feature("DAG-01")


def task(name, *needs, optional=(), **params):
    return Task(
        id=name,
        description=name,
        kind=TaskKind.TOOL_CALL,
        dependencies=needs,
        optional_dependencies=tuple(optional),
        params=params,
    )


edges = st.dictionaries(
    st.sampled_from("abcdefg"), st.lists(st.sampled_from("abcdefg"), max_size=3), max_size=7
)


@given(edges)
def test_a_cycle_that_is_found_is_one(graph):
    cycle = dag.find_cycle(graph)
    if cycle is None:
        # No cycle: taking away what waits for nothing takes everything away.
        left = {node: set(waits) for node, waits in graph.items()}
        while left:
            free = [node for node, waits in left.items() if not waits & left.keys()]
            assert free
            for node in free:
                del left[node]
    else:
        for one, following in zip(cycle, [*cycle[1:], cycle[0]], strict=True):
            assert following in graph[one]
        assert len(set(cycle)) == len(cycle)


def test_a_long_chain_is_no_recursion():
    tasks = [task("t0"), *(task(f"t{n}", f"t{n - 1}") for n in range(1, 5000))]
    dag.validate(tasks)
    assert dag.longest_paths(tasks)["t0"] == 5000
    looped = [task("t0", "t4999"), *tasks[1:]]
    with pytest.raises(PlanCycleError) as caught:
        dag.validate(looped)
    assert len(caught.value.data["cycle"]) == 5000


def test_errors_say_which_tasks():
    with pytest.raises(UnknownDependencyError, match="'b' depends on 'nobody'"):
        dag.validate([task("a"), task("b", "nobody")])
    with pytest.raises(PlanCycleError, match="a -> c -> b -> a"):
        dag.validate([task("a", "c"), task("b", "a"), task("c", optional=["b"])])
    with pytest.raises(PlanError, match="'a'"):
        dag.validate([task("a"), task("a")])


def test_critical_path_is_the_longest_chain():
    tasks = [
        task("a", seconds=3),
        task("b", seconds=5),
        task("c", "a", "b", seconds=1),
        task("d", "a", seconds=4),
        task("e", "c", optional=["d"], seconds=1),
    ]
    assert dag.critical_path(tasks) == ["a", "d", "e"]
    assert dag.longest_paths(tasks) == {"a": 8, "b": 7, "c": 2, "d": 5, "e": 1}
    assert dag.dispatch_order(tasks) == ("a", "b", "d", "c", "e")


@pytest.mark.parametrize("odd", [None, "soon", True, -1, float("nan"), [1]])
def test_odd_estimates_count_as_one_second(odd):
    assert dag.expected_seconds(task("a", seconds=odd)) == 1


def test_priority_is_inherited_by_what_is_waited_for():
    tasks = [task("a"), task("b", "a"), task("c", "b", priority=7), task("d", priority=3)]
    assert dag.inherited_priorities(tasks) == {"a": 7, "b": 7, "c": 7, "d": 3}
    assert dag.dispatch_order(tasks)[:2] == ("a", "b")


@st.composite
def timed_plans(draw):
    size = draw(st.integers(1, 14))
    tasks = []
    for number in range(size):
        earlier = [f"t{other}" for other in range(number)]
        needs = draw(st.lists(st.sampled_from(earlier), max_size=3, unique=True)) if earlier else []
        tasks.append(task(f"t{number}", *needs, seconds=draw(st.integers(1, 20))))
    return tasks


def makespan(tasks, workers):
    """Seconds until the plan is done when every task takes as long as estimated."""
    state = fold_all(process(PlannerState(), Initialize(now=0, run="r", goal="x", workers=workers)))
    state = fold_all(process(state, ProposePlan(now=0, tasks=tuple(tasks))), state)
    clock, running = 0, []
    while True:
        events = process(state, Continue(now=clock))
        state = fold_all(events, state)
        for event in events:
            if isinstance(event, TaskDispatched):
                seconds = state.tasks[event.task].params["seconds"]
                heapq.heappush(running, (clock + seconds, event.task, event.attempt))
        if not running:
            assert state.finished
            return clock
        clock, name, attempt = heapq.heappop(running)
        report = HandleExecutorEvent(now=clock, event=TaskCompleted(name, attempt, {}))
        state = fold_all(process(state, report), state)


@given(timed_plans())
def test_with_a_worker_for_every_task_a_plan_takes_as_long_as_its_critical_path(tasks):
    seconds = {one.id: one.params["seconds"] for one in tasks}
    assert makespan(tasks, len(tasks)) == sum(seconds[name] for name in dag.critical_path(tasks))


@given(timed_plans(), st.integers(1, 5))
def test_with_few_workers_no_worker_idles_while_a_task_is_ready(tasks, workers):
    # Graham's bound holds for every schedule that never lets a worker idle without need.
    longest = max(dag.longest_paths(tasks).values())
    total = sum(one.params["seconds"] for one in tasks)
    taken = makespan(tasks, workers)
    assert max(longest, total / workers) <= taken <= total / workers + longest * (1 - 1 / workers) + 1e-9


def test_independent_tasks_in_the_best_order():
    tasks = [task(name, seconds=size) for name, size in zip("abcdef", (1, 1, 1, 3, 3, 6), strict=True)]
    assert makespan(tasks, 2) == 8  # 15 seconds of work: 8 is the optimum
    assert makespan(tasks, 3) == 6
