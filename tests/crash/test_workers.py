"""Workers and kill -9: what dies is finished by somebody else unasked, or ends as a dead letter."""

import json
import random
import signal
from collections import Counter
from pathlib import Path

import pytest

from dashflow.checkpoint.saver import LogSaver
from dashflow.planner.core.state import RunStatus
from dashflow.planner.runs import PlanRequest, PlanRuns
from tests.crash.workplace import Folder, hear, say

pytestmark = pytest.mark.feature("NEW-01", "NEW-08", "PERSIST-004", "SCALE-01")


@pytest.mark.guarantee("taken-over")
def test_the_command_finishes_what_a_killed_process_began(folder) -> None:
    (folder.path / "hold 7").touch()
    process = folder.call("holding", {"n": 7})
    folder.wait_for("7")
    folder.kill(process)
    (folder.path / "hold 7").unlink()
    assert folder.values() == (None, "running")
    assert [line["what"] for line in folder.work()] == ["taken over", "finished"]
    assert folder.values() == ([7], "finished")
    assert folder.effects() == {"hold 7": 2}
    assert folder.work() == []


@pytest.mark.guarantee("accepted-is-durable")
def test_an_input_is_durable_before_the_first_node_runs(folder, soak) -> None:
    """kill -9 in the first node's first line: the input is there, and somebody runs it."""
    numbers = range(1000 if soak else 3)
    for number in numbers:
        (folder.path / f"hold {number}").touch()
        process = folder.call("holding", {"n": number}, f"t{number}")
        folder.wait_for(str(number))
        folder.kill(process)
        (folder.path / f"hold {number}").unlink()
    told = Counter(line["what"] for line in folder.work())
    assert told == {"taken over": len(numbers), "finished": len(numbers)}
    assert [folder.values(f"t{number}") for number in numbers] == [([n], "finished") for n in numbers]


@pytest.mark.guarantee("taken-over")
def test_workers_that_are_killed_again_and_again(folder, soak) -> None:
    """Steps that were recorded are not repeated, and the last worker finds everything done."""
    random.seed(4)
    threads = [f"t{number}" for number in range(8)]
    process = folder.call("counting", {"n": 0}, *threads)
    while folder.effects()["40"] < 1:
        pass
    folder.kill(process)
    kills = 1
    for _ in range(200 if soak else 4):
        before = sum(folder.effects().values())
        more = random.randrange(1, 60)
        worker = folder.worker("--max-attempts", "50")
        while sum(folder.effects().values()) < before + more and worker.poll() is None:
            if folder.effects()["59"] and not unfinished(folder):
                break
        folder.kill(worker)
        kills += 1
    folder.work()
    with folder.log() as log:
        reader = LogSaver(log).reader
        states = {thread: reader.head(thread) for thread in threads if reader.head(thread).version}
    assert states
    for state in states.values():
        assert (state.status, state.values["log"]) == ("finished", list(range(60)))
    repeats = sum(folder.effects().values()) - 60 * len(states)
    assert 0 <= repeats <= kills * 4  # at most the step in flight of each of its runs


def unfinished(folder: Folder) -> bool:
    """Whether any run is not at its end."""
    with folder.log() as log:
        reader = LogSaver(log).reader
        return any(reader.head(thread).status == "running" for thread in reader.threads())


@pytest.mark.guarantee("taken-over")
def test_two_workers_on_one_log(folder) -> None:
    threads = [f"t{number}" for number in range(6)]
    for thread in threads:
        number = thread[1:]
        (folder.path / f"hold {number}").touch()
        process = folder.call("holding", {"n": int(number)}, thread)
        folder.wait_for(number)
        folder.kill(process)
        (folder.path / f"hold {number}").unlink()
    workers = [folder.worker("--once") for _ in range(2)]
    lines = [json.loads(line) for one in workers for line in one.communicate()[0].splitlines()]
    assert Counter(line["what"] for line in lines)["finished"] == 6
    assert sorted(line["name"] for line in lines if line["what"] == "taken over") == threads
    assert folder.effects() == {f"hold {number}": 2 for number in range(6)}


@pytest.mark.guarantee("dead-letter")
def test_a_node_that_kills_its_process_ends_as_a_dead_letter(folder) -> None:
    process = folder.call("poisonous", {"n": 1})
    folder.gone(process)
    assert process.returncode == 9
    for _ in range(4):
        worker = folder.worker("--once")
        folder.gone(worker)
        assert worker.returncode == 9
    assert [line["what"] for line in folder.work()] == ["dead letter"]
    assert folder.work() == []
    [letter] = json.loads(folder.dashflow("deadletters", "--json"))["dead_letters"]
    assert (letter["thread"], letter["graph"], letter["attempts"]) == ("t", "poisonous", 5)
    assert "died 5 times" in letter["reason"]
    assert folder.effects() == {"poison": 5}
    (folder.path / "antidote").touch()
    folder.dashflow("requeue", "t")
    assert [line["what"] for line in folder.work()] == ["taken over", "finished"]
    assert folder.values() == (["survived"], "finished")
    assert "No dead letters" in folder.dashflow("deadletters")


