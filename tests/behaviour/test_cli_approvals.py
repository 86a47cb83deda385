"""`dashflow approvals`: what waits for whom, the audit trail, decisions; for people and as JSON."""

import json
import os
import subprocess
import sys

import pytest

from dashflow.hitl import Approvals, Origin, Terms
from dashflow.log.open import open_log
from dashflow.planner import Task, TaskKind
from dashflow.planner.executors.base import Completed
from dashflow.planner.planning import Proposal
from dashflow.planner.runs import PlanRequest, PlanRuns

pytestmark = pytest.mark.feature("HIL-005", "NEW-09", "DX-002")

TWO = Terms(("ann", "@board"), groups={"board": ("bob", "eve")}, quorum=2, expires_after=3600)


class Desk:
    """A folder with a log, and the command there."""

    def __init__(self, path):
        self.path = path
        self.where = str(path / "log.db")
        log = open_log(self.where)
        approvals = Approvals(log)
        self.hash = approvals.ask("pay 82000", {"amount": 82000}, TWO, approval="inv-7", by="robot").hash
        approvals.ask("open the gate", {"gate": "\x1b[31mB"}, Terms(("eve",)), approval="gate")
        log.close()

    def say(self, *words, code=0):
        done = subprocess.run(
            [sys.executable, "-m", "dashflow", "approvals", *words, "--db", self.where],
            cwd=self.path,
            capture_output=True,
            text=True,
            env=dict(os.environ),
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done

    def json(self, *words, code=0):
        return json.loads(self.say(*words, "--json", code=code).stdout)


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def test_what_waits_for_whom(desk):
    mine = desk.json("list", "--as", "ann")
    assert [row["approval"] for row in mine["approvals"]] == ["inv-7"]
    assert (mine["schema"], mine["person"]) == (1, "ann")
    everything = desk.json("list")
    assert [row["approval"] for row in everything["approvals"]] == ["gate", "inv-7"]
    assert everything["approvals"][1]["waits_for"] == ["ann", "bob", "eve"]
    assert desk.json("list", "--status", "approved")["approvals"] == []
    text = desk.say("list", "--as", "eve").stdout
    assert text.index("inv-7") < text.index("gate")
    assert "Nothing waits for zed." in desk.say("list", "--as", "zed").stdout


def test_show_decide_and_the_trail(desk):
    shown = desk.json("show", "inv")
    assert (shown["payload"], shown["hash"], shown["quorum"]) == ({"amount": 82000}, desk.hash, "2 of 3")
    assert shown["next"][0].startswith(f"dashflow approvals approve inv-7 --as NAME --hash {desk.hash[:12]}")
    desk.say("abstain", "inv-7", "--as", "bob", "--hash", desk.hash)
    said = desk.say("approve", "inv-7", "--as", "bob", "--hash", desk.hash[:8], "--comment", "checked")
    assert said.stderr == "bob: approve. inv-7 is open. It waits for ann, eve.\n"
    desk.say("withdraw", "inv-7", "--as", "bob", "--comment", "one moment")
    desk.say("comment", "inv-7", "the invoice is attached", "--as", "robot")
    for person in ("bob", "ann"):
        view = desk.json(
            "approve", "inv-7", "--as", person, "--hash", desk.hash, "--answer-id", f"m-{person}"
        )
    assert (view["status"], view["reason"], view["decided_by"]) == ("approved", "quorum", ["ann", "bob"])
    assert desk.json("approve", "inv-7", "--as", "ann", "--hash", desk.hash, "--answer-id", "m-ann") == view
    assert [(row["type"], row["by"]) for row in view["trail"]] == [
        ("ApprovalRequested", ""),
        ("VoteCast", "bob"),
        ("VoteCast", "bob"),
        ("VoteWithdrawn", "bob"),
        ("ApprovalCommented", "robot"),
        ("VoteCast", "bob"),
        ("VoteCast", "ann"),
        ("ApprovalDecided", "ann, bob"),
    ]
    text = desk.say("show", "inv-7").stdout
    for words in ("approved", "82000", "approve", "not abstain any more: checked", "the invoice is attached"):
        assert words in text


def test_nothing_in_a_payload_reaches_the_terminal_as_a_command(desk):
    assert "\x1b" not in desk.say("show", "gate").stdout


def test_what_is_refused(desk):
    for code, words in (
        ("UNKNOWN_APPROVAL", ("show", "nothing")),
        ("NOT_ENTITLED", ("approve", "inv-7", "--as", "mallory", "--hash", desk.hash)),
        ("STALE_APPROVAL", ("approve", "inv-7", "--as", "ann", "--hash", "00000000")),
        ("STALE_APPROVAL", ("approve", "inv-7", "--as", "ann", "--hash", desk.hash[:4])),
    ):
        assert desk.json(*words, code=2)["error"]["code"] == code
    assert "--hash" in desk.say("approve", "inv-7", "--as", "ann", code=2).stderr
    desk.say("cancel", "inv-7", "--as", "robot", "--reason", "paid")
    assert desk.json("reject", "inv-7", "--as", "ann", "--hash", desk.hash, code=2)["error"]["code"] == (
        "APPROVAL_STATE"
    )
    assert desk.json("show", "inv-7")["status"] == "cancelled"


def test_a_plan_that_waits_says_for_what_and_goes_on(desk):
    class Office:
        kinds = frozenset(TaskKind)

        def plan(self, request):
            return Proposal((Task("a", "shut down", TaskKind.TOOL_CALL, approval=Terms(("ann",))),), "office")

        def execute(self, execution):
            return Completed({})

    log = open_log(desk.where)
    office = Office()
    runs = PlanRuns(log, executors=[office], planning=office)
    run = runs.accept(PlanRequest("work"), run="r-1")
    runs.run(run)
    log.close()
    shown = subprocess.run(
        [sys.executable, "-m", "dashflow", "show", "r-1", "--db", desk.where, "--json"],
        capture_output=True, text=True, check=True, cwd=desk.path,
    )  # fmt: skip
    view = json.loads(shown.stdout)
    assert view["status"] == "waiting"
    assert [held["approval"] for held in view["approvals"]] == ["r-1.a"]
    assert view["next"][0].startswith("dashflow approvals show r-1.a")
    text = subprocess.run(
        [sys.executable, "-m", "dashflow", "show", "r-1", "--db", desk.where],
        capture_output=True, text=True, check=True, cwd=desk.path,
    ).stdout  # fmt: skip
    assert "waits for approval r-1.a" in text
    decided = desk.json("approve", "r-1.a", "--as", "ann", "--hash", view_hash(desk, "r-1.a"))
    assert decided["next"] == [f"dashflow resume r-1 --db {desk.where}"]
    assert Origin("plan", "r-1", "a").kind in decided["origin"]
    events = subprocess.run(
        [sys.executable, "-m", "dashflow", "events", "--correlation", "r-1", "--db", desk.where, "--json"],
        capture_output=True, text=True, check=True, cwd=desk.path,
    )  # fmt: skip
    lines = [json.loads(line) for line in events.stdout.splitlines()]
    assert lines[-1]["data"]["outcome"] == "approved"
    told = [line["type"] for line in lines]
    assert told[-3:] == ["ApprovalRequested", "VoteCast", "ApprovalDecided"]


def view_hash(desk, approval):
    return desk.json("show", approval)["hash"]
