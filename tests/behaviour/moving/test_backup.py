"""Backups while programs run, and a drill: restored to several moments, every thread goes on."""

import os
import random
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest

from dashflow.checkpoint.sqlite import SqliteSaver
from dashflow.log.base import Append, NewEvent
from dashflow.log.memory import MemoryLog
from dashflow.log.open import open_log
from dashflow.log.portable import ExportFile, Until, backup, examine, restore, verify
from dashflow.types import Command
from tests.behaviour.moving.logs import AT, SOURCES, closing_log, command, counting, filled

backups = pytest.mark.feature("PERSIST-005")


RUNNING = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[3])!r})
from tests.behaviour.moving.logs import counting
from dashflow.checkpoint.sqlite import SqliteSaver

saver = SqliteSaver(sys.argv[1])
graph = counting(saver)
number = 0
while True:
    graph.invoke({{"n": 0, "said": ""}}, {{"configurable": {{"thread_id": f"t{{number}}"}}}})
    number += 1
    print(number, flush=True)
"""


@backups
@pytest.mark.guarantee("restore")
def test_a_drill_backup_in_the_middle_of_runs_and_restore_to_several_moments(tmp_path, soak):
    """A program runs; backups are made meanwhile; it is killed; every thread goes on from each backup."""
    with subprocess.Popen(
        [sys.executable, "-c", RUNNING, "log.db"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": SOURCES},
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        running.stdout.readline()
        with closing_log(tmp_path / "log.db") as log:
            for number in range(3):
                running.stdout.readline()
                backup(log, str(tmp_path / f"b{number}.jsonl.zst"))
        running.kill()
    counts = []
    for number in range(3):
        path = str(tmp_path / f"b{number}.jsonl.zst")
        assert examine(ExportFile(path)).found == 0
        counts.append(restore(path, str(tmp_path / f"r{number}.db")).events)
        assert go_on(tmp_path / f"r{number}.db") > number
    assert counts == sorted(counts)
    file = ExportFile(str(tmp_path / "b2.jsonl.zst"))
    lines = list(file.events())
    chance = random.Random(3)
    for number in range(40 if soak else 4):
        line = chance.choice(lines)
        new = tmp_path / f"p{number}.db"
        restore(file.path, str(new), until=Until(position=line.position))
        with closing_log(new) as log:
            assert [r.event_id for r in log.read_all(limit=100_000)] == [
                one.event.event_id for one in lines if one.position <= line.position
            ]
        go_on(new)
    moment = lines[len(lines) // 2].event.at
    done = command(
        tmp_path, "backup", "restore", "b2.jsonl.zst", "--db", "at.db", "--until", iso(moment), "--json"
    )
    assert done.returncode == 0, done.stderr
    with closing_log(tmp_path / "at.db") as log:
        whole = [one for one in lines if one.event.at <= moment // 1000 * 1000]
        assert 0 < len(log.read_all(limit=100_000)) <= len(whole)
        assert all(r.at <= moment for r in log.read_all(limit=100_000))
    go_on(tmp_path / "at.db")


def iso(at: int) -> str:

    moment = datetime.fromtimestamp(at // 1_000_000_000, UTC).replace(microsecond=at // 1000 % 1_000_000)
    return moment.isoformat()


def go_on(db: Path) -> int:
    """Every thread of a restored log comes to its end; how many there are."""
    saver = SqliteSaver(db)
    graph = counting(saver)
    threads = saver.reader.threads()
    for thread in threads:
        config = {"configurable": {"thread_id": thread}}
        state = graph.get_state(config)
        if state.next and not state.interrupts:
            graph.invoke(None, config)
        state = graph.get_state(config)
        if state.interrupts:
            assert [one.value for one in state.interrupts] == ["after 10?"]
            assert graph.invoke(Command(resume="enough"), config) == {"n": 10, "said": "enough"}
        history = list(graph.get_state_history(config))
        assert history[0].values["said"] == "enough"
        graph.invoke(None, history[3].config)
    assert verify(saver.log).found == 0
    saver.close()
    return len(threads)


@backups
@pytest.mark.guarantee("restore")
def test_a_backup_is_of_one_moment_while_others_append(opened, tmp_path):
    log = opened("source")
    stop = threading.Event()

    def append(stream: str) -> None:
        for number in range(1000):
            if stop.is_set():
                break
            identifier = sha256(f"{stream}{number}".encode()).digest()[:16]
            log.append(Append(stream, [NewEvent("Happened", b"\x80", identifier, AT + number)], number))

    writers = [threading.Thread(target=append, args=(f"run-{number}",)) for number in range(3)]
    for writer in writers:
        writer.start()
    try:
        for number in range(5):
            while log.version("run-0") < 50 * (number + 1):
                pass
            done = backup(log, str(tmp_path / f"{number}.jsonl"))
            assert done.upto > 0
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    for number in range(5):
        file = ExportFile(str(tmp_path / f"{number}.jsonl"))
        examined = examine(file)
        assert examined.found == 0
        there = [r.event_id for r in log.read_all(limit=100_000) if r.position <= examined.upto]
        assert [line.event.event_id for line in file.events()] == there


@backups
def test_a_restore_that_is_killed_leaves_no_log(tmp_path):
    backup(filled(MemoryLog()), str(tmp_path / "backup.jsonl"))
    script = """
import os, signal
from dashflow.log.portable import restore
from dashflow.log.sqlite import SqliteLog

submit, left = SqliteLog.submit, 30

def counting(self, append):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return submit(self, append)

SqliteLog.submit = counting
restore("backup.jsonl", "new.db")
"""
    env = {**os.environ, "PYTHONPATH": SOURCES}
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=env, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "new.db").exists()
    assert command(tmp_path, "backup", "restore", "backup.jsonl", "--db", "new.db").returncode == 0
    assert sorted(one.name for one in tmp_path.iterdir()) == ["backup.jsonl", "new.db"]


@backups
def test_nothing_is_overwritten(tmp_path):
    log = filled(open_log(tmp_path / "log.db"))
    log.close()
    assert command(tmp_path, "backup", "create", "b.jsonl", "--db", "log.db").returncode == 0
    content = (tmp_path / "b.jsonl").read_bytes()
    again = command(tmp_path, "backup", "create", "b.jsonl", "--db", "log.db")
    assert (again.returncode, (tmp_path / "b.jsonl").read_bytes()) == (2, content)
    over = command(tmp_path, "backup", "restore", "b.jsonl", "--db", "log.db")
    assert (over.returncode, "is there already" in over.stderr) == (2, True)
    for words in (["backup", "create", "c.jsonl"], ["log", "export"], ["backup", "verify"]):
        missing = command(tmp_path, *words, "--db", "nowhere.db")
        assert (missing.returncode, "no log" in missing.stderr) == (2, True)
    assert (
        command(tmp_path, "backup", "restore", "b.jsonl", "--db", "n.db", "--until", "soon").returncode == 2
    )
    assert sorted(one.name for one in tmp_path.iterdir()) == ["b.jsonl", "log.db"]
