"""`dashflow batch`: real processes on real files, without a terminal; kill -9 and Ctrl-C in the middle."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter

import pytest

pytestmark = pytest.mark.feature("BATCH-001", "BATCH-004", "DX-002")

AGENTS = """
import os, sys
from typing import TypedDict
from dashflow.graph import START, StateGraph

class State(TypedDict, total=False):
    id: str
    n: int
    double: int

def mark(what):
    with open("effects", "a") as file:
        file.write(what + "\\n")

def check(state):
    mark(f"check {state['id']}")
    return {}

def double(state):
    if state["n"] < 0 and not os.path.exists("mended"):
        raise ValueError(f"{state['n']} is negative")
    if state["n"] == 50 and os.path.exists("hold"):
        print("held", flush=True)
        sys.stdin.readline()
    return {"double": 2 * state["n"]}

builder = StateGraph(State).add_node("check", check).add_node("double", double)
builder.add_edge(START, "check").add_edge("check", "double")
graph = builder.compile()
"""

VIEW = {
    "schema", "batch", "status", "work", "target", "source", "accepted", "input_ended", "completed", "failed",
    "open", "reason", "owner", "created_at", "updated_at", "ended_at", "seconds", "log", "next",
}  # fmt: skip


class Shop:
    """A folder with a graph and items."""

    def __init__(self, path):
        self.path = path
        self.processes = []
        (path / "agents.py").write_text(AGENTS)
        self.items([{"id": f"i{n}", "n": n} for n in range(5)])

    def items(self, items):
        (self.path / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))

    def start(self, *words):
        process = subprocess.Popen(
            [sys.executable, "-m", "dashflow", "batch", *words],
            cwd=self.path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(os.environ),
        )
        self.processes.append(process)
        return process

    def close(self):
        """End what a test that failed left running."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.communicate()

    def call(self, *words):
        process = self.start(*words)
        out, err = process.communicate()
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    def run(self, *more):
        return self.call(*RUN, *more)

    def lines(self, *words):
        done = self.call("results", "b", *words)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def effects(self):
        return Counter((self.path / "effects").read_text().splitlines())


RUN = ("run", "agents.py:graph", "--input", "items.jsonl", "--name", "b", "--key", "id")


@pytest.fixture
def shop(tmp_path):
    made = Shop(tmp_path)
    yield made
    made.close()


def test_every_line_of_a_file_goes_through_the_graph(shop):
    done = shop.run("--json")
    assert done.returncode == 0, done.stderr
    view = json.loads(done.stdout)
    assert view.keys() == VIEW | {"exit_code"}
    assert (view["status"], view["accepted"], view["completed"], view["exit_code"]) == ("completed", 5, 5, 0)
    assert done.stderr == "Batch b. If it is stopped: dashflow batch resume b\n"
    assert shop.lines()[3] == {
        "index": 3,
        "key": "i3",
        "attempts": 1,
        "value": {"id": "i3", "n": 3, "double": 6},
    }
    array = shop.call("results", "b", "--format", "json")
    assert [row["value"]["double"] for row in json.loads(array.stdout)] == [0, 2, 4, 6, 8]


def test_people_get_a_summary_and_a_list(shop):
    assert "5 of 5 completed, 0 failed, 0 open" in shop.run().stdout
    assert "dashflow batch results b" in shop.call("status", "b").stdout
    listed = shop.call("status").stdout.splitlines()
    assert listed[0].split() == ["status", "batch", "completed", "failed", "accepted", "written"]
    assert "completed" in listed[1]
    assert " b " in listed[1]


def test_what_failed_is_shown_mended_and_tried_again(shop):
    shop.items([{"id": "x", "n": -1}, {"id": "y", "n": 2}])
    done = shop.run("--json")
    assert done.returncode == 4
    assert json.loads(done.stdout)["failed"] == 1
    assert shop.lines("--failed") == [
        {
            "index": 0,
            "key": "x",
            "attempts": 1,
            "kind": "ValueError",
            "message": "-1 is negative",
            "value": {"id": "x", "n": -1},
        }
    ]
    (shop.path / "mended").touch()
    again = shop.call("retry", "b", "x")
    assert again.returncode == 0
    assert again.stderr == "1 item of batch b requeued.\n"
    done = shop.call("resume", "b")
    assert done.returncode == 0, done.stderr
    assert shop.effects() == {"check x": 1, "check y": 1}, "the graph got a checkpointer, and went on inside"
    assert shop.call("retry", "b", "x").returncode == 2
    assert shop.lines("--failed") == []


def test_too_many_failures_stop_a_batch(shop):
    shop.items([{"id": str(n), "n": -n} for n in range(1, 400)])
    done = shop.run("--failure-threshold", "10%", "--concurrency", "1", "--json")
    view = json.loads(done.stdout)
    assert (done.returncode, view["status"]) == (4, "stopped")
    assert "of 10 finished items failed" in view["reason"]
    assert "dashflow batch resume b" in view["next"]
    (shop.path / "mended").touch()
    assert shop.call("retry", "b", "--resume").returncode == 0
    assert json.loads(shop.call("status", "b", "--json").stdout)["completed"] == 399


