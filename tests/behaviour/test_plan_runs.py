"""Plan runs end to end, with small executors: on memory and on SQLite, with threads and simulated."""

import copy
import threading

import pytest

from dashflow.errors import (
    FencedError,
    OwnershipConflictError,
    RunStateError,
    StorageUnavailableError,
)
from dashflow.hosts.simulated import SimulatedHost
from dashflow.hosts.sync import SyncHost
from dashflow.log.base import Append
from dashflow.log.memory import MemoryLog
from dashflow.log.open import open_log
from dashflow.planner import RunStatus, Task, TaskKind, TaskStatus
from dashflow.planner.core.codec import encode, stream_of
from dashflow.planner.core.events import (
    AnswerSource,
    ClarificationReceived,
    TaskDispatched,
    TasksPlanned,
    TaskStatusUpdated,
)
from dashflow.planner.executors.base import Completed, Failed, NeedsClarification
from dashflow.planner.planning import Proposal
from dashflow.planner.runs import PlanRequest, PlanRuns

pytestmark = pytest.mark.feature("PLAN-01", "PLAN-02")


@pytest.fixture(params=["memory", "sqlite"])
def log(request, tmp_path):
    opened = MemoryLog() if request.param == "memory" else open_log(tmp_path / "log.db")
    yield opened
    opened.close()


@pytest.fixture(params=["threads", "simulated"])
def host(request):
    return SyncHost() if request.param == "threads" else SimulatedHost(seed=7)


class Scripted:
    """Plans what it was told, whatever the goal."""

    def __init__(self, *tasks):
        self.tasks = tasks

    def plan(self, request):
        return Proposal(self.tasks, "script")


class Doing:
    """An executor of functions by task id; keeps what it executed. Without a function: completed."""

    kinds = frozenset(TaskKind)

    def __init__(self, **functions):
        self.functions = functions
        self.done = []

    def execute(self, execution):
        self.done.append(execution.task.id)
        function = self.functions.get(execution.task.id)
        return function(execution) if function else Completed({"by": execution.task.id})

    def times(self, task):
        return self.done.count(task)


def task(name, needs="", after="", kind=TaskKind.TOOL_CALL):
    return Task(
        name, name, kind, dependencies=tuple(needs.split()), optional_dependencies=tuple(after.split())
    )


def asking(question):
    def execute(execution):
        if execution.task.answer is None:
            return NeedsClarification(question)
        return Completed({"answer": execution.task.answer})

    return execute


def failing(execution):
    return Failed("broken on purpose")


def runs_of(log, host, executor, *tasks):
    return PlanRuns(log, host=host, executors=[executor], planning=Scripted(*tasks))


def accept(runs, tmp_path, **fields):
    return runs.accept(PlanRequest(goal="do it", out=str(tmp_path / "out"), **fields))


def types(runs, run):
    return [record.type for record, _ in runs.events(run)]


def test_a_plan_runs_to_its_end(log, host, tmp_path):
    executor = Doing()
    runs = runs_of(log, host, executor, task("a"), task("b"), task("c", "a b"))
    run = accept(runs, tmp_path)
    assert runs.state(run).status is RunStatus.PLANNING
    assert runs.unfinished() == [run]
    state = runs.run(run)
    assert state.status is RunStatus.COMPLETED
    assert state == runs.state(run)
    assert sorted(executor.done) == ["a", "b", "c"]
    assert executor.done[-1] == "c"
    assert runs.unfinished() == []
    (summary,) = runs.list()
    assert (summary.run, summary.goal, summary.status) == (run, "do it", RunStatus.COMPLETED)
    assert (summary.tasks_done, summary.tasks_total, summary.owner) == (3, 3, "")


def test_a_task_gets_what_the_tasks_before_it_found(log, host, tmp_path):
    seen = {}

    def look(execution):
        seen.update(
            inputs=copy.deepcopy(dict(execution.inputs)),
            statuses={one.id: one.status for one in execution.tasks.values()},
            rest=(execution.folder, execution.out, execution.goal, execution.idempotency_key),
        )
        execution.inputs["a"]["by"] = "changed"
        return Completed({})

    runs = runs_of(log, host, Doing(b=failing, r=look), task("a"), task("b"), task("r", "a", "b"))
    run = accept(runs, tmp_path)
    state = runs.run(run)
    assert seen["inputs"] == {"a": {"by": "a"}}
    assert seen["statuses"]["b"] is TaskStatus.FAILED
    assert seen["rest"] == (None, tmp_path / "out", "do it", f"{run}/r")
    assert state.tasks["a"].result == {"by": "a"}, "an executor must not reach the state"


