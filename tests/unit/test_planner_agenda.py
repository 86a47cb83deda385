"""The agenda says what all tasks would say, and a plan's approvals hold what they should and nothing else."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashflow.errors import UsageError
from dashflow.hitl.core.terms import Terms
from dashflow.log.base import Record
from dashflow.planner.core import codec, dag
from dashflow.planner.core.agenda import Agenda
from dashflow.planner.core.approvals import approval_id, digest
from dashflow.planner.core.commands import (
    Cancel,
    Continue,
    HandleExecutorEvent,
    Initialize,
    ProposePlan,
    ReceiveApproval,
    Recover,
    TaskCompleted,
    TaskFailed,
    TaskNeedsClarification,
)
from dashflow.planner.core.events import (
    ApprovalAwaited,
    ApprovalReceived,
    PlannerConfig,
    TaskDispatched,
    TasksPlanned,
)
from dashflow.planner.core.fold import fold, fold_all
from dashflow.planner.core.process import process
from dashflow.planner.core.state import PlannerState, RunStatus
from dashflow.planner.core.table import Table
from dashflow.planner.core.task import Task, TaskKind, TaskStatus

pytestmark = pytest.mark.feature("HIL-005", "PLAN-01")

TERMS = Terms(("ann",))


def task(name, *dependencies, approval=None, optional=(), kind=TaskKind.ANALYSIS, **fields):
    return Task(name, f"do {name}", kind, dependencies=dependencies, optional_dependencies=optional,
                approval=approval, **fields)  # fmt: skip


class Plan:
    """A plan that commands are given to."""

    def __init__(self, *tasks, workers=4, config=None):
        self.state = PlannerState()
        self.events = []
        self.do(Initialize(now=0, run="r", goal="x", workers=workers, config=config or PlannerConfig()))
        if tasks:
            self.do(ProposePlan(now=0, tasks=tasks))

    def do(self, command):
        events = process(self.state, command)
        for event in events:
            self.state = fold(self.state, event)
        self.events += events
        return events

    def go_on(self):
        return self.do(Continue(now=1))

    def complete(self, name, **result):
        attempt = self.state.tasks[name].attempt
        self.do(HandleExecutorEvent(now=1, event=TaskCompleted(name, attempt, result)))
        return self.go_on()

    def decide(self, name, outcome="approved", **more):
        there = self.state.tasks[name]
        fields = {"digest": digest(self.state, there), "by": ("ann",), "reason": "quorum", **more}
        self.do(ReceiveApproval(now=1, task=name, outcome=outcome, **fields))
        return self.go_on()

    def standing(self):
        return {name: self.state.condition(name).value for name in self.state.tasks}


# -- tasks that wait for approval ---------------------------------------------------------------


def test_a_task_is_held_before_it_starts_and_others_go_on():
    plan = Plan(task("a"), task("b", approval=TERMS), task("c", "b"), workers=1)
    held, dispatched = plan.go_on()
    assert held == ApprovalAwaited(
        at=1, task="b", approval="r.b", digest=digest(plan.state, plan.state.tasks["b"])
    )
    assert isinstance(dispatched, TaskDispatched)
    assert plan.standing() == {"a": "running", "b": "needs_approval", "c": "planned"}
    assert plan.state.status is RunStatus.RUNNING
    assert plan.complete("a") == []
    assert plan.state.status is RunStatus.WAITING
    assert [one.id for one in plan.state.held] == ["b"]
    [dispatched] = plan.decide("b")
    assert (dispatched.task, dispatched.attempt) == ("b", 1)
    plan.complete("b")
    plan.complete("c")
    assert plan.state.status is RunStatus.COMPLETED


@pytest.mark.parametrize("outcome", ["rejected", "expired", "cancelled"])
def test_what_is_not_approved_fails_and_blocks_only_what_needs_it(outcome):
    plan = Plan(task("a", approval=TERMS), task("b", "a"), task("c"), task("d", "c", optional=("a",)))
    plan.go_on()
    plan.decide("a", outcome)
    assert plan.standing() == {"a": "failed", "b": "blocked", "c": "running", "d": "planned"}
    assert plan.state.tasks["a"].error == f"Not approved: {outcome} by ann (quorum)."
    plan.complete("c")
    plan.complete("d")
    assert plan.state.status is RunStatus.FAILED
    assert plan.state.tasks["d"].status is TaskStatus.COMPLETED  # partial results stay


def test_an_approval_is_asked_once_whatever_becomes_of_the_process():
    plan = Plan(task("a", approval=TERMS))
    plan.go_on()
    for _ in range(3):
        plan.do(Recover(now=2))
        assert plan.go_on() == []
    plan.decide("a")
    assert plan.decide("a") == []  # told twice
    plan.do(Recover(now=3))  # its process died while it ran: it runs again, and is not asked about again
    assert plan.state.tasks["a"].attempt == 2
    assert sum(isinstance(event, ApprovalAwaited) for event in plan.events) == 1
    assert sum(isinstance(event, ApprovalReceived) for event in plan.events) == 1


def test_what_is_approved_has_the_results_it_builds_on():
    plan = Plan(task("a"), task("b", "a", approval=TERMS))
    plan.go_on()
    [held] = plan.complete("a", amount=1)
    other = Plan(task("a"), task("b", "a", approval=TERMS))
    other.go_on()
    [another] = other.complete("a", amount=2)
    assert held.digest != another.digest
    assert plan.decide("b", digest=another.digest) == []  # decided on something else
    assert plan.state.status is RunStatus.WAITING


def test_a_cancelled_plan_hears_of_no_decision():
    plan = Plan(task("a", approval=TERMS))
    plan.go_on()
    plan.do(Cancel(now=2))
    assert plan.decide("a") == []
    assert plan.state.status is RunStatus.CANCELLED


def test_kinds_of_tasks_that_need_approval_are_part_of_the_request():
    config = PlannerConfig(approvals={TaskKind.TOOL_CALL: TERMS})
    plan = Plan(task("a"), task("b", kind=TaskKind.TOOL_CALL), config=config)
    assert [type(event).__name__ for event in plan.go_on()] == ["ApprovalAwaited", "TaskDispatched"]
    assert plan.state.tasks["b"].approval == TERMS


def test_terms_that_cannot_be_are_refused():
    with pytest.raises(UsageError):
        Plan(config=PlannerConfig(approvals={TaskKind.TOOL_CALL: Terms(())}))
    plan = Plan()
    plan.do(ProposePlan(now=1, tasks=(task("a", approval=Terms(("ann",), quorum=2)),)))
    assert "quorum of 2" in plan.state.rejected


def test_a_program_that_knows_no_approvals_refuses_the_plan_and_no_other():
    def schema(*tasks):
        [event] = [one for one in Plan(*tasks).events if isinstance(one, TasksPlanned)]
        new = codec.encode(event, event_id=bytes(16))
        record = Record(
            0, "plan-r", 1, "plan", new.type, new.schema, bytes(16), "", b"", 0, 0, "", 0, new.data
        )
        assert codec.decode(record) == event
        return new.schema

    assert schema(task("a")) == 1
    assert schema(task("a"), task("b", approval=TERMS)) == 2


# -- what could be done next --------------------------------------------------------------------


def random_plan(chance, size):
    tasks = []
    for number in range(size):
        before = [f"t{one}" for one in range(max(0, number - 6), number)]
        hard = chance.sample(before, min(len(before), chance.randrange(3)))
        soft = chance.sample(before, min(len(before), chance.randrange(2)))
        approval = TERMS if chance.random() < 0.3 else None
        tasks.append(task(f"t{number}", *hard, optional=tuple(soft), approval=approval))
    chance.shuffle(tasks)
    return tasks


def step(plan, chance):
    """Something that may happen to a plan; whether anything did."""
    choices = [("held", one) for one in plan.state.held] + [("running", one) for one in plan.state.running]
    if not choices:
        return bool(plan.go_on()) and not plan.state.finished
    kind, one = chance.choice(choices)
    if kind == "held":
        plan.decide(one.id, chance.choice(["approved", "approved", "rejected"]))
    else:
        report = chance.choice(
            [
                TaskCompleted(one.id, one.attempt, {"n": 1}),
                TaskCompleted(one.id, one.attempt, {}),
                TaskFailed(one.id, one.attempt, "no"),
            ]
        )
        plan.do(HandleExecutorEvent(now=1, event=report))
        if chance.random() < 0.8:
            plan.go_on()
    return not plan.state.finished


@given(st.randoms(use_true_random=False), st.integers(1, 25))
def test_the_agenda_says_what_all_tasks_would_say(chance, size):
    plan = Plan(*random_plan(chance, size), workers=chance.randint(1, 5))
    going = True
    while going:
        going = step(plan, chance)
        state, agenda = plan.state, plan.state.agenda
        assert agenda is state.known
        assert [*agenda.ready()] == [*dag.ready(state.tasks, state.order)]
        assert {one for one in state.tasks if agenda.is_blocked(one)} == dag.blocked(state.tasks)
        made = Agenda(state.tasks, state.order)
        assert [*made.startable()] == [*agenda.startable()]
        assert [*made.unasked()] == [*agenda.unasked()]
        assert ({*made.running}, made.held, made.failed) == ({*agenda.running}, agenda.held, agenda.failed)
        assert made.idle == agenda.idle
    assert plan.state.finished
    assert codec.state_bytes(fold_all(plan.events)) == codec.state_bytes(plan.state)
    for one in plan.state.tasks.values():
        if one.approval is not None and not one.approved:
            assert plan.state.condition(one.id).value in ("failed", "blocked")


def test_a_question_makes_a_plan_wait_as_an_approval_does():
    plan = Plan(task("a"), task("b", approval=TERMS))
    plan.go_on()
    plan.do(HandleExecutorEvent(now=1, event=TaskNeedsClarification("a", 1, "which?")))
    assert plan.state.status is RunStatus.WAITING
    plan.decide("b")
    assert plan.state.status is RunStatus.RUNNING


def test_ids_of_approvals_name_run_and_task():
    assert approval_id("r-1", "t2") == "r-1.t2"


# -- tables -------------------------------------------------------------------------------------


@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers()), max_size=300), st.randoms(use_true_random=False)
)
def test_every_version_of_a_table_stays_as_it_was(puts, chance):
    versions = [(Table(), {})]
    for number, value in puts:
        table, model = chance.choice(versions[-3:])  # also from one that others grew from
        versions.append((table.put(f"k{number}", value), {**model, f"k{number}": value}))
    for table, model in versions:
        assert table == model
        assert [*table] == [*model]
        assert len(table) == len(model)
        assert "k999" not in table
        assert all(key in table for key in model)
        with pytest.raises(KeyError):
            table["k999"]


def test_a_table_of_what_is_there():
    table = Table({f"k{n}": n for n in range(1000)})
    assert [*table.values()] == [*range(1000)]
    assert table.put("k5", -1)["k5"] == -1
    assert table["k5"] == 5
    assert random.Random(1).choice([*table]) in table
