"""kill -9 between ask and answer, and between decision and resume: real processes on real logs.

A process kills itself at its n-th commit, right before it or right after it. Whoever comes next finds what is
left to do: asked once, each vote once, decided once, and the run comes to its end by itself.
"""

import json
import textwrap
from collections import Counter

import pytest

from dashflow.checkpoint.saver import LogSaver
from dashflow.hitl import Approvals, Terms
from dashflow.hitl.core.events import ApprovalReminded
from tests.crash.workplace import Folder

pytestmark = pytest.mark.feature("HIL-005", "NEW-09")

SHOP = """
    import os, signal, sys, time
    from typing import TypedDict
    from dashflow.checkpoint.saver import LogSaver
    from dashflow.graph import START, StateGraph
    from dashflow.hitl import Approvals, Terms, approval
    from dashflow.hosts.sync import SyncHost
    from dashflow.log.open import open_log
    from dashflow.worker import Worker
    from flows import mark

    class State(TypedDict, total=False):
        n: int
        outcome: str

    def ask(state):
        decision = approval("pay", {"n": state["n"]}, Terms(("ann", "bob"), quorum=2), name="a")
        return {"outcome": decision.outcome}

    def pay(state):
        mark("pay")
        return {}

    builder = StateGraph(State).add_node("ask", ask).add_node("pay", pay)
    graph = builder.add_edge(START, "ask").add_edge("ask", "pay").compile(name="shop")

    commits = [0]

    def die_at(number, after):
        # Whatever is appended goes through these two.
        def wrapped(method):
            async def call(self, log, append):
                commits[0] += 1
                if commits[0] == number and not after:
                    os.kill(os.getpid(), signal.SIGKILL)
                result = await method(self, log, append)
                if commits[0] == number and after:
                    if hasattr(result, "wait"):
                        result.wait()
                    os.kill(os.getpid(), signal.SIGKILL)
                return result
            return call
        SyncHost.append = wrapped(SyncHost.append)
        SyncHost.submit = wrapped(SyncHost.submit)

    class Stages:
        def __init__(self, log):
            self.saver = LogSaver(log)
            self.approvals = Approvals(log)
            self.graph = graph.with_checkpointer(self.saver)

        def ask(self):
            config = {"configurable": {"thread_id": "t"}}
            if not self.graph.get_state(config).created_at:
                self.graph.invoke({"n": 7}, config, durability="sync")

        def work(self):
            Worker(self.graph, self.saver, every=0.05).run(once=True)

        def vote(self):
            for person in ("ann", "bob"):
                seen = self.approvals.get("a").hash
                self.approvals.vote("a", person, "approve", seen=seen, answer=f"by {person}")

    if __name__ == "__main__":
        where, number, after, *stages = sys.argv[1:]
        there = Stages(open_log(where))
        for stage in stages:
            if stage == "die":
                die_at(int(number), after == "after")
            else:
                getattr(there, stage)()
        print(commits[0])
"""


class Shop(Folder):
    """A folder with a graph that asks before it pays."""

    def __init__(self, folder: Folder) -> None:
        super().__init__(folder.path, folder.place)
        (folder.path / "shop.py").write_text(textwrap.dedent(SHOP), encoding="utf-8")

    def live(self, *stages: str, number: int = 0, after: str = "before") -> int | None:
        """A process that goes through stages; how many commits it made, None when it was killed."""
        process = self.process("shop.py", self.where, str(number), after, *stages)
        out, err = process.communicate()
        if self.place is not None:
            self.place.end_lease(process.pid)
        assert process.returncode in (0, -9), err
        return int(out) if process.returncode == 0 else None

    def check(self) -> None:
        with self.log() as log:
            approvals = Approvals(log)
            kinds = [type(event).__name__ for _, event in approvals.history("a")]
            assert [kind for kind in kinds if kind != "DecisionTaken"] == [
                "ApprovalRequested",
                "VoteCast",
                "VoteCast",
                "ApprovalDecided",
            ]
            assert approvals.get("a").taken
            assert approvals.list()[0].status.value == "approved"
            state = LogSaver(log).reader.head("t")
            assert (state.status, state.values["outcome"]) == ("finished", "approved")
            events = Counter(record.type for record in log.read("run-t"))
            assert events["TaskInterrupted"] >= 1
        assert 1 <= self.effects()["pay"] <= 2  # a node may run again; what it does is not recorded twice