def test_a_failed_task_blocks_only_what_needs_it(log, host, tmp_path):
    executor = Doing(a=failing)
    runs = runs_of(
        log, host, executor, task("a"), task("b", "a"), task("c"), task("d", "c"), task("report", "", "b d")
    )
    state = runs.run(accept(runs, tmp_path))
    assert state.status is RunStatus.FAILED
    assert state.error_code == "TASKS_FAILED"
    assert "broken on purpose" in state.error
    assert sorted(executor.done) == ["a", "c", "d", "report"]
    assert state.condition("b") == "blocked"


def test_an_exception_in_an_executor_fails_its_task(log, host, tmp_path):
    def explode(execution):
        raise ValueError("no good \udcff")

    def leave(execution):
        raise SystemExit(3)

    def odd(execution):
        return "done"

    def unstorable(execution):
        return Completed({"thread": threading.current_thread()})

    executor = Doing(a=explode, b=leave, c=odd, d=unstorable)
    runs = runs_of(log, host, executor, *(task(name) for name in "abcde"))
    state = runs.run(accept(runs, tmp_path))
    errors = {name: state.tasks[name].error for name in "abcd"}
    assert errors["a"] == "ValueError: no good \\udcff"
    assert errors["b"] == "SystemExit: 3"
    assert "returned str instead of" in errors["c"]
    assert "cannot be recorded" in errors["d"]
    assert state.tasks["e"].status is TaskStatus.COMPLETED


def test_a_kind_that_nobody_takes_fails_its_task(log, host, tmp_path):
    executor = Doing()
    executor.kinds = frozenset({TaskKind.ANALYSIS})
    runs = runs_of(log, host, executor, task("a"), task("b", kind=TaskKind.ANALYSIS))
    state = runs.run(accept(runs, tmp_path))
    assert "'tool_call'" in state.tasks["a"].error
    assert state.tasks["b"].status is TaskStatus.COMPLETED


@pytest.mark.feature("HIL-001")
class TestQuestions:
    def test_answers_given_with_the_request_are_used_in_order(self, log, host, tmp_path):
        executor = Doing(a=asking("first?"), b=asking("second?"))
        runs = runs_of(log, host, executor, task("a"), task("b", "a"))
        run = accept(runs, tmp_path, answers=("one", "two"))
        state = runs.run(run, ask=lambda task, question: pytest.fail("nobody need be asked"))
        assert state.status is RunStatus.COMPLETED
        assert [state.tasks[name].result["answer"] for name in "ab"] == ["one", "two"]

    def test_who_is_asked_answers_and_it_is_recorded_before_it_is_used(self, log, host, tmp_path):
        asked = []

        def ask(task, question):
            asked.append((task, question))
            return "blue \udc80"

        executor = Doing(a=asking("which colour?"))
        runs = runs_of(log, host, executor, task("a"), task("b", "a"))
        run = accept(runs, tmp_path)
        state = runs.run(run, ask=ask)
        assert asked == [("a", "which colour?")]
        assert state.tasks["a"].result == {"answer": "blue \\udc80"}
        order = types(runs, run)
        assert order.index("ClarificationReceived") < order.index("PlanningCompleted")
        answers = [event for _, event in runs.events(run) if isinstance(event, ClarificationReceived)]
        assert answers[0].source is AnswerSource.PERSON

    @pytest.mark.parametrize("ask", [None, lambda task, question: None])
    def test_without_an_answer_the_run_waits_and_other_branches_are_done(self, log, host, tmp_path, ask):
        executor = Doing(a=asking("which?"))
        runs = runs_of(log, host, executor, task("a"), task("b", "a"), task("c"))
        run = accept(runs, tmp_path)
        state = runs.run(run, ask=ask)
        assert state.status is RunStatus.WAITING
        assert state.tasks["c"].status is TaskStatus.COMPLETED
        assert runs.unfinished() == []
        assert runs.list()[0].owner == ""
        events = len(runs.events(run))
        assert runs.run(run).status is RunStatus.WAITING
        assert len(runs.events(run)) == events, "waiting writes nothing"
        assert runs.answer(run, "this").status is RunStatus.RUNNING
        assert runs.unfinished() == [run]
        state = runs.run(run)
        assert state.status is RunStatus.COMPLETED
        assert state.tasks["a"].result == {"answer": "this"}
        assert executor.times("c") == 1

    def test_an_answer_can_be_given_to_one_of_several_questions(self, log, host, tmp_path):
        executor = Doing(a=asking("a?"), b=asking("b?"))
        runs = runs_of(log, host, executor, task("a"), task("b"))
        run = accept(runs, tmp_path)
        assert set(runs.run(run).questions) == {"a", "b"}
        runs.answer(run, "for b", task="b")
        with pytest.raises(RunStateError, match="open questions: a"):
            runs.answer(run, "again", task="b")
        state = runs.run(run)
        assert state.tasks["b"].result == {"answer": "for b"}
        assert state.status is RunStatus.WAITING
        assert executor.times("a") == 1, "an open question is not asked again"

    def test_a_task_may_ask_again(self, log, host, tmp_path):
        def twice(execution):
            if execution.task.attempt < 3:
                return NeedsClarification(f"question {execution.task.attempt}?")
            return Completed({"answer": execution.task.answer})

        runs = runs_of(log, host, Doing(a=twice), task("a"))
        replies = iter(["one", "two"])
        state = runs.run(accept(runs, tmp_path), ask=lambda task, question: next(replies))
        assert state.tasks["a"].result == {"answer": "two"}

    def test_an_answer_to_nothing_is_refused(self, log, host, tmp_path):
        runs = runs_of(log, host, Doing(), task("a"))
        run = accept(runs, tmp_path)
        with pytest.raises(RunStateError):
            runs.answer(run, "this")

    def test_an_answer_from_elsewhere_reaches_a_run_that_is_busy(self, tmp_path):
        log = MemoryLog()
        elsewhere = PlanRuns(MemoryLog(log.store), executors=[])

        def busy(execution):
            while execution.tasks["a"].status is not TaskStatus.RUNNING and not execution.cancelled():
                pytest.fail("b is started beside a")
            asked.wait()
            elsewhere.answer(execution.run, "from afar")
            while not answered.is_set():
                execution.cancelled()  # where a busy task lets the flow look at the log
            return Completed({})

        def wondering(execution):
            if execution.task.answer is None:
                return NeedsClarification("which?")
            answered.set()
            return Completed({"answer": execution.task.answer})

        def watch(event):
            if getattr(event, "question", None):
                asked.set()

        asked, answered = threading.Event(), threading.Event()
        runs = runs_of(log, SyncHost(), Doing(a=wondering, b=busy), task("a"), task("b"))
        state = runs.run(accept(runs, tmp_path), watch=watch)
        assert state.status is RunStatus.COMPLETED
        assert state.tasks["a"].result == {"answer": "from afar"}


