"""kill -9, SIGSTOP and several processes on one file: what was acknowledged is there, and nothing else is.

Children are real processes that print every acknowledgement before they go on; the parent kills them
at a random one.
"""

import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from dashflow.errors import OwnershipConflictError
from dashflow.log.base import Append, EventLog
from dashflow.log.sqlite import SqliteLog
from dashflow.testing.log_case import new_events

pytestmark = [
    pytest.mark.feature("LOG-01", "PERSIST-000"),
    pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals"),
]

# Without pytest, which takes longer to load than everything else.
EVENTS = """
import os, sys, threading
from dashflow.errors import FencedError, VersionConflictError
from dashflow.log.base import ANY, Append, NewEvent
from dashflow.log.sqlite import SqliteLog

def new_events(count):
    return [NewEvent("TaskCompleted", str(n).encode(), os.urandom(16), 1) for n in range(count)]
"""

WRITER = """
path, mode, stream = sys.argv[1:]
log = SqliteLog(path, lease_seconds=10_000)
owner = log.instance + "/r"
claim = Append(stream, owner=owner, claim=True)
first = log.append(claim)
print("owns", flush=True)

def acknowledge(name, version):
    sys.stdout.write(f"{name} {version}\\n")
    sys.stdout.flush()

def alone(name, owner="", epoch=0):
    version = log.version(name)
    while True:
        append = Append(name, new_events(3), version, owner=owner, epoch=epoch)
        version = log.append(append).version
        acknowledge(name, version)

if mode == "append":
    alone(stream, owner, first.epoch)
elif mode == "submit":
    version, tickets = first.version, []
    while True:
        append = Append(stream, new_events(3), version, owner=owner, epoch=first.epoch)
        tickets.append(log.submit(append))
        version += 3
        if len(tickets) == 64:
            acknowledge(stream, tickets.pop(0).wait().version)
else:
    for number in range(4):
        threading.Thread(target=alone, args=(f"{stream}.{number}",), daemon=True).start()
    threading.Event().wait()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
def start() -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    """Starts children, and sees to it that none outlives the test."""
    children: list[subprocess.Popen[str]] = []

    def starting(program: str, *arguments: object) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", EVENTS + program, *map(str, arguments)]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        children.append(child)
        return child

    yield starting
    for child in children:
        child.kill()
        child.communicate()


def said(child: "subprocess.Popen[str]") -> str:
    """The next line of a child."""
    assert child.stdout is not None
    return child.stdout.readline().strip()


def check_file(path: Path) -> None:
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def check_stream(log: EventLog, stream: str, acknowledged: int) -> None:
    """Everything acknowledged is there, whole appends only, without gaps."""
    records = log.read(stream)
    assert len(records) >= acknowledged
    assert [record.version for record in records] == list(range(1, len(records) + 1))
    assert [record.data for record in records] == [b"0", b"1", b"2"] * (len(records) // 3)


def one_round(
    path: Path, start: Callable[..., "subprocess.Popen[str]"], number: int, chance: random.Random
) -> None:
    """A child writes, is killed at a random acknowledgement, and another process takes its stream."""
    mode = ("append", "submit", "threads")[number % 3]
    stream = f"run-{number % 2}"
    child = start(WRITER, path, mode, stream)
    acknowledged: dict[str, int] = {}
    assert said(child) == "owns"
    for _ in range(chance.randrange(1, 300)):
        name, version = said(child).split()
        acknowledged[name] = int(version)
    child.send_signal(signal.SIGKILL)
    rest, _ = child.communicate()
    for line in rest.splitlines(keepends=True):
        if line.endswith("\n"):  # the last one may be torn
            name, version = line.split()
            acknowledged[name] = int(version)
    log = SqliteLog(path)
    try:
        for name, version in acknowledged.items():
            check_stream(log, name, version)
        # Its lease has hours to run, but everybody can see that it is dead.
        owner = log.instance + "/next"
        epoch = log.append(Append(stream, owner=owner, claim=True)).epoch
        log.append(Append(stream, owner=owner, epoch=epoch, release=True))
    finally:
        log.close()
    check_file(path)
    assert not path.with_name("log.db.owners").exists()


def test_what_was_acknowledged_survives_kill(
    path: Path, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    chance = random.Random(20_240_117)
    for number in range(8):
        one_round(path, start, number, chance)


@pytest.mark.soak
def test_what_was_acknowledged_survives_kill_200_times(
    path: Path, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    chance = random.Random()
    for number in range(200):
        one_round(path, start, number, chance)


def test_killed_while_others_go_on(path: Path, start: Callable[..., "subprocess.Popen[str]"]) -> None:
    survivor = start(WRITER, path, "append", "run-s")
    assert said(survivor) == "owns"
    for number in range(4):
        child = start(WRITER, path, ("submit", "threads")[number % 2], f"run-{number}")
        assert said(child) == "owns"
        acknowledged: dict[str, int] = {}
        for _ in range(40):
            name, version = said(child).split()
            acknowledged[name] = int(version)
        child.kill()
        child.wait()
        log = SqliteLog(path)
        for name, version in acknowledged.items():
            check_stream(log, name, version)
        with pytest.raises(OwnershipConflictError):
            log.append(Append("run-s", owner=log.instance + "/r", claim=True))
        assert log.append(Append(f"run-{number}", owner=log.instance + "/r", claim=True)).epoch == 2
        log.close()
    before = int(said(survivor).split()[1])
    assert int(said(survivor).split()[1]) > before
    survivor.kill()
    survivor.communicate()
    check_file(path)


APPENDER = """
log = SqliteLog(sys.argv[1])
for number in range(100):
    log.append(Append("run-any", new_events(2), ANY))
    while True:
        try:
            log.append(Append("run-exact", new_events(1), log.version("run-exact")))
            break
        except VersionConflictError:
            continue
