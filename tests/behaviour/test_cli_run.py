"""`dashflow run`, `resume`, `answer`, `cancel`: real processes on real folders, without a terminal."""

import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from dashflow.log.base import Append
from dashflow.log.open import open_log
from dashflow.planner.core.codec import encode
from dashflow.planner.core.events import PlanRequested

pytestmark = pytest.mark.feature("DX-002")

GOAL = (
    "Audit this code: find functions longer than 60 lines and TODO or FIXME comments, run the tests, "
    "and write a report. Ask me which folders to leave out."
)
QUICK = "Find TODO comments and write a report."

VIEW = {
    "schema": int,
    "run": str,
    "status": str,
    "goal": str,
    "folder": (str, type(None)),
    "out": str,
    "log": str,
    "model": (str, type(None)),
    "workers": int,
    "planned_by": str,
    "notes": list,
    "created_at": str,
    "ended_at": (str, type(None)),
    "seconds": (int, float, type(None)),
    "tasks": list,
    "questions": list,
    "approvals": list,
    "findings": (dict, type(None)),
    "report": dict,
    "error": (dict, type(None)),
    "next": list,
}


@pytest.fixture
def dashflow(tmp_path):
    """Runs the command line in a folder of its own, without a terminal."""

    def run(*words, stdin=subprocess.DEVNULL):
        return subprocess.run(
            [sys.executable, "-m", "dashflow", *words],
            cwd=tmp_path,
            stdin=stdin,
            capture_output=True,
            text=True,
            check=False,
            env=dict(os.environ),  # not the C library's, into which readline writes a width
        )

    return run


@pytest.fixture
def project(tmp_path):
    """A small project with one long function, two comments to find and one failing test."""
    folder = tmp_path / "shop"
    (folder / "tests").mkdir(parents=True)
    body = "\n".join(f"    total += {number}" for number in range(70))
    (folder / "prices.py").write_text(
        f"def price():\n    total = 0\n{body}\n    return total  # TODO: round\n"
    )
    (folder / "stock.py").write_text("# FIXME: never empty\nSTOCK = 3\n")
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --disable-plugin-autoload\n")  # starts sooner
    (folder / "tests" / "test_stock.py").write_text(
        "import unittest\n\n\n"
        "class StockTest(unittest.TestCase):\n"
        "    def test_right(self):\n        self.assertEqual(3, 3)\n\n"
        "    def test_wrong(self):\n        self.assertEqual(3, 4)\n"
    )
    return folder


def fits(view, shape):
    """Whether a JSON object has exactly these fields, of these types."""
    return view.keys() == shape.keys() and all(isinstance(view[name], kind) for name, kind in shape.items())


def test_a_goal_becomes_a_report(dashflow, project, tmp_path):
    done = dashflow("run", GOAL, "--on", "shop", "--answer", "none", "--json")
    assert done.returncode == 0, done.stderr
    view = json.loads(done.stdout)
    assert fits(view, {**VIEW, "exit_code": int})
    assert view["status"] == "completed"
    assert view["exit_code"] == 0
    assert view["folder"] == str(project)
    assert view["out"] == str(tmp_path / "dashflow-out" / view["run"])
    assert {task["state"] for task in view["tasks"]} == {"completed"}
    assert all(task["seconds"] >= 0 for task in view["tasks"])
    assert {"long_function", "todo", "fixme", "test_failure"} <= view["findings"].keys()
    report = json.loads(Path(view["report"]["json"]).read_text())
    assert len(report["findings"]) == sum(view["findings"].values())
    assert Path(view["report"]["markdown"]).is_file()


def test_the_run_is_announced_before_anything_runs(dashflow, project):
    done = dashflow("run", QUICK, "--on", "shop", "--json")
    run = json.loads(done.stdout)["run"]
    first, second, *_ = done.stderr.splitlines()
    assert first == f"Run {run} is recorded. If it is stopped: dashflow resume {run}"
    assert "planned" in second


def test_people_get_a_summary(dashflow, project):
    done = dashflow("run", GOAL, "--on", "shop", "--answer", "none")
    assert done.returncode == 0, done.stderr
    assert "completed" in done.stdout.splitlines()[0]
    for expected in ("findings", "long function", "test failure", "report.md", "report.json", "log.db"):
        assert expected in done.stdout
    assert "dashflow show r-" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


def test_a_question_without_a_terminal_stops_the_run_until_it_is_answered(dashflow, project):
    asked = dashflow("run", GOAL, "--on", "shop", "--json")
    assert asked.returncode == 3, asked.stderr
    view = json.loads(asked.stdout)
    assert (view["status"], view["exit_code"]) == ("waiting", 3)
    (question,) = view["questions"]
    assert "left out" in question["text"]
    assert question["answer_with"] == f"dashflow answer {view['run']} TEXT --resume"
    assert dashflow("resume", view["run"]).returncode == 3

    done = dashflow("answer", view["run"], "tests", "--resume", "--json")
    assert done.returncode == 0, done.stderr
    answered = json.loads(done.stdout)
    assert answered["status"] == "completed"
    assert "tests" in [task["answer"] for task in answered["tasks"]]


