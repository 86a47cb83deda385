"""What a run is accepted with, and how its plan is made, before any task runs."""

import msgspec
import pytest

from dashflow.errors import (
    EmptyGoalError,
    PlanCycleError,
    PlanError,
    UnknownRunError,
    UsageError,
    WorkspaceError,
)
from dashflow.hosts.simulated import SimulatedHost
from dashflow.hosts.sync import SyncHost
from dashflow.log.memory import MemoryLog
from dashflow.log.open import open_log
from dashflow.planner import RunStatus, Task, TaskKind
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


class TestAccepting:
    def test_everything_the_run_depends_on_is_recorded_before_anything_runs(
        self, log, host, tmp_path, monkeypatch
    ):
        (tmp_path / "code").mkdir()
        (tmp_path / "code" / "a.py").write_text("x = 1\n")
        monkeypatch.chdir(tmp_path)
        runs = runs_of(log, host, Doing())
        run = runs.accept(
            PlanRequest("do \udcff it", "code", "results", answers=("a", "b"), model=None, workers=3)
        )
        state = runs.state(run)
        assert (state.goal, state.answers, state.workers) == ("do \\udcff it", ("a", "b"), 3)
        assert (state.folder, state.out) == (str(tmp_path / "code"), str(tmp_path / "results"))
        assert not (tmp_path / "results").exists()
        unnamed = runs.accept(PlanRequest("do it"))
        assert runs.state(unnamed).out == str(tmp_path / "dashflow-out" / unnamed)

    def test_ids_are_short_sort_by_time_and_never_collide(self, tmp_path):
        log = MemoryLog()
        day = 86_400 * 10**9
        ids = []
        for number in range(40):
            host = SimulatedHost(seed=number, start=1_763_683_200_000_000_000 + number * day // 8)
            ids.append(accept(runs_of(log, host, Doing()), tmp_path))
        assert ids == sorted(ids)
        assert ids[0] == "r-20251121-000000"[: len("r-20251121-0000")] + ids[0][15:]
        many = runs_of(log, SyncHost(), Doing())
        assert len({accept(many, tmp_path) for _ in range(100)}) == 100

    @pytest.mark.parametrize("goal", ["", "  \n", "?!"])
    def test_an_empty_goal_is_refused(self, log, host, goal):
        with pytest.raises(EmptyGoalError):
            runs_of(log, host, Doing()).accept(PlanRequest(goal))
        assert log.streams() == []

    def test_a_folder_that_cannot_be_worked_on_is_refused(self, log, host, tmp_path):
        (tmp_path / "empty").mkdir()
        (tmp_path / "binary").mkdir()
        (tmp_path / "binary" / "x.bin").write_bytes(b"\0\1\2" * 10)
        (tmp_path / "a.py").write_text("x = 1")
        runs = runs_of(log, host, Doing())
        for name, words in [
            ("missing", "does not exist"),
            ("a.py", "is no folder"),
            ("empty", "no code and no text"),
            ("binary", "no code and no text"),
            ("bad\0name", "cannot be looked at"),
            ("bad\udcffname", "cannot be recorded"),
        ]:
            with pytest.raises(WorkspaceError, match=words) as caught:
                runs.accept(PlanRequest("do it", str(tmp_path / name)))
            assert isinstance(caught.value, UsageError)
        with pytest.raises(WorkspaceError, match="in the way"):
            runs.accept(PlanRequest("do it", out=str(tmp_path / "a.py" / "out")))
        with pytest.raises(UsageError, match="0 workers"):
            runs.accept(PlanRequest("do it", workers=0))
        assert log.streams() == []

    def test_an_unknown_run_is_said_to_be_unknown(self, log, host):
        runs = runs_of(log, host, Doing())
        for ask in (runs.run, runs.state, runs.events, runs.cancel, lambda run: runs.answer(run, "x")):
            with pytest.raises(UnknownRunError, match="r-nothing"):
                ask("r-nothing")


class TestPlanning:
    @pytest.mark.parametrize(
        ("tasks", "code"),
        [
            ([task("a", "b"), task("b", "a")], "PLAN_CYCLE"),
            ([task("a", "ghost")], "UNKNOWN_DEPENDENCY"),
            ([], "PLAN"),
        ],
    )
    def test_a_plan_that_cannot_be_run_fails_the_run_before_any_task(self, log, host, tmp_path, tasks, code):
        executor = Doing()
        runs = runs_of(log, host, executor, *tasks)
        run = accept(runs, tmp_path)
        state = runs.run(run)
        assert (state.status, state.error_code) == (RunStatus.FAILED, code)
        assert executor.done == []
        assert types(runs, run).count("PlanRejected") == 2

    def test_a_planner_that_gives_up_fails_the_run(self, log, host, tmp_path):
        class Hopeless:
            def plan(self, request):
                raise PlanCycleError(["a", "b"])

        runs = PlanRuns(log, host=host, executors=[Doing()], planning=Hopeless())
        state = runs.run(accept(runs, tmp_path))
        assert (state.status, state.error_code) == (RunStatus.FAILED, "PLAN_CYCLE")

    def test_a_plan_that_cannot_be_stored_fails_the_run(self, log, host, tmp_path):
        odd = msgspec.structs.replace(task("a"), params={"what": object()})
        runs = runs_of(log, host, Doing(), odd)
        state = runs.run(accept(runs, tmp_path))
        assert (state.status, state.error_code) == (RunStatus.FAILED, "VALUE_CODEC")

    def test_a_planner_that_breaks_leaves_the_run_to_be_resumed(self, log, host, tmp_path):
        class Broken:
            def plan(self, request):
                raise OSError("no network")

        runs = PlanRuns(log, host=host, executors=[Doing()], planning=Broken())
        run = accept(runs, tmp_path)
        with pytest.raises(OSError, match="no network"):
            runs.run(run)
        assert runs.unfinished() == [run]
        assert runs_of(log, host, Doing(), task("a")).run(run).status is RunStatus.COMPLETED

    def test_the_second_plan_is_asked_for_with_the_first_ones_problem(self, log, host, tmp_path):
        problems = []

        class Learning:
            def plan(self, request):
                problems.append(request.problem)
                return Proposal((task("a", "" if request.problem else "ghost"),), "learning")

        runs = PlanRuns(log, host=host, executors=[Doing()], planning=Learning())
        assert runs.run(accept(runs, tmp_path)).status is RunStatus.COMPLETED
        assert problems[0] == ""
        assert "ghost" in problems[1]

    def test_planning_errors_are_plan_errors(self):
        assert issubclass(PlanCycleError, PlanError)
