"""Cancels across processes: a run in another process ends, and a dead one's is ended."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dashflow.checkpoint.sqlite import SqliteSaver
from tests.crash.cancel_child import build

CHILD = Path(__file__).with_name("cancel_child.py")
ROOT = CHILD.parents[2]
CONFIG = {"configurable": {"thread_id": "t"}}


@pytest.fixture
def start(tmp_path):
    made = []

    def begin(kind):
        child = subprocess.Popen(
            [sys.executable, str(CHILD), str(tmp_path / "log.db"), "t", kind],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        made.append(child)
        assert child.stdout.readline() == "begun\n"
        return child

    yield begin
    for child in made:
        child.kill()
        child.communicate()


@pytest.mark.feature("RUN-08")
@pytest.mark.guarantee("cancel-wins")
@pytest.mark.parametrize("kind", ["asleep", "busy", "loop"])
def test_a_run_of_another_process_is_cancelled(start, tmp_path, kind):
    child = start(kind)
    with SqliteSaver.from_conn_string(str(tmp_path / "log.db")) as saver:
        graph = build(saver, kind)
        told = graph.cancel(CONFIG, reason="a test", wait=30)
        assert told.status == "cancelled"
        out, _ = child.communicate(timeout=30)
        assert out.splitlines()[-1] == "cancelled: a test"
        last = saver.log.read("run-t")
        assert [record.type for record in last[-2:]] == ["CancelRequested", "RunCancelled"]
        assert saver.log.streams(category="run")[0].owner == ""
        if kind != "loop":
            assert graph.get_state(CONFIG).values == {"n": 0}


@pytest.mark.feature("RUN-08")
def test_who_waits_ends_what_a_process_left_that_died_while_it_was_cancelled(start, tmp_path):
    child = start("stuck")
    with SqliteSaver.from_conn_string(str(tmp_path / "log.db")) as saver:
        graph = build(saver, "stuck")
        assert graph.cancel(CONFIG).status == "cancelling"
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        assert graph.cancel(CONFIG, wait=30).status == "cancelled"


@pytest.mark.feature("RUN-08")
def test_a_worker_ends_it_too(start, tmp_path):
    from dashflow.worker import Worker

    child = start("stuck")
    with SqliteSaver.from_conn_string(str(tmp_path / "log.db")) as saver:
        graph = build(saver, "stuck")
        assert graph.cancel(CONFIG).status == "cancelling"
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        reports = []
        Worker(graph, saver, tell=reports.append).run(once=True)
        assert [report.what for report in reports] == ["cancelled"]
        assert saver.log.read("run-t")[-1].type == "RunCancelled"


@pytest.mark.feature("RUN-08")
def test_the_command_line_cancels_a_graph_thread(start, tmp_path):
    child = start("asleep")
    command = [sys.executable, "-m", "dashflow", "cancel", "t", "--db", str(tmp_path / "log.db"), "--json"]
    done = subprocess.run(
        [*command, "--wait", "30", "--reason", "by hand"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    view = json.loads(done.stdout)
    assert (view["thread"], view["status"]) == ("t", "cancelled")
    out, _ = child.communicate(timeout=30)
    assert out.splitlines()[-1] == "cancelled: by hand"
