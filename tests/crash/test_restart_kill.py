"""The PostgreSQL server crashes again and again under runs of graphs in several processes: none notices.

Some of the programs that began the runs live on, some are killed; workers finish what these leave behind.
What a node does is a line with its task's id, the key by which a receiver tells a repetition.
"""

import json
import operator
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Annotated, TypedDict

import pytest

from dashflow.checkpoint.saver import LogSaver
from dashflow.core.events import RunDeadLettered, RunFailed, RunFinished, StepCompleted
from dashflow.errors import StorageUnavailableError
from dashflow.graph import START, StateGraph
from dashflow.log.postgres import PostgresLog
from dashflow.worker import Report, Worker
from tests.crash.workplace import Folder
from tests.postgres import Place, PostgresServer

pytestmark = [
    pytest.mark.feature("PERSIST-001", "NEW-01", "NEW-08", "SCALE-01"),
    pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals"),
]

STEPS = 40
CONFIG = {"configurable": {"thread_id": "t"}}


class State(TypedDict, total=False):
    log: Annotated[list[str], operator.add]


class Reader:
    """Reads what a process prints, so that it never waits for its parent."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.lines: list[str] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> list[str]:
        """Its last words."""
        self._thread.join()
        return self.lines

    def _run(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(self.process.stdout)


def wait_for_workers(folder: Folder, count: int) -> None:
    """Until so many are at work: one that comes while the server is away is told so, and ends."""
    with folder.log() as log:
        while len(log.streams(category="worker")) < count:
            pass


def crash_under_runs(server: PostgresServer, path: Path, *, crashes: int, runs: int) -> None:
    folder = Folder(path, Place(server.dsn))
    threads = [f"t{number}" for number in range(runs)]
    third = runs // 3
    shares = threads[:third], threads[third : 2 * third], threads[2 * third :]
    for thread in shares[2]:
        (path / f"hold {thread}").touch()
    callers = [folder.call("steady", {"n": 0}, *share, at_once=len(share)) for share in shares]
    told = [Reader(caller) for caller in callers[:2]]
    workers = [folder.worker("--concurrency", "8", graphs="steady") for _ in range(2)]
    heard = [Reader(worker) for worker in workers]
    for thread in shares[2]:
        folder.wait_for(thread)
    folder.kill(callers[2])
    for thread in shares[2]:
        (path / f"hold {thread}").unlink()
    wait_for_workers(folder, len(workers))
    for number in range(crashes):
        enough = runs * STEPS * (number + 1) // (crashes + 2)
        while sum(folder.effects().values()) < enough:
            pass
        server.stop("immediate")
        server.start()
    for reader in told:
        assert [line.rstrip() for line in reader.end()] == [f"result {[*range(STEPS)]}"] * third
    with folder.log() as log:
        names = LogSaver(log).reader
        while any(names.head(thread).status == "running" for thread in threads):
            pass
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    reports = [json.loads(line) for reader in heard for line in reader.end()]
    assert Counter(report["what"] for report in reports)["finished"] == len(shares[2])
    assert {report["what"] for report in reports} <= {"taken over", "finished", "trouble"}
    for process in (*callers[:2], *workers):
        assert "Traceback" not in process.communicate()[1]
        assert process.returncode == 0
    check(folder, threads, killed=set(shares[2]))


def check(folder: Folder, threads: list[str], *, killed: set[str]) -> None:
    """Nothing is lost, nothing there twice; only what was killed in the middle of a step has repeated it."""
    with folder.log() as log:
        reader = LogSaver(log).reader
        for thread in threads:
            state = reader.head(thread)
            assert (state.status, state.values["log"]) == ("finished", [*range(STEPS)])
            records = log.read(f"run-{thread}")
            assert [record.version for record in records] == [*range(1, len(records) + 1)]
            kinds = Counter(record.type for record in records)
            assert kinds[RunFinished.type] == 1
            assert not kinds[RunFailed.type] + kinds[RunDeadLettered.type]
            steps = [reader.event(record, record.stream) for record in records]
            numbers = [event.step for event in steps if isinstance(event, StepCompleted)]
            assert len(numbers) == len(set(numbers)) == STEPS + 1  # the input is one
    keys = folder.effects()
    assert len(keys) == len({key.rsplit(" ", 1)[0] for key in keys}) == len(threads) * STEPS
    repeated = [key.split()[0] for key, times in keys.items() if times > 1]
    assert sorted(repeated) == sorted(killed)
    assert set(keys.values()) == {1, 2}


@pytest.mark.guarantee("server-away")
def test_runs_go_on_when_the_server_crashes(server: PostgresServer, tmp_path: Path) -> None:
    crash_under_runs(server, tmp_path, crashes=2, runs=12)


def test_a_run_that_lost_patience_is_finished_by_the_worker_beside_it(server: PostgresServer) -> None:
    """Its caller is told at once, and asks no more; the worker waits until the server is back."""
    log = PostgresLog(Place(server.dsn).log, patience_seconds=0)
    ran: list[str] = []
    waits, finished = threading.Event(), threading.Event()

    def crash(state: State) -> State:
        ran.append("crash")
        if len(ran) == 1:
            server.stop("immediate")
        return {"log": ["crashed"]}

    def tell(report: Report) -> None:
        (finished if report.what == "finished" else waits).set()

    graph = StateGraph(State).add_node("crash", crash).add_edge(START, "crash")
    compiled = graph.compile(checkpointer=LogSaver(log))
    with Worker(compiled, every=0.02, tell=tell):
        with pytest.raises(StorageUnavailableError, match="What was recorded before is safe"):
            compiled.invoke({"log": ["in"]}, CONFIG, durability="sync")
        assert waits.wait(60)
        server.start()
        assert finished.wait(60)
    assert compiled.get_state(CONFIG).values == {"log": ["in", "crashed"]}
    assert ran == ["crash"] * 2
    assert log.streams(category="run")[0].owner == ""
    log.close()


@pytest.mark.soak
@pytest.mark.guarantee("server-away")
def test_200_runs_go_on_when_the_server_crashes_20_times(server: PostgresServer, tmp_path: Path) -> None:
    crash_under_runs(server, tmp_path, crashes=20, runs=201)
