"""The planner's handler by example: given these events, when this command comes, then these events."""

import msgspec
import pytest

from dashflow.errors import EmptyGoalError, RunStateError, UsageError
from dashflow.planner import Planner, RunStatus, Task, TaskKind, TaskStatus
from dashflow.planner.core.commands import (
    AnswerClarification,
    Cancel,
    ClarificationProvided,
    CompactContext,
    Continue,
    FailPlanning,
    HandleExecutorEvent,
    Initialize,
    ProposePlan,
    Recover,
    TaskCompleted,
    TaskFailed,
    TaskNeedsClarification,
)
from dashflow.planner.core.events import (
    AnswerSource,
    ClarificationReceived,
    ClarificationRequested,
    PlanCancelled,
    PlanFailed,
    PlannerConfig,
    PlanningCompleted,
    PlanRejected,
    PlanRequested,
    ResultIgnored,
    TaskDispatched,
    TasksPlanned,
    TaskStatusUpdated,
)
from dashflow.planner.core.state import TaskCondition

pytestmark = pytest.mark.feature("PLAN-01", "PLAN-02")

NOW = 9


def task(name, needs="", after="", **params):
    return Task(
        id=name,
        description=f"do {name}",
        kind=TaskKind.ANALYSIS,
        dependencies=tuple(needs.split()),
        optional_dependencies=tuple(after.split()),
        params=params,
    )


def requested(**fields):
    return PlanRequested(**{"at": 1, "run": "r1", "goal": "do it", "workers": 2, **fields})


def planned(*tasks):
    return TasksPlanned(at=2, tasks=tasks)


def sent(name, attempt=1):
    return TaskDispatched(at=3, task=name, attempt=attempt)


def ended(name, status=TaskStatus.COMPLETED, attempt=1, **fields):
    if status is TaskStatus.COMPLETED:
        fields.setdefault("result", {})
    return TaskStatusUpdated(at=4, task=name, attempt=attempt, status=status, **fields)


def failed(name, error="broken", attempt=1):
    return ended(name, TaskStatus.FAILED, attempt, error=error)


def asked(name, question="which?", attempt=1):
    return [
        ended(name, TaskStatus.NEEDS_CLARIFICATION, attempt, question=question),
        ClarificationRequested(at=4, task=name, question=question),
    ]


def report(event):
    return HandleExecutorEvent(now=NOW, event=event)


def go_on():
    return Continue(now=NOW)


def same(events, expected):
    """Events without their times, which are the command's."""
    assert [msgspec.structs.replace(one, at=0) for one in events] == [
        msgspec.structs.replace(one, at=0) for one in expected
    ]
    assert {one.at for one in events} <= {NOW}