@pytest.mark.guarantee("fenced")
def test_a_process_that_sleeps_past_its_lease_can_commit_nothing(folder) -> None:
    """SIGSTOP: its run is taken over though it lives; when it wakes it is told, and nothing of it counts."""
    (folder.path / "hold 3").touch()
    process = folder.call("holding", {"n": 3}, lease=0.5)
    folder.wait_for("3")
    process.send_signal(signal.SIGSTOP)
    (folder.path / "hold 3").unlink()
    worker = folder.worker()
    assert worker.stdout is not None
    assert [json.loads(worker.stdout.readline())["what"] for _ in range(2)] == ["taken over", "finished"]
    with folder.log() as log:
        before = [record.event_id for record in log.read("run-t")]
    process.send_signal(signal.SIGCONT)
    out, _ = process.communicate()
    assert out.splitlines()[-1] == "refused FENCED"
    with folder.log() as log:
        assert [record.event_id for record in log.read("run-t")] == before
    worker.send_signal(signal.SIGTERM)
    worker.communicate()
    assert worker.returncode == 0
    assert folder.values() == ([3], "finished")


def test_a_run_whose_node_blocks_past_the_lease_keeps_its_owner(folder) -> None:
    """The log renews the lease as long as the process works, whatever its nodes do."""
    (folder.path / "hold 5").touch()
    process = folder.call("holding", {"n": 5}, lease=0.3)
    folder.wait_for("5")
    with folder.log(lease=0.3) as log:
        [before] = [info.owner for info in log.streams(category="run")]
        subscription = log.subscribe(stream="run-t", after=log.read("run-t")[-1].position)
        for _ in range(5):
            assert subscription.poll(0.3) == []  # five leases go by, and nothing happens
            assert [info.owner for info in log.streams(category="run")] == [before]
            assert log.abandoned(category="run") == []
    (folder.path / "hold 5").unlink()
    out, _ = process.communicate()
    assert out.splitlines()[-1] == "result [5]"
    assert folder.effects() == {"hold 5": 1}


def of_processes_one_pays(folder, processes: int, trials: int) -> None:
    asker = folder.call("paying", {"n": 1}, "-")
    callers = [folder.call("paying", "answer", "-") for _ in range(processes)]
    assert [hear(one) for one in (asker, *callers)] == ["ready"] * (processes + 1)
    for trial in range(trials):
        say(f"t{trial}", asker)
        assert hear(asker) == "result []"
        say(f"t{trial}", *callers)
        said = Counter(map(hear, callers))
        assert folder.effects() == {"pay": trial + 1}
        assert said['result ["yes", "paid"]'] >= 1
        assert set(said) <= {'result ["yes", "paid"]', "refused OWNED", "refused VERSION_CONFLICT"}
        assert folder.values(f"t{trial}") == (["yes", "paid"], "finished")
    for one in (asker, *callers):
        assert one.communicate()[1] == ""
        assert one.returncode == 0


@pytest.mark.guarantee("one-owner")
def test_of_processes_that_answer_one_question_one_pays(folder) -> None:
    """The others are told before a node runs: with a conflict, or that there is nothing left to do."""
    of_processes_one_pays(folder, 4, 6)


@pytest.mark.soak
@pytest.mark.parametrize("processes", [2, 4, 8, 16])
@pytest.mark.guarantee("one-owner")
def test_of_many_processes_that_answer_one_question_one_pays(folder, processes) -> None:
    of_processes_one_pays(folder, processes, 1000)


LEAVER = """
import sys, threading, flows
from dashflow.checkpoint.saver import LogSaver
from dashflow.log.open import open_log

graph = flows.holding.with_checkpointer(LogSaver(open_log(sys.argv[1])))
call = lambda: graph.invoke({"n": 8}, {"configurable": {"thread_id": "t"}})
threading.Thread(target=call, daemon=True).start()
sys.stdin.readline()
"""


@pytest.mark.guarantee("taken-over")
def test_a_program_that_ends_in_the_middle_of_a_run(folder) -> None:
    """In an orderly way: its log was closed, and nobody has to wait for a lease."""
    (folder.path / "hold 8").touch()
    program = folder.process("-c", LEAVER, folder.where)
    folder.wait_for("8")
    program.communicate("end\n")
    assert program.returncode == 0
    (folder.path / "hold 8").unlink()
    assert [line["what"] for line in folder.work()] == ["taken over", "finished"]
    assert folder.values() == ([8], "finished")


def test_plan_runs_of_the_log_are_finished_too(folder) -> None:
    (folder.path / "shop").mkdir()
    (folder.path / "shop" / "stock.py").write_text("STOCK = 3  # TODO: count\n")
    with folder.log() as log:
        goal = PlanRequest("Find TODO comments and write a report.", folder=str(folder.path / "shop"))
        run = PlanRuns(log, executors=()).accept(goal)
    told = folder.work(graphs="")
    assert [(line["kind"], line["name"], line["what"]) for line in told] == [
        ("plan", run, "taken over"),
        ("plan", run, "finished"),
    ]
    with folder.log() as log:
        assert PlanRuns(log, executors=()).state(run).status is RunStatus.COMPLETED


def test_graphs_that_cannot_be_loaded_are_refused(folder) -> None:
    for name, said in (
        ("flows", "names no graph"),
        ("flows:nothing", "no 'nothing'"),
        ("missing:graph", "no module 'missing'"),
        ("missing.py:graph", "no file"),
        ("flows:mark", "is a function"),
    ):
        words = ("-m", "dashflow", "worker", name, "--db", folder.where, "--once")
        with folder.process(*words) as process:
            _, err = process.communicate()
        assert process.returncode == 2
        assert said in err
    assert not Path(folder.where).exists()