class TestOwnership:
    def test_a_second_owner_is_refused_before_anything_runs(self, log, tmp_path):
        started, go = threading.Event(), threading.Event()

        def hold(execution):
            started.set()
            go.wait()
            return Completed({})

        first = Doing(a=hold)
        runs = runs_of(log, SyncHost(), first, task("a"), task("b", "a"))
        run = accept(runs, tmp_path)
        states = []
        thread = threading.Thread(target=lambda: states.append(runs.run(run)))
        thread.start()
        started.wait()
        second = Doing()
        try:
            with pytest.raises(OwnershipConflictError):
                runs_of(log, SyncHost(), second).run(run)
            assert runs.list()[0].owner != ""
            assert runs.unfinished() == []
        finally:
            go.set()
            thread.join()
        assert states[0].status is RunStatus.COMPLETED
        assert second.done == []
        assert runs.list()[0].owner == ""

    def test_two_processes_on_one_file_have_one_owner(self, tmp_path):
        started, go = threading.Event(), threading.Event()

        def hold(execution):
            started.set()
            go.wait()
            return Completed({})

        with_one, with_other = open_log(tmp_path / "log.db"), open_log(tmp_path / "log.db")
        runs = runs_of(with_one, SyncHost(), Doing(a=hold), task("a"))
        run = accept(runs, tmp_path)
        thread = threading.Thread(target=runs.run, args=(run,))
        thread.start()
        started.wait()
        try:
            with pytest.raises(OwnershipConflictError):
                runs_of(with_other, SyncHost(), Doing()).run(run)
        finally:
            go.set()
            thread.join()
            with_one.close()
        assert runs_of(with_other, SyncHost(), Doing()).run(run).status is RunStatus.COMPLETED
        with_other.close()

    def test_an_owner_that_was_away_past_its_lease_commits_nothing(self, tmp_path):
        clock = [0]
        log = MemoryLog(lease_seconds=10, clock=lambda: clock[0])
        other = MemoryLog(log.store, lease_seconds=10, clock=lambda: clock[0])
        states = []

        def fall_asleep(execution):
            clock[0] += 11 * 10**9
            states.append(runs_of(other, SyncHost(), Doing()).run(execution.run))
            return Completed({"by": "the zombie"})

        zombie = Doing(a=fall_asleep)
        runs = runs_of(log, SyncHost(), zombie, task("a"), task("b", "a"))
        run = accept(runs, tmp_path)
        with pytest.raises(FencedError):
            runs.run(run)
        assert zombie.done == ["a"]
        assert states[0].status is RunStatus.COMPLETED
        assert runs.state(run) == states[0]
        assert states[0].tasks["a"].result == {"by": "a"}

    def test_a_run_that_lacks_only_its_end_gets_it_and_has_no_owner(self, log, host, tmp_path):
        executor = Doing()
        runs = runs_of(log, host, executor, task("a"))
        run = accept(runs, tmp_path)
        events = [
            TasksPlanned(at=1, tasks=(task("a"),)),
            TaskDispatched(at=2, task="a", attempt=1),
            TaskStatusUpdated(at=3, task="a", attempt=1, status=TaskStatus.COMPLETED, result={}),
        ]
        news = [encode(event, event_id=bytes([number]) * 16) for number, event in enumerate(events)]
        log.append(Append(stream_of(run), news, expected=1))
        assert runs.unfinished() == [run]
        assert runs.run(run).status is RunStatus.COMPLETED
        assert executor.done == []
        assert runs.list()[0].owner == ""

    def test_an_interrupted_run_is_given_up_and_can_be_resumed(self, log, host, tmp_path):
        def interrupt(execution):
            raise KeyboardInterrupt

        runs = runs_of(log, host, Doing(b=interrupt), task("a"), task("b", "a"), task("c", "b"))
        run = accept(runs, tmp_path)
        with pytest.raises(KeyboardInterrupt):
            runs.run(run)
        assert runs.unfinished() == [run]
        again = Doing()
        state = runs_of(log, host, again).run(run)
        assert state.status is RunStatus.COMPLETED
        assert again.done == ["b", "c"], "what is recorded as completed does not run again"
        assert state.tasks["b"].attempt == 2

    def test_a_log_that_fails_loses_nothing_that_was_recorded(self, host, tmp_path):
        class Filling(MemoryLog):
            room = 10**6

            def append(self, append):
                if append.events and self.room < len(append.events):
                    raise StorageUnavailableError(self.where, "disk full")
                self.room -= len(append.events)
                return super().append(append)

            def submit(self, append):
                raise NotImplementedError

        for room in range(2, 14):
            log = Filling()
            runs = runs_of(log, host, Doing(), task("a"), task("b", "a"), task("c", "b"))
            run = accept(runs, tmp_path)
            log.room = room
            try:
                runs.run(run)
            except StorageUnavailableError:
                before = runs.state(run)
            else:
                break
            log.room = 10**6
            again = Doing()
            assert runs_of(log, host, again, *runs._planning.tasks).run(run).status is RunStatus.COMPLETED
            recorded = {one.id for one in before.tasks.values() if one.status is TaskStatus.COMPLETED}
            assert set(again.done) == set("abc") - recorded