log.close()
"""


def test_several_processes_append_to_one_file(
    path: Path, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    log = SqliteLog(path)
    follow = log.subscribe(category="run")
    children = [start(APPENDER, path) for _ in range(3)]
    seen = []
    while len(seen) < 900:
        seen += follow.poll()
    assert [child.wait() for child in children] == [0] * 3
    assert [record.version for record in log.read("run-any")] == list(range(1, 601))
    assert [record.version for record in log.read("run-exact")] == list(range(1, 301))
    assert seen == log.read_all(limit=1000)
    log.close()
    check_file(path)


SLEEPER = """
log = SqliteLog(sys.argv[1], lease_seconds=0.2)
owner = log.instance + "/r"
epoch = log.append(Append("run-1", new_events(1), owner=owner, claim=True)).epoch
print("owns", flush=True)
sys.stdin.readline()
try:
    log.append(Append("run-1", new_events(1), 1, owner=owner, epoch=epoch))
except FencedError as error:
    print(error.code, error.data["epoch"], error.data["current"], flush=True)
log.close()
"""


def test_an_owner_that_was_stopped_past_its_lease_is_fenced(
    path: Path, start: Callable[..., "subprocess.Popen[str]"]
) -> None:
    child = start(SLEEPER, path)
    assert said(child) == "owns"
    child.send_signal(signal.SIGSTOP)
    # It holds its lock, so it is alive; only the lease lets another one in. No waiting: this log's
    # clock is ahead by more than the lease.
    log = SqliteLog(path, clock=lambda: time.time_ns() + 10**10)
    owner = log.instance + "/r"
    epoch = log.append(Append("run-1", new_events(1), owner=owner, claim=True)).epoch
    assert epoch == 2
    child.send_signal(signal.SIGCONT)
    out, _ = child.communicate("go on\n")
    assert out.split() == ["FENCED", "1", "2"]
    # Its end has not given up what is ours now.
    assert log.append(Append("run-1", new_events(1), 2, owner=owner, epoch=epoch)).version == 3
    assert log.streams()[0].owner == owner
    log.close()


FORGETTER = """
from hashlib import sha256
from dashflow.log.base import EVERYTHING, Snapshot
log = SqliteLog(sys.argv[1], lease_seconds=10_000)
owner = log.instance + "/r"
first = log.append(Append("run-1", owner=owner, claim=True))
version, seen = first.version, log.view_position("sizes")
print("owns", flush=True)
while True:
    data = os.urandom(8000)
    shared = b"shared" * 2000
    kept = {sha256(each).digest(): each for each in (data, shared)}
    event = NewEvent("Said", sha256(data).digest(), os.urandom(16), 1, blobs=kept)
    done = log.append(Append("run-1", [event], version, owner=owner, epoch=first.epoch,
                             forget=EVERYTHING if version % 5 == 4 else 0))
    version = done.version
    log.keep_snapshot("run-1", Snapshot(version, str(version).encode()))
    log.project("sizes", done.position, {"version": str(version).encode()}, expected=seen)
    seen = done.position
    print(version, flush=True)
"""


@pytest.mark.feature("LOG-04", "LOG-05", "LOG-06")
def test_killed_while_it_forgets(path: Path, start: Callable[..., "subprocess.Popen[str]"]) -> None:
    chance = random.Random(7)
    last = 0
    for _ in range(5):
        child = start(FORGETTER, path)
        assert said(child) == "owns"
        for _ in range(chance.randrange(3, 40)):
            last = int(said(child))
        child.kill()
        child.communicate()
        log = SqliteLog(path)
        # At once, although the lease has hours to run.
        assert [info.stream for info in log.abandoned()] == ["run-1"]
        records = log.read("run-1")
        assert records[-1].version >= last
        assert records[0].version % 5 == 0 or records[0].version == 1
        assert [r.version for r in records] == list(range(records[0].version, records[-1].version + 1))
        assert all(sha256(log.blob(record.data)).digest() == record.data for record in records)
        # What can be made again may be behind, but never ahead, and is whole.
        snapshot = log.snapshot("run-1")
        assert snapshot is None or snapshot.data == str(snapshot.version).encode()
        seen = log.view_position("sizes")
        assert seen <= records[-1].position
        told = [record.version for record in records if record.position == seen]
        assert not told or log.view("sizes") == {"version": str(told[0]).encode()}
        owner = log.instance + "/next"
        epoch = log.append(Append("run-1", owner=owner, claim=True)).epoch
        log.append(Append("run-1", owner=owner, epoch=epoch, release=True))
        assert log.abandoned() == []
        kept = len(records) + 1  # their own blobs and the shared one
        log.close()
        check = sqlite3.connect(path)
        assert check.execute("SELECT count(*) FROM blobs").fetchone() == (kept,)
        assert check.execute("SELECT count(DISTINCT blob_id) FROM needs").fetchone() == (kept,)
        check.close()
        check_file(path)