CASES = {
    "a goal is accepted with all that it depends on": (
        [],
        Initialize(
            now=NOW, run="r1", goal="do it", folder="/f", out="/o", answers=("a",), model="m:x", workers=3
        ),
        [requested(folder="/f", out="/o", answers=("a",), model="m:x", workers=3)],
    ),
    "a proposed plan becomes the plan, as new as can be": (
        [requested()],
        ProposePlan(
            now=NOW,
            tasks=(
                msgspec.structs.replace(task("a"), status=TaskStatus.COMPLETED, attempt=7, result={"x": 1}),
                task("b", "a a", "a"),
            ),
            planner="rules",
            notes=("n",),
        ),
        [TasksPlanned(at=0, tasks=(task("a"), task("b", "a")), planner="rules", notes=("n",))],
    ),
    "planning that failed fails the run": (
        [requested()],
        FailPlanning(now=NOW, code="PLAN_ANSWER", error="no plan"),
        [PlanFailed(at=0, code="PLAN_ANSWER", error="no plan")],
    ),
    "a second plan changes nothing": (
        [requested(), planned(task("a"))],
        ProposePlan(now=NOW, tasks=(task("b"),)),
        [],
    ),
    "late news of planning changes nothing": (
        [requested(), planned(task("a"))],
        FailPlanning(now=NOW, code="X", error="x"),
        [],
    ),
    "nothing goes on without a plan": ([requested()], go_on(), []),
    "ready tasks are dispatched side by side": (
        [requested(), planned(task("a"), task("b"), task("c", "a b"))],
        go_on(),
        [sent("a"), sent("b")],
    ),
    "no more tasks at a time than workers": (
        [requested(), planned(task("a"), task("b"), task("c")), sent("a")],
        go_on(),
        [sent("b")],
    ),
    "all workers are busy": (
        [requested(workers=1), planned(task("a"), task("b")), sent("a")],
        go_on(),
        [],
    ),
    "the critical path comes first": (
        [requested(workers=1), planned(task("a"), task("b"), task("c", "b"))],
        go_on(),
        [sent("b")],
    ),
    "the longer task comes first": (
        [requested(workers=1), planned(task("a", seconds=2), task("b", seconds=5))],
        go_on(),
        [sent("b")],
    ),
    "who holds up something important is important": (
        [
            requested(workers=1),
            planned(task("long", seconds=99), task("small"), task("urgent", "small", priority=5)),
        ],
        go_on(),
        [sent("small")],
    ),
    "a result is recorded": (
        [requested(), planned(task("a")), sent("a")],
        report(TaskCompleted("a", 1, {"n": 1})),
        [ended("a", result={"n": 1})],
    ),
    "a failure is recorded": (
        [requested(), planned(task("a")), sent("a")],
        report(TaskFailed("a", 1, "broken")),
        [failed("a")],
    ),
    "a question is recorded and asked": (
        [requested(), planned(task("a")), sent("a")],
        report(TaskNeedsClarification("a", 1, "which?")),
        asked("a"),
    ),
    "answers given in advance are used in order": (
        [
            requested(answers=("one", "two")),
            planned(task("a"), task("b")),
            sent("a"),
            sent("b"),
            *asked("a"),
            ClarificationReceived(at=4, task="a", text="one", source=AnswerSource.RECORDED),
        ],
        report(TaskNeedsClarification("b", 1, "and?")),
        [
            *asked("b", "and?"),
            ClarificationReceived(at=0, task="b", text="two", source=AnswerSource.RECORDED),
        ],
    ),
    "a person's answer goes to who asked first": (
        [requested(), planned(task("a"), task("b")), sent("a"), sent("b"), *asked("b"), *asked("a")],
        AnswerClarification(now=NOW, text="this"),
        [ClarificationReceived(at=0, task="b", text="this")],
    ),
    "a person's answer goes to the task it names": (
        [requested(), planned(task("a"), task("b")), sent("a"), sent("b"), *asked("b"), *asked("a")],
        AnswerClarification(now=NOW, text="this", task="a"),
        [ClarificationReceived(at=0, task="a", text="this")],
    ),
    "an executor may bring an answer": (
        [requested(), planned(task("a")), sent("a"), *asked("a")],
        report(ClarificationProvided("a", "this")),
        [ClarificationReceived(at=0, task="a", text="this", source=AnswerSource.EXECUTOR)],
    ),
    "an answer that was not asked for is ignored": (
        [requested(), planned(task("a")), sent("a")],
        report(ClarificationProvided("a", "this")),
        [ResultIgnored(at=0, task="a", attempt=1, reason="an answer that was not asked for")],
    ),
    "an answered task goes on, and only that one": (
        [
            requested(),
            planned(task("a"), task("b")),
            sent("a"),
            sent("b"),
            *asked("a"),
            *asked("b"),
            ClarificationReceived(at=5, task="a", text="x"),
        ],
        go_on(),
        [sent("a", 2)],
    ),
    "other branches go on while somebody is asked": (
        [requested(), planned(task("a"), task("b"), task("c", "a")), sent("a"), *asked("a")],
        go_on(),
        [sent("b")],
    ),
    "an open question is no end": (
        [requested(), planned(task("a"), task("b")), sent("a"), *asked("a"), sent("b"), ended("b")],
        go_on(),
        [],
    ),
    "a result of an old attempt is ignored": (
        [requested(), planned(task("a")), sent("a"), sent("a", 2)],
        report(TaskCompleted("a", 1, {"old": True})),
        [ResultIgnored(at=0, task="a", attempt=1, reason="attempt 2 runs now")],
    ),
    "a second result is ignored": (
        [requested(), planned(task("a"), task("b")), sent("a"), ended("a")],
        report(TaskFailed("a", 1, "late")),
        [ResultIgnored(at=0, task="a", attempt=1, reason="the task is completed")],
    ),
    "a result of nobody is ignored": (
        [requested(), planned(task("a"))],
        report(TaskCompleted("z", 1, {})),
        [ResultIgnored(at=0, task="z", attempt=1, reason="no such task")],
    ),
    "a new owner dispatches again what ran": (
        [requested(), planned(task("a"), task("b"), task("c")), sent("a"), sent("b"), ended("b")],
        Recover(now=NOW),
        [sent("a", 2)],
    ),
    "a failed task lets the rest go on": (
        [requested(workers=3), planned(task("a"), task("b", "a"), task("c")), sent("a"), failed("a")],
        go_on(),
        [sent("c")],
    ),
    "a task waits for the end, not the success, of optional ones": (
        [requested(), planned(task("a"), task("b"), task("r", "", "a b")), sent("a"), failed("a")],
        go_on(),
        [sent("b")],
    ),
    "a task starts when its optional ones failed or are blocked": (
        [requested(), planned(task("a"), task("b", "a"), task("r", "", "a b")), sent("a"), failed("a")],
        go_on(),
        [sent("r")],
    ),
    "all completed is the end": (
        [requested(), planned(task("a")), sent("a"), ended("a")],
        go_on(),
        [PlanningCompleted(at=0, summary="1 task completed")],
    ),
    "nothing left to run is the end, and says what failed": (
        [requested(), planned(task("a"), task("b", "a"), task("c", "b")), sent("a"), failed("a")],
        go_on(),
        [
            PlanFailed(
                at=0,
                code="TASKS_FAILED",
                error="1 of 3 tasks failed (a), so 2 could not start (b, c). First failure, a: broken",
                failed=("a",),
                blocked=("b", "c"),
            )
        ],
    ),
    "after the end nothing goes on": (
        [requested(), planned(task("a")), PlanCancelled(at=5)],
        go_on(),
        [],
    ),
    "after the end nothing is taken up again": (
        [requested(), planned(task("a")), sent("a"), PlanCancelled(at=5)],
        Recover(now=NOW),
        [],
    ),
    "after the end results are not recorded": (
        [requested(), planned(task("a")), sent("a"), PlanCancelled(at=5)],
        report(TaskCompleted("a", 1, {})),
        [],
    ),
    "a run is cancelled": (
        [requested(), planned(task("a")), sent("a")],
        Cancel(now=NOW, reason="enough"),
        [PlanCancelled(at=0, reason="enough")],
    ),
    "before a goal there is nothing to do": ([], go_on(), []),
    "before a goal there is nothing to compact": ([], CompactContext(now=NOW, max_tokens=10), []),
    "before a goal there is nothing to cancel": ([], Cancel(now=NOW), []),
}