class TestCancelling:
    def test_a_run_that_is_not_running_is_cancelled(self, log, host, tmp_path):
        executor = Doing()
        runs = runs_of(log, host, executor, task("a"))
        run = accept(runs, tmp_path)
        assert runs.cancel(run, "changed my mind").status is RunStatus.CANCELLED
        assert runs.run(run).status is RunStatus.CANCELLED
        assert executor.done == []
        with pytest.raises(RunStateError):
            runs.cancel(run)

    def test_a_run_of_another_process_stops_when_its_tasks_look_up(self, tmp_path):
        log = MemoryLog()
        elsewhere = PlanRuns(MemoryLog(log.store), executors=[])

        def long(execution):
            elsewhere.cancel(execution.run, "enough")
            while not execution.cancelled():
                pass
            stopped.set()
            return Completed({"late": True})

        stopped = threading.Event()
        executor = Doing(a=long)
        runs = runs_of(log, SyncHost(), executor, task("a"), task("b", "a"))
        state = runs.run(accept(runs, tmp_path))
        assert stopped.is_set(), "nothing is left running"
        assert state.status is RunStatus.CANCELLED
        assert state.tasks["a"].result is None
        assert executor.done == ["a"]
        assert runs.list()[0].owner == ""

    def test_a_cancel_that_no_task_sees_counts_at_the_next_step(self, log, host, tmp_path):
        runs = None

        def cancel(execution):
            runs.cancel(execution.run)
            return Completed({})

        executor = Doing(a=cancel)
        runs = runs_of(log, host, executor, task("a"), task("b", "a"))
        state = runs.run(accept(runs, tmp_path))
        assert state.status is RunStatus.CANCELLED
        assert executor.done == ["a"]
