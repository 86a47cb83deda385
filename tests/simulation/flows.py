"""The planner's and the batches' flows in the simulated world: the same checks, other programs."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from dashflow.batch import Batch, Count, Reduce
from dashflow.batch.core import codec as batch_codec
from dashflow.batch.core.events import ItemsCompleted, ItemsFailed
from dashflow.errors import OwnershipConflictError, VersionConflictError
from dashflow.hosts.simulated import SimulatedCrash
from dashflow.planner import RunStatus, Task, TaskKind
from dashflow.planner.core import codec as plan_codec
from dashflow.planner.core.events import TaskStatusUpdated
from dashflow.planner.executors.base import Completed, NeedsClarification
from dashflow.planner.planning import Proposal
from dashflow.planner.runs import PlanRequest, PlanRuns
from tests.simulation.checks import Violation
from tests.simulation.programs import Watch
from tests.simulation.world import Caller, Place, Process, Stuck, World

ITEMS = 9
RUN = "p"


def live(world: World, work: Callable[[Process, Place], bool]) -> None:
    """One process after the other, until one comes to the end."""

    def caller(me: Caller) -> None:
        for _ in range(60):
            process = world.process()
            place = Place(world, process, me)
            try:
                if work(process, place):
                    return
                place.port(lambda: world.wait(3.0))
            except SimulatedCrash:
                continue
            except (OwnershipConflictError, VersionConflictError):  # who died is still thought to live
                world.time += 3.0
            finally:
                process.close()
        raise Stuck("it never came to its end")

    world.run(caller=caller)


def batch(world: World, watch: Watch) -> None:
    """Items of which one fails; no item whose end is recorded is worked on again."""
    ran: Counter[int] = Counter()

    def work(item: int) -> int:
        if item in recorded_items(world):
            raise Violation(f"item {item} is recorded and run again")
        ran[item] += 1
        if item == 5:
            raise ValueError("never")
        return 2 * item

    aggregates = {"count": Count(), "list": Reduce(lambda seen, one: [*seen, one], [], ordered=True)}
    found: list[Any] = []

    def process(process: Process, place: Place) -> bool:
        one = Batch(
            work, range(ITEMS), name="b", log=process.log, host=place, concurrency=3, ahead=4,
            aggregate=aggregates, key=lambda item: item,
        )  # fmt: skip
        found.append(one.run())
        return True

    live(world, process)
    progress = found[-1]
    expected = [2 * item for item in range(ITEMS) if item != 5]
    told = (progress.status, progress.completed, progress.failed, progress.aggregates["list"])
    if told != ("completed", ITEMS - 1, 1, expected) or set(ran) != set(range(ITEMS)):
        raise Violation(f"the batch came to {told}, and worked on {ran}")


def recorded_items(world: World) -> set[int]:
    """Items whose ends are in the store."""
    stream = world.store.streams.get(batch_codec.stream_of("b"))
    items: list[int] = []
    for record in stream.records if stream else ():
        event = batch_codec.decode(record)
        if isinstance(event, ItemsCompleted):
            items += event.items
        elif isinstance(event, ItemsFailed):
            items += [one.item for one in event.failures]
    if len(items) != len(set(items)):
        raise Violation(f"the end of an item is recorded twice: {items}")
    return set(items)


class Office:
    """A plan of five tasks, one of which asks; no task that is recorded as completed is executed again."""

    kinds = frozenset(TaskKind)

    def __init__(self, world: World) -> None:
        self.world = world

    def plan(self, request: Any) -> Proposal:
        """The plan."""
        needs = {"ask": "", "long": "ask", "marks": "ask", "tests": "ask", "report": "long marks tests"}
        tasks = [
            Task(
                name,
                name,
                TaskKind.CLARIFICATION if name == "ask" else TaskKind.ANALYSIS,
                dependencies=tuple(before.split()),
            )
            for name, before in needs.items()
        ]
        return Proposal(tuple(tasks), "office")

    def execute(self, execution: Any) -> Any:
        """One task."""
        task = execution.task
        if completions(self.world)[task.id]:
            raise Violation(f"task {task.id} is recorded as completed and executed again")
        if task.kind is TaskKind.CLARIFICATION and not task.answer:
            return NeedsClarification("which folders?")
        return Completed({"found": [task.id, sorted(execution.inputs)]})


def completions(world: World) -> Counter[str]:
    """How often each task is recorded as completed."""
    stream = world.store.streams.get(plan_codec.stream_of(RUN))
    found: Counter[str] = Counter()
    for record in stream.records if stream else ():
        event = plan_codec.decode(record)
        if isinstance(event, TaskStatusUpdated) and event.status.value == "completed":
            found[event.task] += 1
    return found


def plan(world: World, watch: Watch) -> None:
    """A plan from its acceptance to its end."""
    accepted: list[str] = []
    request = PlanRequest("Look at this code", answers=("docs",), workers=2)
    states: list[Any] = []

    def process(process: Process, place: Place) -> bool:
        office = Office(world)
        runs = PlanRuns(process.log, host=place, executors=[office], planning=office)
        if process.log.version(plan_codec.stream_of(RUN)) == 0:
            if accepted:
                raise Violation("an accepted plan is lost")
            accepted.append(runs.accept(request, RUN))
        states.append(runs.run(RUN))
        return bool(states[-1].finished)

    live(world, process)
    if states[-1].status is not RunStatus.COMPLETED:
        raise Violation(f"the plan came to {states[-1].status}: {states[-1].error}")
    if set(completions(world).values()) != {1}:
        raise Violation(f"recorded as completed: {completions(world)}")
    results = {name: task.result for name, task in states[-1].tasks.items() if name != "ask"}
    inputs = {"report": ["long", "marks", "tests"]}
    expected = {name: {"found": [name, inputs.get(name, ["ask"])]} for name in results}
    if results != expected:
        raise Violation(f"the plan's results are {results}, not {expected}")


FLOWS = {"batch": batch, "plan": plan}
