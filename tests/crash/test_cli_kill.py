"""kill -9 at random moments of the demo's goal: `dashflow resume` finishes it and repeats nothing."""

import json
import random
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from time import perf_counter

import pytest

from dashflow.log.open import open_log
from dashflow.planner.core.events import TaskDispatched, TaskStatusUpdated
from dashflow.planner.runs import PlanRuns

pytestmark = [pytest.mark.feature("DX-002", "PERSIST-000")]

GOAL = (
    "Audit this code: find functions longer than 60 lines and TODO or FIXME comments, run the tests, "
    "and write a report. Ask me which folders to leave out."
)
AUDIT = Path(__file__).parents[2] / "examples" / "audit"
LOG = Path(".dashflow", "log.db")
ROUNDS = 6
SOAK_ROUNDS = 50


def start(folder, *words):
    return subprocess.Popen(
        [sys.executable, "-m", "dashflow", *words, "--json"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def finish(folder, *words):
    """The JSON of a command that has to come to its end."""
    with start(folder, *words) as process:
        out, _ = process.communicate()
    assert process.returncode == 0, out
    return json.loads(out)


def killed(folder, seconds, *words):
    """Whether a command was killed before its end, after that many seconds at the latest."""
    with start(folder, *words) as process:
        try:
            process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            return True
    return False


def recorded(folder):
    """The runs in the folder's log, each with its state and its events."""
    if not (folder / LOG).exists():
        return {}
    with closing(open_log(folder / LOG)) as log:
        runs = PlanRuns(log, executors=())
        return {
            one.run: (runs.state(one.run), [event for _, event in runs.events(one.run)])
            for one in runs.list()
        }


def without_run(path):
    return {name: value for name, value in json.loads(Path(path).read_text()).items() if name != "run"}


def goal(project):
    return ("run", GOAL, "--on", str(project), "--answer", "none")


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the shipped project, so that what its tests write stays out of the repository."""
    folder = tmp_path_factory.mktemp("project") / "audit"
    shutil.copytree(AUDIT, folder, ignore=shutil.ignore_patterns("__pycache__", ".pytest_cache"))
    # As in its pyproject.toml, but pytest starts without the plugins that happen to be installed here.
    (folder / "pytest.ini").write_text(
        "[pytest]\ntestpaths = tests\npythonpath = .\naddopts = --disable-plugin-autoload\n"
    )
    return folder


@pytest.fixture(scope="module")
def undisturbed(project, tmp_path_factory):
    """Seconds and report of a run that nobody killed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    before = perf_counter()
    view = finish(folder, *goal(project))
    return perf_counter() - before, without_run(view["report"]["json"])


def check(project, undisturbed, folder, seed):
    """Kill a run at a random moment, perhaps its successor too; then resume it, and compare."""
    seconds, report = undisturbed
    moment = random.Random(seed)
    killed(folder, moment.uniform(0, 1.1) * seconds, *goal(project))
    if not recorded(folder):  # killed before the request was recorded: nothing was promised yet
        finish(folder, *goal(project))
    if moment.random() < 0.5:
        killed(folder, moment.uniform(0, 1) * seconds, "resume")
    finish(folder, "resume")
    ((state, events),) = recorded(folder).values()
    assert state.status == "completed"
    assert without_run(Path(state.out, "report.json")) == report
    completed = set()
    for event in events:
        if isinstance(event, TaskDispatched | TaskStatusUpdated):
            assert event.task not in completed, "a completed task was touched again"
        if isinstance(event, TaskStatusUpdated) and event.status == "completed":
            completed.add(event.task)
    assert completed == set(state.tasks)


@pytest.mark.parametrize("seed", range(ROUNDS))
@pytest.mark.guarantee("plans-resume")
def test_a_killed_run_is_finished_by_another_process(project, undisturbed, tmp_path, seed):
    check(project, undisturbed, tmp_path, seed)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(ROUNDS, ROUNDS + SOAK_ROUNDS))
def test_a_killed_run_is_finished_by_another_process_many_times(project, undisturbed, tmp_path, seed):
    check(project, undisturbed, tmp_path, seed)
