"""The planner's handler in general: random plans, random executors, and what holds after every event."""

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashflow.planner import PlannerState, RunStatus, Task, TaskKind, TaskStatus
from dashflow.planner.core import codec, dag
from dashflow.planner.core.commands import (
    AnswerClarification,
    Cancel,
    ClarificationProvided,
    CompactContext,
    Continue,
    HandleExecutorEvent,
    Initialize,
    ProposePlan,
    Recover,
    TaskCompleted,
    TaskFailed,
    TaskNeedsClarification,
)
from dashflow.planner.core.events import ResultIgnored, TaskDispatched
from dashflow.planner.core.fold import fold, fold_all
from dashflow.planner.core.process import process

pytestmark = pytest.mark.feature("PLAN-01", "DAG-01")

TERMINAL = {TaskStatus.COMPLETED, TaskStatus.FAILED}


@st.composite
def plans(draw, max_size=9):
    """A valid plan; tasks are not listed in the order in which they can run."""
    size = draw(st.integers(1, max_size))
    tasks = []
    for number in range(size):
        earlier = [f"t{other}" for other in range(number)]
        hard = draw(st.lists(st.sampled_from(earlier), max_size=3)) if earlier else []
        optional = draw(st.lists(st.sampled_from(earlier), max_size=2)) if earlier else []
        params = draw(
            st.fixed_dictionaries({}, optional={"seconds": st.integers(1, 9), "priority": st.integers(0, 3)})
        )
        tasks.append(
            Task(
                id=f"t{number}",
                description=f"task {number}",
                kind=draw(st.sampled_from(TaskKind)),
                dependencies=tuple(hard),
                optional_dependencies=tuple(optional),
                params=params,
            )
        )
    return tuple(draw(st.permutations(tasks)))


class World:
    """Drives the handler as a flow would, with an executor that does anything, and keeps every event."""

    def __init__(self, tasks, workers, answers, chance):
        self.chance = chance
        self.state = PlannerState()
        self.events = []
        self.now = 0
        self.tell(Initialize, run="r", goal="goal", workers=workers, answers=answers)
        self.tell(ProposePlan, tasks=tasks)
        self.tell(Continue)

    def tell(self, command, **fields):
        self.now += self.chance.randrange(3)
        command = command(now=self.now, **fields)
        events = process(self.state, command)
        assert process(self.state, command) == events
        for event in events:
            self.state = fold(self.state, event)
        self.events += events
        return events

    def report(self, task, attempt):
        kind = self.chance.choice(["done", "done", "done", "failed", "asks"])
        if kind == "done":
            return TaskCompleted(task, attempt, {"said": self.chance.random(), "by": task})
        if kind == "failed":
            return TaskFailed(task, attempt, "broken")
        return TaskNeedsClarification(task, attempt, f"what about {task}?")

    def step(self):
        """One thing that can happen; False when nothing is left."""
        if self.state.finished:
            return False
        running = [task.id for task in self.state.running]
        what = self.chance.random()
        if what < 0.08:
            self.tell(Recover)
        elif what < 0.14:
            anyone = self.chance.choice(list(self.state.tasks))
            self.tell(HandleExecutorEvent, event=self.report(anyone, self.chance.randrange(4)))
        elif what < 0.16:
            self.tell(CompactContext, max_tokens=self.chance.randrange(1, 60))
        elif running:
            one = self.chance.choice(running)
            self.tell(HandleExecutorEvent, event=self.report(one, self.state.tasks[one].attempt))
        elif self.state.questions:
            self.answer()
        self.tell(Continue)
        return True

    def answer(self):
        task = self.chance.choice([None, *self.state.questions])
        if task is not None and self.chance.random() < 0.3:
            self.tell(HandleExecutorEvent, event=ClarificationProvided(task, "by machine"))
        else:
            self.tell(AnswerClarification, text="this", task=task)


def runs(max_size=9):
    return st.builds(
        World,
        plans(max_size),
        st.integers(1, 4),
        st.lists(st.just("early"), max_size=2).map(tuple),
        st.integers(0, 2**32).map(random.Random),
    )


def finish(world, limit=2000):
    for _ in range(limit):
        if not world.step():
            return
    pytest.fail(f"no end after {limit} steps: {world.state.status}, {world.events[-5:]}")


def check(state):
    """What holds of every state that events can lead to."""
    tasks = state.tasks
    held = dag.blocked(tasks)
    assert len(state.running) <= state.workers
    assert set(state.questions) == {
        task.id for task in tasks.values() if task.status is TaskStatus.NEEDS_CLARIFICATION
    } or (state.outcome is RunStatus.CANCELLED and not state.questions)
    assert len(set(state.questions)) == len(state.questions)
    for task in tasks.values():
        assert (task.result is not None) == (task.status is TaskStatus.COMPLETED)
        assert (task.error is not None) == (task.status is TaskStatus.FAILED)
        assert (task.question is not None) == (task.status is TaskStatus.NEEDS_CLARIFICATION)
        if task.attempt:
            assert task.id not in held
            assert all(tasks[one].status is TaskStatus.COMPLETED for one in task.dependencies)
            assert all(tasks[one].status in TERMINAL or one in held for one in task.optional_dependencies)
    if state.outcome is RunStatus.COMPLETED:
        assert all(task.status is TaskStatus.COMPLETED for task in tasks.values())
    if state.outcome is RunStatus.FAILED:
        assert all(task.status in TERMINAL or task.id in held for task in tasks.values())
    assert all(state.condition(name) for name in tasks)
    assert state.status in RunStatus