@pytest.mark.parametrize(("given", "when", "then"), CASES.values(), ids=CASES)
def test_given_events_when_a_command_comes_then_these_events(given, when, then):
    planner = Planner.fold(given)
    before = planner.state
    same(planner.process(when), then)
    assert planner.state is before


BAD_PLANS = {
    "cycle": ((task("a", "b"), task("b", "c"), task("c", "a")), "PLAN_CYCLE", "a -> b -> c -> a"),
    "cycle by an optional dependency": (
        (task("a", "b"), task("b", "", "a")),
        "PLAN_CYCLE",
        "a -> b -> a",
    ),
    "itself": ((task("a", "a"),), "PLAN_CYCLE", "a -> a"),
    "unknown dependency": ((task("a", "ghost"),), "UNKNOWN_DEPENDENCY", "'ghost'"),
    "unknown optional dependency": ((task("a", "", "ghost"),), "UNKNOWN_DEPENDENCY", "'ghost'"),
    "two of one id": ((task("a"), task("a")), "PLAN", "Two tasks"),
    "no id": ((task(" "),), "PLAN", "no id"),
    "no task": ((), "PLAN", "no task"),
}


@pytest.mark.feature("DAG-01")
@pytest.mark.parametrize(("tasks", "code", "words"), BAD_PLANS.values(), ids=BAD_PLANS)
def test_a_plan_that_cannot_be_run_is_rejected_and_in_the_end_fails(tasks, code, words):
    planner = Planner.fold([requested()])
    first = planner.process(ProposePlan(now=NOW, tasks=tasks))
    assert [type(event) for event in first] == [PlanRejected]
    assert (first[0].code, words in first[0].problem) == (code, True)
    planner = planner.apply(first)
    assert planner.state.status is RunStatus.PLANNING
    assert words in planner.state.rejected
    second = planner.process(ProposePlan(now=NOW, tasks=tasks))
    assert [type(event) for event in second] == [PlanRejected, PlanFailed]
    planner = planner.apply(second)
    assert planner.state.status is RunStatus.FAILED
    assert planner.state.error_code == code
    assert planner.state.tasks == {}