REST = {
    "ask": ("work", "ask", "work", "vote", "work", "work"),
    "vote": ("vote", "work", "work"),
    "work": ("work", "work"),
}
BEFORE = {"ask": (), "vote": ("ask",), "work": ("ask", "vote")}


def killed(folder: Folder, stage: str, number: int, after: str) -> bool:
    """Whether a process died at that commit of that stage; others finish, and all is as it should be."""
    shop = Shop(folder)
    for name in ("effects", "threads.db", "threads.db-wal", "threads.db-shm"):
        (folder.path / name).unlink(missing_ok=True)
    died = shop.live(*BEFORE[stage], "die", stage, number=number, after=after) is None
    shop.live(*REST[stage])
    shop.check()
    return died


@pytest.mark.parametrize("stage", ["ask", "vote"])
@pytest.mark.guarantee("approvals-asked-once")
def test_a_process_is_killed_between(folder, stage) -> None:
    """Asked, and the thread does not know of it yet; or decided, and nobody has heard of it."""
    assert killed(folder, stage, 2, "after")


@pytest.mark.parametrize(("stage", "number"), [("ask", 2), ("vote", 2), ("work", 3)])
@pytest.mark.guarantee("approvals-asked-once")
def test_a_process_is_killed_before(tmp_path, stage, number) -> None:
    """Accepted, and nobody was asked; one vote recorded; the run goes on."""
    assert killed(Folder(tmp_path), stage, number, "before")


@pytest.mark.soak
@pytest.mark.parametrize("after", ["before", "after"])
@pytest.mark.parametrize("stage", ["ask", "vote", "work"])
@pytest.mark.guarantee("approvals-asked-once")
def test_a_process_is_killed_at_every_commit(tmp_path, stage, after) -> None:
    number = 1
    while True:
        place = tmp_path / str(number)
        place.mkdir()
        if not killed(Folder(place), stage, number, after):
            break
        number += 1
    assert number > 2


@pytest.mark.guarantee("approvals-timers-once")
def test_timers_fire_once_though_workers_are_killed(folder, soak) -> None:
    """Workers that fire reminders as fast as they can, one after the other killed in the middle of it."""
    shop = Shop(folder)
    with shop.log() as log:
        for number in range(3):
            Approvals(log).ask("pay", number, Terms(("ann",), remind_every=0.02), approval=f"r{number}")
    for _ in range(20 if soak else 1):
        with shop.log() as log:
            before = len(Approvals(log).history("r0"))
        workers = [folder.process("-m", "dashflow", "worker", "--db", folder.where, "--every", "0.05")
                   for _ in range(2)]  # fmt: skip
        with shop.log() as log:
            while len(Approvals(log).history("r0")) < before + 3:
                pass
        for worker in workers:
            folder.kill(worker)
    with shop.log() as log:
        for number in range(3):
            events = [event for _, event in Approvals(log).history(f"r{number}")]
            reminders = [event for event in events if isinstance(event, ApprovalReminded)]
            numbers = [event.number for event in reminders]
            assert numbers == sorted({*numbers})
            covered = [one.number - one.missed for one in reminders]
            assert covered == [1, *(one.number + 1 for one in reminders[:-1])]  # none left out, none twice


def test_the_command_line_decides_and_a_worker_goes_on(tmp_path) -> None:
    folder = Folder(tmp_path)
    shop = Shop(folder)
    assert shop.live("ask") is not None
    rows = json.loads(folder.dashflow("approvals", "list", "--as", "ann", "--json"))["approvals"]
    assert [row["approval"] for row in rows] == ["a"]
    for person in ("ann", "bob"):
        words = ("approve", "a", "--as", person, "--hash", rows[0]["hash"][:8])
        folder.dashflow("approvals", *words, "--json")
    with folder.process(
        "-m", "dashflow", "worker", "shop:graph", "--db", folder.where, "--once", "--json"
    ) as process:
        out, err = process.communicate()
    assert process.returncode == 0, err
    assert [json.loads(line)["what"] for line in out.splitlines()] == ["answered", "finished"]
    assert shop.effects() == {"pay": 1}
