"""What the planner that this design descends from got wrong, one test for each."""

import inspect
import random

import pytest

from dashflow.errors import VersionConflictError
from dashflow.log.base import Append
from dashflow.log.memory import MemoryLog
from dashflow.planner import Planner, RunStatus, Task, TaskKind, TaskStatus
from dashflow.planner.core import codec, context, dag, fold, process, state
from dashflow.planner.core.commands import (
    AnswerClarification,
    CompactContext,
    Continue,
    HandleExecutorEvent,
    Initialize,
    ProposePlan,
    TaskCompleted,
    TaskFailed,
    TaskNeedsClarification,
)
from dashflow.planner.core.events import PlanCancelled, PlanFailed, PlanningCompleted, TaskDispatched
from dashflow.planner.executors.base import Completed
from dashflow.planner.planning import Proposal
from dashflow.planner.runs import PlanRequest, PlanRuns

pytestmark = pytest.mark.feature("PLAN-01", "PLAN-02", "DAG-01")


def task(name, *needs):
    return Task(name, f"do {name}", TaskKind.ANALYSIS, dependencies=needs)


def planner_of(*tasks, workers=4):
    planner = Planner()
    for command in (
        Initialize(now=1, run="r", goal="goal", workers=workers),
        ProposePlan(now=2, tasks=tasks),
    ):
        planner = planner.apply(planner.process(command))
    return planner


def go_on(planner, report=None):
    """The planner after a report and after going on; the ids it dispatched."""
    if report is not None:
        planner = planner.apply(planner.process(HandleExecutorEvent(now=5, event=report)))
    events = planner.process(Continue(now=6))
    return planner.apply(events), [e.task for e in events if isinstance(e, TaskDispatched)], events


def test_fold_reads_no_clock():
    planner, _, _ = go_on(planner_of(task("a"), task("b", "a")))
    planner, _, _ = go_on(planner, TaskCompleted("a", 1, {}))
    times = planner.state.times["a"]
    assert (times.started, times.ended) == (6, 5), "times are the ones in the events"
    for module in (fold, process, dag, state, codec, context):
        source = inspect.getsource(module)
        for clock in ("import time", "datetime", "import random", "import os", "uuid4"):
            assert clock not in source


def test_deciding_changes_nothing_so_a_failed_write_leaves_no_memory_ahead():
    planner = planner_of(task("a"))
    before = codec.state_bytes(planner.state)
    decided = planner.process(Continue(now=6))
    assert decided
    assert codec.state_bytes(planner.state) == before
    assert planner.process(Continue(now=6)) == decided, "what was not written is decided again"


def test_a_question_of_an_executor_is_resumed_by_its_answer():
    planner, started, _ = go_on(planner_of(task("a"), task("b", "a")))
    assert started == ["a"]
    planner, started, _ = go_on(planner, TaskNeedsClarification("a", 1, "which?"))
    assert started == []
    assert planner.state.status is RunStatus.WAITING
    planner = planner.apply(planner.process(AnswerClarification(now=7, text="this")))
    planner, started, _ = go_on(planner)
    assert started == ["a"]
    assert (planner.state.tasks["a"].attempt, planner.state.tasks["a"].answer) == (2, "this")
    planner, started, _ = go_on(planner, TaskCompleted("a", 2, {}))
    assert started == ["b"]


def test_a_failed_task_does_not_stop_the_plan():
    planner, started, _ = go_on(planner_of(task("a"), task("b", "a"), task("c"), task("d", "c"), workers=1))
    assert started == ["a"]
    planner, started, _ = go_on(planner, TaskFailed("a", 1, "x"))
    assert started == ["c"]
    planner, started, _ = go_on(planner, TaskCompleted("c", 1, {}))
    assert started == ["d"]
    planner, _, events = go_on(planner, TaskCompleted("d", 1, {}))
    assert isinstance(events[-1], PlanFailed)


def test_dependencies_are_kept_and_obeyed():
    tasks = (task("c", "a", "b"), task("a"), task("b"))
    planner, started, _ = go_on(planner_of(*tasks))
    assert planner.state.tasks["c"].dependencies == ("a", "b")
    assert set(started) == {"a", "b"}
    planner, started, _ = go_on(planner, TaskCompleted("a", 1, {}))
    assert started == []
    planner, started, _ = go_on(planner, TaskCompleted("b", 1, {}))
    assert started == ["c"]


def test_tasks_run_side_by_side_and_not_one_at_a_time():
    planner, started, _ = go_on(planner_of(*(task(name) for name in "abcdef"), workers=5))
    assert len(started) == len(planner.state.running) == 5