def test_a_better_plan_after_a_rejected_one_is_taken():
    planner = Planner.fold([requested()])
    planner = planner.apply(planner.process(ProposePlan(now=NOW, tasks=())))
    planner = planner.apply(planner.process(ProposePlan(now=NOW, tasks=(task("a"),))))
    assert planner.state.status is RunStatus.RUNNING


REFUSED = {
    "empty goal": ([], Initialize(now=NOW, run="r", goal=" \t\n"), EmptyGoalError),
    "goal without a word": ([], Initialize(now=NOW, run="r", goal="?!"), EmptyGoalError),
    "no worker": ([], Initialize(now=NOW, run="r", goal="x", workers=0), UsageError),
    "unknown profile": (
        [],
        Initialize(now=NOW, run="r", goal="x", config=PlannerConfig(profile="odd")),
        UsageError,
    ),
    "accepted twice": ([requested()], Initialize(now=NOW, run="r1", goal="x"), RunStateError),
    "an answer to nothing": ([requested()], AnswerClarification(now=NOW, text="x"), RunStateError),
    "an answer to another task": (
        [requested(), planned(task("a"), task("b")), sent("a"), *asked("a")],
        AnswerClarification(now=NOW, text="x", task="b"),
        RunStateError,
    ),
    "an end after the end": ([requested(), PlanCancelled(at=2)], Cancel(now=NOW), RunStateError),
}


@pytest.mark.parametrize(("given", "when", "error"), REFUSED.values(), ids=REFUSED)
def test_what_a_caller_may_not_ask_is_refused(given, when, error):
    with pytest.raises(error):
        Planner.fold(given).process(when)


def test_status_and_conditions_follow_the_events():
    planner = Planner.fold([requested(workers=1)])
    assert planner.state.status is RunStatus.PLANNING
    planner = planner.apply([planned(task("a"), task("b"), task("c", "b"))])
    conditions = {name: planner.state.condition(name) for name in "abc"}
    assert conditions == {
        "a": TaskCondition.READY,
        "b": TaskCondition.READY,
        "c": TaskCondition.PLANNED,
    }
    planner = planner.apply([sent("b"), *asked("b"), sent("a")])
    assert planner.state.status is RunStatus.RUNNING
    assert planner.state.waiting_for_clarification
    planner = planner.apply([ended("a")])
    assert planner.state.status is RunStatus.WAITING
    assert planner.state.tasks["b"].question == "which?"
    planner = planner.apply(
        [ClarificationReceived(at=5, task="b", text="x"), sent("b", 2), failed("b", attempt=2)]
    )
    assert planner.state.condition("c") is TaskCondition.BLOCKED
    assert planner.state.condition("b") is TaskCondition.FAILED
    cancelled = Planner.fold([requested(), planned(task("a")), sent("a"), PlanCancelled(at=9)])
    assert cancelled.state.status is RunStatus.CANCELLED
    assert cancelled.state.condition("a") is TaskCondition.CANCELLED
    assert cancelled.state.tasks["a"].status is TaskStatus.RUNNING


def test_times_of_tasks_come_from_the_events():
    planner = Planner.fold([requested(), planned(task("a")), sent("a"), ended("a")])
    assert (planner.state.times["a"].started, planner.state.times["a"].ended) == (3, 4)
    assert (planner.state.created_at, planner.state.updated_at, planner.state.cursor) == (1, 4, 4)
