"""`dashflow runs`, `show`, `events`, `state`: what the log holds, told to people and to programs."""

import json
import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.feature("DX-002")

QUICK = "Find TODO comments and write a report."
ASKING = f"{QUICK} Ask me which folders to leave out."


def call(folder, *words, **more):
    return subprocess.run(
        [sys.executable, "-m", "dashflow", *words],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),  # not the C library's, into which readline writes a width
        **more,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a log of two runs: one completed, then one that waits."""
    folder = tmp_path_factory.mktemp("look")
    (folder / "shop").mkdir()
    (folder / "shop" / "stock.py").write_text("STOCK = 3  # TODO: count\n")
    assert call(folder, "run", QUICK, "--on", "shop").returncode == 0
    assert call(folder, "run", ASKING, "--on", "shop").returncode == 3
    return folder


@pytest.fixture(scope="module")
def rows(folder):
    return json.loads(call(folder, "runs", "--json").stdout)["runs"]


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def test_runs_are_listed_newest_first(folder, rows):
    assert [row["status"] for row in rows] == ["waiting", "completed"]
    assert [row["goal"] for row in rows] == [ASKING, QUICK]
    shown = call(folder, "runs").stdout.splitlines()
    assert [line.split()[0] for line in shown[1:]] == [row["run"] for row in rows]
    assert ASKING in shown[1]


def test_a_log_that_is_not_there_is_empty_and_stays_away(folder):
    done = call(folder, "runs", "--db", "typo.db")
    assert done.returncode == 0
    assert "No runs in typo.db" in done.stdout
    assert json.loads(call(folder, "runs", "--db", "typo.db", "--json").stdout)["runs"] == []
    assert call(folder, "show", "last", "--db", "typo.db").returncode == 2
    assert not (folder / "typo.db").exists()


def test_the_log_can_be_named_by_the_environment(folder, monkeypatch):
    monkeypatch.setenv("DASHFLOW_DB", "typo.db")
    assert json.loads(call(folder, "runs", "--json").stdout)["runs"] == []
    again = call(folder, "runs", "--json", "--db", ".dashflow/log.db")
    assert len(json.loads(again.stdout)["runs"]) == 2


def test_a_run_is_found_by_last_and_by_a_unique_start(folder, rows):
    newest, oldest = rows
    for name, run in (("last", newest), (newest["run"], newest), (oldest["run"], oldest)):
        assert json.loads(call(folder, "show", name, "--json").stdout)["run"] == run["run"]
    unique = next(
        newest["run"][:length]
        for length in range(1, 99)
        if not oldest["run"].startswith(newest["run"][:length])
    )
    assert json.loads(call(folder, "show", unique, "--json").stdout)["run"] == newest["run"]
    ambiguous = call(folder, "show", unique[:-1])
    assert ambiguous.returncode == 2
    assert newest["run"] in ambiguous.stderr
    assert oldest["run"] in ambiguous.stderr


def test_show_draws_the_plan_as_a_tree(folder, rows):
    waiting, completed = (call(folder, "show", row["run"]) for row in rows)
    assert completed.stdout.splitlines()[0] == QUICK
    assert "└── ✓ t1 analysis" in completed.stdout
    assert "    └── ✓ t2 processing" in completed.stdout
    assert "completed, 0." in completed.stdout
    assert "? t1 clarification" in waiting.stdout
    assert "Which folders should be left out?" in waiting.stdout
    assert "--resume" in waiting.stdout


def test_show_as_json_names_dependencies_and_durations(folder, rows):
    view = json.loads(call(folder, "show", rows[1]["run"], "--json").stdout)
    first, second = view["tasks"]
    assert (first["kind"], first["state"], first["after"], first["after_optional"]) == (
        "analysis",
        "completed",
        [],
        [],
    )
    assert second["after_optional"] == [first["id"]]
    assert isinstance(first["seconds"], float)
    assert "exit_code" not in view


def test_events_are_json_lines_with_their_envelope(folder, rows):
    done = call(folder, "events", rows[1]["run"], "--json")
    events = lines(done.stdout)
    assert [event["version"] for event in events] == list(range(1, len(events) + 1))
    assert events[0]["type"] == "PlanRequested"
    assert events[0]["data"]["goal"] == QUICK
    assert events[-1]["type"] == "PlanningCompleted"
    assert all(event["stream"] == f"plan-{rows[1]['run']}" for event in events)
    assert all(event["correlation_id"] == rows[1]["run"] for event in events)
    known = {event["event_id"] for event in events} | {""}
    assert len(known) == len(events) + 1
    assert {event["causation_id"] for event in events} <= known
    shown = call(folder, "events", rows[1]["run"]).stdout.splitlines()
    assert len(shown) == len(events)
    assert "PlanRequested" in shown[0]


def test_following_a_finished_run_ends(folder, rows):
    followed = call(folder, "events", rows[1]["run"], "--follow", "--json")
    assert followed.returncode == 0
    assert followed.stdout == call(folder, "events", rows[1]["run"], "--json").stdout


def test_following_shows_what_comes_until_the_end(folder):
    run = json.loads(call(folder, "run", ASKING, "--on", "shop", "--db", "f.db", "--json").stdout)["run"]
    words = [sys.executable, "-m", "dashflow", "events", run, "-f", "--json", "--db", "f.db"]
    with subprocess.Popen(words, cwd=folder, stdout=subprocess.PIPE, text=True) as follower:
        seen = []
        while not seen or seen[-1]["type"] != "ClarificationRequested":
            seen.append(json.loads(follower.stdout.readline()))
        assert call(folder, "answer", run, "none", "--resume", "--db", "f.db").returncode == 0
        rest, _ = follower.communicate()
    assert follower.returncode == 0
    events = call(folder, "events", run, "--json", "--db", "f.db").stdout
    assert seen + lines(rest) == lines(events)


def test_a_reader_that_has_enough_ends_it_quietly(folder):
    script = f"{sys.executable} -m dashflow events last --json | head -n 1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no device that is full")
def test_a_full_disk_under_the_output_is_said(folder):
    with open("/dev/full", "w") as full:
        words = [sys.executable, "-m", "dashflow", "runs", "--json"]
        done = subprocess.run(words, cwd=folder, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "No space left" in line


def test_state_now_and_earlier(folder, rows):
    run = rows[1]["run"]
    now = json.loads(call(folder, "state", run, "--json").stdout)
    assert (now["thread"], now["kind"]) == (run, "plan")
    assert {task["status"] for task in now["state"]["tasks"].values()} == {"completed"}
    first = json.loads(call(folder, "state", run, "--at", "1", "--json").stdout)
    assert (first["version"], first["state"]["goal"], first["state"]["tasks"]) == (1, QUICK, {})
    assert json.loads(call(folder, "state", run, "--at", "0", "--json").stdout)["state"]["goal"] == ""
    shown = call(folder, "state", run).stdout
    assert shown.startswith(f"plan {run} at version {now['version']}")
    assert QUICK in shown
    late = call(folder, "state", run, "--at", "999")
    assert late.returncode == 2
    assert str(now["version"]) in late.stderr


@pytest.fixture(scope="module")
def graph(folder):
    """A log with a graph's thread, one value of which is of a class that the command line has not."""
    program = folder / "counting.py"
    program.write_text(
        "from dataclasses import dataclass\n"
        "from typing import TypedDict\n\n"
        "from dashflow.checkpoint.sqlite import SqliteSaver\n"
        "from dashflow.graph import END, START, StateGraph\n\n\n"
        "@dataclass\nclass Price:\n    cents: int\n\n\n"
        "class State(TypedDict):\n    count: int\n    price: Price\n\n\n"
        "graph = StateGraph(State)\n"
        "graph.add_node('add', lambda state: {'count': state['count'] + 1, 'price': Price(250)})\n"
        "graph.add_edge(START, 'add')\ngraph.add_edge('add', END)\n"
        "with SqliteSaver.from_conn_string('graph.db') as saver:\n"
        "    compiled = graph.compile(checkpointer=saver)\n"
        "    compiled.invoke({'count': 1}, {'configurable': {'thread_id': 'shop-1'}})\n"
    )
    subprocess.run([sys.executable, program.name], cwd=folder, check=True)
    return "graph.db"


