"""`dashflow events` of a whole log: all of it, by category, type and correlation, and live."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dashflow.log.base import Append
from dashflow.log.groups import ConsumerGroup
from dashflow.log.sqlite import SqliteLog
from dashflow.planner.runs import PlanRequest, PlanRuns
from dashflow.testing.log_case import new_event

pytestmark = pytest.mark.feature("LOG-02", "LOG-07")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A log with a plan, another program's stream, and a consumer group's."""
    path = tmp_path / "log.db"
    log = SqliteLog(path)
    runs = PlanRuns(log, executors=())
    runs.accept(PlanRequest("Write a report.", out=str(tmp_path / "out")))
    log.append(Append("order-1", [new_event("Placed"), new_event("Paid")]))
    with ConsumerGroup(log, "billing", category="order").consumer() as consumer:
        consumer.take(0).ack()
    log.close()
    return path


def command(path: Path, *words: object) -> list[str]:
    return [sys.executable, "-m", "dashflow", "events", *map(str, words), "--db", str(path)]


def call(path: Path, *words: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command(path, *words), capture_output=True, text=True, check=False, env=dict(os.environ)
    )


def types(path: Path, *words: object) -> list[str]:
    done = call(path, *words, "--json")
    assert done.returncode == 0, done.stderr
    return [json.loads(line)["type"] for line in done.stdout.splitlines()]


def test_all_events_or_some(path: Path) -> None:
    everything = types(path)
    assert everything[:3] == ["PlanRequested", "Placed", "Paid"]
    assert {"GroupCreated", "ConsumerJoined", "MessagesClaimed", "MessagesSettled"} < set(everything)
    assert types(path, "--category", "order") == ["Placed", "Paid"]
    assert types(path, "--type", "Paid", "--type", "PlanRequested") == ["PlanRequested", "Paid"]
    assert types(path, "--after", 2, "--category", "order") == ["Paid"]
    assert types(path, "--correlation", "nobody") == []
    assert types(path, "last", "--type", "PlanFailed") == []


def test_lines_for_people_name_the_stream(path: Path) -> None:
    shown = call(path, "--category", "group").stdout
    assert "group-billing" in shown
    assert "acknowledged" in shown
    assert "size=7" in call(path, "--type", "Paid").stdout


def test_a_category_beside_a_run_is_refused(path: Path) -> None:
    done = call(path, "last", "--category", "plan")
    assert (done.returncode, "leave --category out" in done.stderr) == (2, True)


def test_a_log_that_is_not_there_cannot_be_followed(tmp_path: Path) -> None:
    assert types(tmp_path / "typo.db") == []
    done = call(tmp_path / "typo.db", "--follow")
    assert (done.returncode, "no log at" in done.stderr.lower()) == (2, True)
    assert not (tmp_path / "typo.db").exists()


def test_following_shows_what_comes(path: Path) -> None:
    follow = subprocess.Popen(
        command(path, "--follow", "--category", "order", "--json"),
        stdout=subprocess.PIPE,
        text=True,
        env=dict(os.environ),
    )
    found = [json.loads(follow.stdout.readline())["type"] for _ in range(2)]
    log = SqliteLog(path)
    log.append(Append("order-1", [new_event("Shipped")]))
    log.close()
    found.append(json.loads(follow.stdout.readline())["type"])
    follow.kill()
    follow.communicate()
    assert found == ["Placed", "Paid", "Shipped"]