@given(runs())
def test_every_run_comes_to_an_end_and_every_prefix_of_its_events_is_a_valid_state(world):
    finish(world)
    state = PlannerState()
    check(state)
    for number, event in enumerate(world.events, 1):
        state = fold(state, event)
        assert state.cursor == number
        check(state)
    assert state == world.state


@given(runs())
def test_the_same_events_give_the_same_bytes_also_after_they_were_stored(world):
    finish(world)
    for prefix in range(len(world.events) + 1):
        events = world.events[:prefix]
        once = codec.state_bytes(fold_all(events))
        assert codec.state_bytes(fold_all(events)) == once
        stored = [codec.encode(event, event_id=bytes(16)) for event in events]
        assert codec.state_bytes(fold_all(codec.decode(one) for one in stored)) == once
        assert [codec.encode(codec.decode(one), event_id=bytes(16)) for one in stored] == stored


@given(runs())
def test_a_completed_task_is_never_dispatched_again_and_attempts_count_dispatches(world):
    finish(world)
    state = PlannerState()
    dispatched = {}
    for event in world.events:
        if isinstance(event, TaskDispatched):
            assert state.tasks[event.task].status not in TERMINAL
            dispatched[event.task] = dispatched.get(event.task, 0) + 1
            assert event.attempt == dispatched[event.task]
        state = fold(state, event)
    assert {one.id: one.attempt for one in state.tasks.values() if one.attempt} == dispatched


@given(runs())
def test_deciding_is_the_same_on_a_state_that_was_folded_again(world):
    finish(world)
    for prefix in range(0, len(world.events), 3):
        events = world.events[:prefix]
        commands = [Continue(now=5), Recover(now=5), CompactContext(now=5, max_tokens=20)]
        stored = [codec.decode(codec.encode(event, event_id=bytes(16))) for event in events]
        for command in commands:
            assert process(fold_all(events), command) == process(fold_all(stored), command)


@given(runs(), st.integers(0, 60))
def test_what_is_ignored_changes_no_task(world, steps):
    for _ in range(steps):
        world.step()
    state = PlannerState()
    for event in world.events:
        after = fold(state, event)
        if isinstance(event, ResultIgnored):
            unchanged = msgspec.structs.replace(after, cursor=state.cursor, updated_at=state.updated_at)
            assert unchanged == state
        state = after


@given(runs(), st.integers(0, 30))
def test_a_cancelled_run_stays_as_it_is(world, steps):
    for _ in range(steps):
        world.step()
    if world.state.finished:
        return
    world.tell(Cancel, reason="enough")
    tasks = world.state.tasks
    for task in tasks:
        world.tell(HandleExecutorEvent, event=world.report(task, tasks[task].attempt))
    assert world.tell(Continue) == world.tell(Recover) == []
    assert world.state.tasks == tasks
    check(world.state)


@given(plans(), st.integers(1, 4), st.integers(0, 2**32))
def test_everything_completes_when_nothing_fails(tasks, workers, seed):
    chance = random.Random(seed)
    world = World(tasks, workers, (), chance)
    while not world.state.finished:
        one = chance.choice(world.state.running)
        world.tell(HandleExecutorEvent, event=TaskCompleted(one.id, one.attempt, {}))
        world.tell(Continue)
    assert world.state.status is RunStatus.COMPLETED
    assert all(task.attempt == 1 for task in world.state.tasks.values())


@given(plans(), st.sets(st.integers(0, 8)))
def test_a_failed_task_blocks_its_descendants_and_nothing_else(tasks, failing):
    world = World(tasks, 3, (), random.Random(0))
    while not world.state.finished:
        one = world.state.running[0]
        broken = int(one.id[1:]) in failing
        report = TaskFailed(one.id, 1, "x") if broken else TaskCompleted(one.id, 1, {})
        world.tell(HandleExecutorEvent, event=report)
        world.tell(Continue)
    hard = {task.id: task.dependencies for task in tasks}

    def spoiled(name):
        return any(int(other[1:]) in failing or spoiled(other) for other in hard[name])

    for task in world.state.tasks.values():
        if spoiled(task.id):
            assert (task.status, task.attempt) == (TaskStatus.PLANNED, 0)
        else:
            expected = TaskStatus.FAILED if int(task.id[1:]) in failing else TaskStatus.COMPLETED
            assert task.status is expected