def test_a_killed_batch_is_resumed_and_repeats_nothing(shop):
    shop.items([{"id": str(n), "n": n} for n in range(120)])
    (shop.path / "hold").touch()
    process = shop.start(*RUN, "--concurrency", "1")
    assert process.stdout.readline() == "held\n"
    view = json.loads(shop.call("status", "b", "--json").stdout)
    assert (view["status"], view["completed"]) == ("running", 50)
    assert shop.call("resume", "b").returncode == 5
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert json.loads(shop.call("status", "b", "--json").stdout)["status"] == "stopped"
    (shop.path / "hold").unlink()
    done = shop.call("resume", "b", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["completed"] == 120
    effects = shop.effects()
    assert set(effects) == {f"check {n}" for n in range(120)}
    assert {mark for mark, times in effects.items() if times > 1} <= {"check 50"}


def test_ctrl_c_leaves_a_batch_in_good_order(shop):
    shop.items([{"id": str(n), "n": n} for n in range(120)])
    (shop.path / "hold").touch()
    process = shop.start(*RUN, "--concurrency", "1", "--json")
    assert process.stdout.readline() == "held\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate("go on\n")
    assert process.returncode == 130, err
    assert "Left; nothing is lost. Go on with: dashflow batch resume b" in err
    view = json.loads(out)
    assert (view["status"], view["exit_code"], view["owner"]) == ("stopped", 130, "")
    assert 50 <= view["completed"] < 120
    (shop.path / "hold").unlink()
    assert shop.call("resume", "b").returncode == 0
    assert max(shop.effects().values()) == 1


def test_a_running_batch_is_paused_and_cancelled_from_outside(shop):
    shop.items([{"id": str(n), "n": n} for n in range(120)])
    (shop.path / "hold").touch()
    process = shop.start(*RUN, "--concurrency", "1", "--json")
    assert process.stdout.readline() == "held\n"
    assert json.loads(shop.call("pause", "b", "--reason", "lunch", "--json").stdout)["status"] == "paused"
    out, _ = process.communicate("go on\n")
    assert (process.returncode, json.loads(out)["reason"]) == (130, "lunch")
    assert json.loads(shop.call("cancel", "b", "--json").stdout)["status"] == "cancelled"
    refused = shop.call("resume", "b")
    assert refused.returncode == 2
    assert "Batch 'b' is cancelled" in refused.stderr


def test_goals_are_items_of_the_planner(shop):
    (shop.path / "shop").mkdir()
    (shop.path / "shop" / "a.py").write_text("STOCK = 3  # TODO: count\n")
    goal = "Find TODO comments and write a report."
    (shop.path / "goals.jsonl").write_text(json.dumps({"goal": goal, "folder": "shop"}) + "\n")
    done = shop.call("run", "plan", "--input", "goals.jsonl", "--name", "b")
    assert done.returncode == 0, done.stderr
    (row,) = shop.lines()
    assert row["value"]["run"] == "b+0"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", "agents.py:nothing", "--input", "items.jsonl", "--name", "b"), "There is no 'nothing'"),
        (("run", "agents.py:graph", "--input", "none.jsonl", "--name", "b"), "cannot be read: No such file"),
        (
            ("run", "agents.py:graph", "--input", "bad.jsonl", "--name", "b"),
            "Line 2 of 'bad.jsonl' is no JSON",
        ),
        (
            ("run", "agents.py:graph", "--input", "items.jsonl", "--name", "b", "--key", "no"),
            "has no field 'no'",
        ),
        (("run", "agents.py:graph", "--input", "items.jsonl", "--name", "b", "--rate", "fast"), "is no rate"),
        (
            ("run", "agents.py:graph", "--input", "items.jsonl", "--name", "b", "--failure-threshold", "x"),
            "is no threshold",
        ),
        (("status", "nothing"), "No batch 'nothing'"),
        (("results", "nothing"), "No batch 'nothing'"),
        (("resume", "nothing"), "No batch 'nothing'"),
        (("retry", "nothing"), "No batch 'nothing'"),
        (("pause", "nothing"), "No batch 'nothing'"),
    ],
)
def test_bad_input_is_named(shop, words, message):
    (shop.path / "bad.jsonl").write_text('{"id": "a", "n": 1}\n{oops\n')
    done = shop.call(*words)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr


def test_other_items_under_the_same_name_are_refused(shop):
    assert shop.run().returncode == 0
    shop.items([{"id": "z", "n": 9}])
    done = shop.run()
    assert done.returncode == 2
    assert "5 were accepted before" in done.stderr