def test_an_answer_can_be_recorded_now_and_the_run_resumed_later(dashflow, project):
    run = json.loads(dashflow("run", GOAL, "--on", "shop", "--json").stdout)["run"]
    answered = dashflow("answer", run, "none")
    assert answered.returncode == 0
    assert answered.stdout == ""
    assert f"dashflow resume {run}" in answered.stderr
    again = dashflow("answer", run, "none", "--json")
    assert again.returncode == 2
    assert json.loads(again.stdout)["error"]["code"] == "RUN_STATE"
    done = dashflow("resume", "--json")
    assert done.returncode == 0, done.stderr
    (view,) = json.loads(done.stdout)["runs"]
    assert (view["run"], view["status"]) == (run, "completed")


def test_resume_without_a_run_leaves_those_that_wait_for_somebody(dashflow, project):
    run = json.loads(dashflow("run", GOAL, "--on", "shop", "--json").stdout)["run"]
    done = dashflow("resume")
    assert done.returncode == 0
    assert "Nothing to resume." in done.stderr
    assert f"dashflow show {run}" in done.stderr
    assert json.loads(dashflow("resume", "--json").stdout)["runs"] == []


def test_a_run_that_cannot_go_on_does_not_hold_up_the_others(dashflow, project, tmp_path):
    """The first run needs a model that this installation has not; the second was answered."""
    run = json.loads(
        dashflow("run", f"{QUICK} Ask me which folders to leave out.", "--on", "shop", "--json").stdout
    )
    assert dashflow("answer", run["run"], "none").returncode == 0
    asked = PlanRequested(
        at=1, run="r-0", goal=QUICK, folder=str(project), out=str(tmp_path), model="no:model"
    )
    with closing(open_log(tmp_path / ".dashflow" / "log.db")) as log:
        log.append(Append("plan-r-0", [encode(asked, event_id=bytes(16))]))
    done = dashflow("resume", "--json")
    assert done.returncode == 2, done.stderr
    view = json.loads(done.stdout)
    assert [(one["run"], one["status"]) for one in view["runs"]] == [(run["run"], "completed")]
    assert [error["code"] for error in view["errors"]] == ["USAGE"]
    assert "r-0" in done.stderr


def test_resuming_a_finished_run_tells_how_it_ended(dashflow, project):
    first = json.loads(dashflow("run", QUICK, "--on", "shop", "--json").stdout)
    events = dashflow("events", first["run"], "--json").stdout
    again = dashflow("resume", first["run"], "--json")
    assert again.returncode == 0
    assert json.loads(again.stdout) == first
    assert dashflow("events", first["run"], "--json").stdout == events


def test_a_cancelled_run_stays_cancelled(dashflow, project):
    run = json.loads(dashflow("run", GOAL, "--on", "shop", "--json").stdout)["run"]
    done = dashflow("cancel", run, "--reason", "not needed", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["status"] == "cancelled"
    resumed = dashflow("resume", run)
    assert resumed.returncode == 4
    assert "not needed" in resumed.stdout
    assert dashflow("cancel", run).returncode == 2
    assert dashflow("answer", run, "none").returncode == 2


def test_an_empty_goal_leaves_nothing_behind(dashflow, project, tmp_path):
    for goal in ("", "   ", "?!"):
        assert dashflow("run", goal, "--on", "shop").returncode == 2
    assert json.loads(dashflow("runs", "--json").stdout)["runs"] == []
    assert not (tmp_path / "dashflow-out").exists()


def test_out_and_db_can_be_elsewhere(dashflow, project, tmp_path):
    done = dashflow("run", QUICK, "--on", "shop", "--out", "here", "--db", "logs/a.db", "--json")
    assert done.returncode == 0, done.stderr
    view = json.loads(done.stdout)
    assert Path(view["report"]["json"]) == tmp_path / "here" / "report.json"
    assert view["next"] == [f"dashflow {one} {view['run']} --db logs/a.db" for one in ("show", "events")]
    assert (tmp_path / "logs" / "a.db").is_file()
    assert not (tmp_path / ".dashflow").exists()
    assert dashflow("--db", "logs/a.db", "show", "last").returncode == 0


def test_the_default_log_is_hidden_from_git(dashflow, project, tmp_path):
    assert dashflow("run", QUICK, "--on", "shop").returncode == 0
    assert (tmp_path / ".dashflow" / ".gitignore").read_text() == "*\n"


def test_what_comes_from_outside_cannot_steer_the_terminal(dashflow, project):
    (project / "odd.py").write_text("# TODO: \x1b]0;owned\x07\n")
    done = dashflow("run", f"{QUICK} \x1b[2J\x9b31m", "--on", "shop")
    shown = done.stdout + done.stderr + dashflow("show", "last").stdout + dashflow("events", "last").stdout
    assert done.returncode == 0, done.stderr
    assert not {"\x1b", "\x07", "\x9b"} & set(shown)


def test_nobody_reading_does_not_stop_a_run(dashflow, project, tmp_path):
    """Standard output and error go to a pipe whose reader is gone."""
    script = f'{sys.executable} -m dashflow run "{QUICK}" --on shop 2>&1 | true; exit ${{PIPESTATUS[0]}}'
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    (run,) = json.loads(dashflow("runs", "--json").stdout)["runs"]
    assert run["status"] == "completed"