def test_completion_marks_nothing_completed_that_is_not():
    planner, _, _ = go_on(planner_of(task("a"), task("b")))
    planner, _, events = go_on(planner, TaskCompleted("a", 1, {}))
    assert events == [], "no completion while a task runs"
    completed = planner.apply([PlanningCompleted(at=9)])
    assert completed.state.tasks == planner.state.tasks
    planner, _, events = go_on(planner, TaskCompleted("b", 1, {}))
    assert [type(event) for event in events] == [PlanningCompleted]
    assert planner.state.count(TaskStatus.COMPLETED) == 2


class Quick:
    """Plans two tasks, or what it was told, and does them."""

    kinds = frozenset(TaskKind)

    def __init__(self, *tasks):
        self.tasks = tasks or (task("a"), task("b", "a"))

    def plan(self, request):
        return Proposal(self.tasks, "quick")

    def execute(self, execution):
        return Completed({})


def quick_run(log, *tasks):
    runs = PlanRuns(log, executors=[Quick()], planning=Quick(*tasks))
    run = runs.accept(PlanRequest("goal"))
    runs.run(run)
    return runs, run


def test_events_are_stored_under_their_own_type_so_a_subscriber_finds_them():
    log = MemoryLog()
    live = log.subscribe(category=codec.CATEGORY)
    runs, run = quick_run(log)
    late = log.subscribe(category=codec.CATEGORY)
    expected = [record.type for record, _ in runs.events(run)]
    assert expected[-1] == "PlanningCompleted"
    assert set(expected) <= codec.EVENT_TYPES.keys()
    for subscription in (live, late):
        assert [record.type for record in subscription.poll(timeout=5)] == expected
        subscription.close()
    log.close()


def test_every_event_says_what_it_belongs_to_and_what_caused_it():
    runs, run = quick_run(MemoryLog())
    records = [record for record, _ in runs.events(run)]
    assert {record.correlation_id for record in records} == {run}
    assert len({record.event_id for record in records}) == len(records)
    by_id = {record.event_id: record for record in records}
    causes = [by_id[record.causation_id].type for record in records[1:]]
    assert records[0].causation_id == b""
    assert causes == [
        "PlanRequested",
        "TasksPlanned",
        "TaskDispatched",
        "TaskStatusUpdated",
        "TaskDispatched",
        "TaskStatusUpdated",
    ]
    assert all(by_id[record.causation_id].version < record.version for record in records[1:])
    assert all(record.schema >= 1 for record in records)


def test_tasks_that_start_together_have_the_same_cause():
    runs, run = quick_run(MemoryLog(), task("a"), task("b"), task("c"))
    dispatched = [record for record, event in runs.events(run) if isinstance(event, TaskDispatched)]
    planned = next(record for record, event in runs.events(run) if record.type == "TasksPlanned")
    assert [record.causation_id for record in dispatched] == [planned.event_id] * 3


def test_two_writers_never_get_the_same_place_in_a_stream():
    log = MemoryLog()
    runs, run = quick_run(log)
    records = [record for record, _ in runs.events(run)]
    assert [record.version for record in records] == list(range(1, len(records) + 1))
    news = codec.encode(PlanCancelled(at=9), event_id=b"n" * 16)
    for expected in (0, len(records) - 1, len(records) + 1):
        with pytest.raises(VersionConflictError):
            log.append(Append(codec.stream_of(run), [news], expected=expected))
    assert log.version(codec.stream_of(run)) == len(records)


def test_compacting_works_without_a_model_and_deletes_no_task():
    planner = planner_of(*(task(f"t{n}") for n in range(20)), workers=20)
    planner, _, _ = go_on(planner)
    for number in range(20):
        result = {"text": "word " * 200, "path": f"out/{number}.txt"}
        planner, _, _ = go_on(planner, TaskCompleted(f"t{number}", 1, result))
    tasks = planner.state.tasks
    (event,) = planner.process(CompactContext(now=9, max_tokens=800))
    assert event.tokens_before > 5000
    assert event.tokens_after <= 800
    compacted = planner.apply([event])
    assert compacted.state.tasks == tasks
    text = context.render(compacted.state)
    assert all(f"out/{number}.txt" in text for number in range(20)), "artefacts are kept"
    assert context.tokens(text) == event.tokens_after


def test_plans_of_any_size_come_to_an_end():
    chance = random.Random(1)
    names = [f"t{n}" for n in range(300)]
    tasks = [task(name, *chance.sample(names[:n], min(n, 3))) for n, name in enumerate(names)]
    planner, _, _ = go_on(planner_of(*tasks, workers=8))
    while not planner.state.finished:
        planner, _, _ = go_on(planner, TaskCompleted(planner.state.running[0].id, 1, {}))
    assert planner.state.status is RunStatus.COMPLETED
