"""Programs whose histories are no threads of graphs: plans and batches. Each makes a log and tells of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from dashflow.batch import Batch
from dashflow.hosts.simulated import SimulatedHost
from dashflow.log.base import EventLog
from dashflow.planner import Task, TaskKind
from dashflow.planner.executors.base import Completed, Failed, NeedsClarification
from dashflow.planner.planning import Proposal
from dashflow.planner.runs import PlanRequest, PlanRuns


class Other(NamedTuple):
    """``make`` fills a log, ``told`` says what one holds."""

    make: Callable[[EventLog], None]
    told: Callable[[EventLog], Any]


class Scripted:
    """Plans what it was told."""

    def plan(self, request: Any) -> Proposal:
        first = Task("first", "first", TaskKind.TOOL_CALL)
        return Proposal(
            (first, Task("second", "second", TaskKind.TOOL_CALL, dependencies=("first",))), "script"
        )


class Doing:
    """Executes by a function of the task's id."""

    kinds = frozenset(TaskKind)

    def __init__(self, second: Callable[[Any], Any]) -> None:
        self._second = second

    def execute(self, execution: Any) -> Any:
        return self._second(execution) if execution.task.id == "second" else Completed({"by": "first"})


def asks(execution: Any) -> Any:
    answer = execution.task.answer
    return NeedsClarification("Which one?") if answer is None else Completed({"answer": answer})


def _state(state: Any) -> list[Any]:
    tasks = [[one.id, one.status.value, one.result, one.answer] for one in state.tasks.values()]
    return [state.goal, state.status.value, state.cursor, list(state.order), list(state.questions), tasks]


def _plan(second: Callable[[Any], Any], *answers: str) -> Other:
    def runs(log: EventLog) -> PlanRuns:
        return PlanRuns(log, host=SimulatedHost(seed=7), executors=[Doing(second)], planning=Scripted())

    def make(log: EventLog) -> None:
        mine = runs(log)
        run = mine.accept(PlanRequest(goal="do it", out="/tmp/histories"))
        mine.run(run)
        for answer in answers:
            mine.answer(run, answer)
            mine.run(run)

    def told(log: EventLog) -> Any:
        mine = runs(log)
        return [_state(mine.state(one.run)) for one in mine.list()]

    return Other(make, told)


def _work(value: int) -> int:
    if value % 3 == 0:
        raise ValueError(f"{value} is a multiple of three")
    return value * 2


def _batch(*values: int) -> Other:
    def batch(log: EventLog) -> Any:
        return Batch(_work, values, name="b", log=log, host=SimulatedHost(seed=7))

    def told(log: EventLog) -> Any:
        mine = batch(log)
        results = [[one.key, one.value] for one in mine.results()]
        return [results, [[one.key, repr(one.value)] for one in mine.dead_letters()]]

    return Other(lambda log: batch(log).run() and None, told)


OTHERS: dict[str, Other] = {
    "plan-done": _plan(lambda execution: Completed({"by": "second"})),
    "plan-failed": _plan(lambda execution: Failed("broken on purpose")),
    "plan-asks": _plan(asks),
    "plan-asked": _plan(asks, "this one"),
    "batch-done": _batch(1, 2, 4, 5),
    "batch-with-failures": _batch(1, 2, 3, 4, 6),
}
