"""The plan as a directed acyclic graph: is it one, what can run, what comes first, what is blocked.

Pure functions over tasks. Both kinds of dependency are edges here; only the hard ones block.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from dashflow.errors import PlanCycleError, PlanError, UnknownDependencyError
from dashflow.planner.core.task import Task, TaskStatus

TERMINAL = frozenset({TaskStatus.COMPLETED, TaskStatus.FAILED})


def awaited(task: Task) -> Iterator[str]:
    """Ids that must come to an end before ``task`` starts, hard ones first."""
    yield from task.dependencies
    yield from task.optional_dependencies


def validate(tasks: Sequence[Task]) -> None:
    """Check that ``tasks`` can be run to an end.

    Raises:
        PlanError: no task at all, a task without an id, or two of one id.
        UnknownDependencyError: a task waits for one that is not in the plan.
        PlanCycleError: tasks wait for each other.
    """
    if not tasks:
        raise PlanError("The plan has no task. Say the goal in other words, or name what should be done.")
    by_id: dict[str, Task] = {}
    for task in tasks:
        if not task.id.strip():
            raise PlanError(f"A task of the plan has no id ({task.description!r}). Give every task one.")
        if task.id in by_id:
            raise PlanError(f"Two tasks of the plan have the id {task.id!r}. Give every task its own.")
        by_id[task.id] = task
    for task in tasks:
        for dependency in awaited(task):
            if dependency not in by_id:
                raise UnknownDependencyError(task.id, dependency)
    cycle = find_cycle({task.id: list(awaited(task)) for task in tasks})
    if cycle:
        raise PlanCycleError(cycle)


def find_cycle(edges: Mapping[str, Collection[str]]) -> list[str] | None:
    """The ids of one cycle, each waiting for the next and the last for the first; None if there is none.

    ``edges`` maps an id to what it waits for. Ids that are only waited for may be missing as keys.
    """
    done: set[str] = set()
    for start in edges:
        if start in done:
            continue
        path: list[str] = [start]
        on_path = {start: 0}
        branches = [iter(edges[start])]
        while branches:
            following = next(branches[-1], None)
            if following is None:
                branches.pop()
                finished = path.pop()
                del on_path[finished]
                done.add(finished)
            elif following in on_path:
                return path[on_path[following] :]
            elif following not in done:
                on_path[following] = len(path)
                path.append(following)
                branches.append(iter(edges.get(following, ())))
    return None


def topological(tasks: Sequence[Task]) -> list[Task]:
    """The tasks so that each comes after what it waits for; always the same order for the same plan.

    Needs a validated plan.
    """
    waiting = {task.id: len(set(awaited(task))) for task in tasks}
    by_id = {task.id: task for task in tasks}
    followers = dependants(tasks)
    order = [task for task in tasks if not waiting[task.id]]
    for task in order:  # grows while it is walked
        for follower in followers[task.id]:
            waiting[follower] -= 1
            if not waiting[follower]:
                order.append(by_id[follower])
    return order


def dependants(tasks: Sequence[Task]) -> dict[str, list[str]]:
    """For every id the ids of the tasks that wait for it, in plan order, each once."""
    found: dict[str, list[str]] = {task.id: [] for task in tasks}
    for task in tasks:
        for dependency in dict.fromkeys(awaited(task)):
            found[dependency].append(task.id)
    return found


def expected_seconds(task: Task) -> float:
    """How long the task is thought to take: ``params["seconds"]`` if that is a number, else 1."""
    return _number(task.params.get("seconds"), 1.0)


def longest_paths(tasks: Sequence[Task]) -> dict[str, float]:
    """For every id the seconds from its start to the end of the plan, were workers unlimited."""
    followers = dependants(tasks)
    length: dict[str, float] = {}
    for task in reversed(topological(tasks)):
        behind = max((length[follower] for follower in followers[task.id]), default=0.0)
        length[task.id] = expected_seconds(task) + behind
    return length


def critical_path(tasks: Sequence[Task]) -> list[str]:
    """Ids of the longest chain: no number of workers makes the plan shorter than it."""
    length = longest_paths(tasks)
    followers = dependants(tasks)
    choices = [task.id for task in tasks if not any(True for _ in awaited(task))]
    path: list[str] = []
    while choices:
        path.append(max(choices, key=length.__getitem__))
        choices = followers[path[-1]]
    return path


def inherited_priorities(tasks: Sequence[Task]) -> dict[str, float]:
    """For every id the highest ``params["priority"]`` (default 0) of itself and all that wait for it.

    An unimportant task that holds up an important one so counts as important.
    """
    followers = dependants(tasks)
    priority: dict[str, float] = {}
    for task in reversed(topological(tasks)):
        own = _number(task.params.get("priority"), 0.0)
        priority[task.id] = max([own, *(priority[follower] for follower in followers[task.id])])
    return priority


def dispatch_order(tasks: Sequence[Task]) -> tuple[str, ...]:
    """Ids in the order in which tasks that are ready get a worker.

    Higher inherited priority first, then the longer way to the plan's end (critical path first), then
    plan order. Fixed for a plan, so it is computed once.
    """
    length = longest_paths(tasks)
    priority = inherited_priorities(tasks)
    ids = [task.id for task in tasks]
    ids.sort(key=lambda one: (-priority[one], -length[one]))  # stable: plan order breaks ties
    return tuple(ids)


def blocked(tasks: Mapping[str, Task]) -> frozenset[str]:
    """Ids of tasks that can never start: a hard dependency failed or is itself blocked."""
    if not any(task.status is TaskStatus.FAILED for task in tasks.values()):
        return frozenset()
    hard: dict[str, list[str]] = {}
    for task in tasks.values():
        for dependency in task.dependencies:
            hard.setdefault(dependency, []).append(task.id)
    found: set[str] = set()
    frontier = [task.id for task in tasks.values() if task.status is TaskStatus.FAILED]
    while frontier:
        for follower in hard.get(frontier.pop(), ()):
            if follower not in found:
                found.add(follower)
                frontier.append(follower)
    return frozenset(found)


def ready(tasks: Mapping[str, Task], order: Iterable[str]) -> Iterator[str]:
    """Ids of tasks that could start now, in ``order``: planned, hard dependencies completed, optional
    ones at their end (blocked counts as that)."""
    cannot_start = blocked(tasks)
    for one in order:
        task = tasks[one]
        if (
            task.status is TaskStatus.PLANNED
            and all(tasks[other].status is TaskStatus.COMPLETED for other in task.dependencies)
            and all(
                tasks[other].status in TERMINAL or other in cannot_start
                for other in task.optional_dependencies
            )
        ):
            yield one


def _number(value: object, default: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        return default
    return float(value)