def test_a_graph_thread_is_shown_without_its_program(folder, graph):
    (folder / "counting.py").rename(folder / "gone.txt")
    events = lines(call(folder, "events", "shop", "--json", "--db", graph).stdout)
    assert [event["stream"] for event in events] == ["run-shop-1"] * len(events)
    view = json.loads(call(folder, "state", "last", "--json", "--db", graph).stdout)
    assert (view["thread"], view["kind"], view["version"]) == ("shop-1", "graph", len(events))
    assert view["state"]["values"]["count"] == 2
    assert view["state"]["values"]["price"]["fields"] == {"cents": 250}
    earlier = json.loads(call(folder, "state", "shop-1", "--at", "1", "--json", "--db", graph).stdout)
    assert "count" not in earlier["state"]["values"]
    assert "shop-1" in call(folder, "state", "last", "--db", graph).stdout
    assert call(folder, "show", "shop-1", "--db", graph).returncode == 2


def test_json_survives_any_stream_encoding(folder, rows, monkeypatch):
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    assert json.loads(call(folder, "runs", "--json").stdout)["runs"] == rows
    shown = call(folder, "show", rows[1]["run"])
    assert shown.returncode == 0
    assert "+ t1 analysis" in shown.stdout
    assert shown.stdout.isascii()


def test_a_width_given_by_the_environment_is_kept(folder, monkeypatch):
    monkeypatch.setenv("COLUMNS", "50")
    for words in (("runs",), ("show", "last"), ("events", "last")):
        shown = call(folder, *words).stdout.splitlines()
        assert max(len(line) for line in shown) <= 50, words
