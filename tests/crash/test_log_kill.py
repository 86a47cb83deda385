"""kill -9, SIGSTOP and several processes on one file: what was acknowledged is there, and nothing else is.

Children are real processes that print every acknowledgement before they go on; the parent kills them
at a random one.
"""

import random
import signal
import sqlite3
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dashflow.errors import OwnershipConflictError
from dashflow.log.base import Append
from dashflow.log.sqlite import SqliteLog
from dashflow.log.sqlite.clock import since_boot
from dashflow.testing.log_case import new_events
from tests.crash.log_children import (
    APPENDER,
    FORGETTER,
    SLEEPER,
    WRITER,
    Start,
    check_forgetful,
    check_stream,
    children,
    kill,
    said,
)

pytestmark = [
    pytest.mark.feature("LOG-01", "PERSIST-000"),
    pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals"),
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
def start() -> Iterator[Start]:
    with children() as starting:
        yield starting


def check_file(path: Path) -> None:
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def one_round(path: Path, start: Start, number: int, chance: random.Random) -> None:
    """A child writes, is killed at a random acknowledgement, and another process takes its stream."""
    mode = ("append", "submit", "threads")[number % 3]
    stream = f"run-{number % 2}"
    child = start(WRITER, path, mode, stream, 10_000)
    acknowledged: dict[str, int] = {}
    assert said(child) == "owns"
    for _ in range(chance.randrange(1, 300)):
        name, version = said(child).split()
        acknowledged[name] = int(version)
    kill(child, acknowledged)
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


@pytest.mark.guarantee("acknowledged-survives")
def test_what_was_acknowledged_survives_kill(path: Path, start: Start) -> None:
    chance = random.Random(20_240_117)
    for number in range(8):
        one_round(path, start, number, chance)


@pytest.mark.soak
def test_what_was_acknowledged_survives_kill_200_times(path: Path, start: Start) -> None:
    chance = random.Random()
    for number in range(200):
        one_round(path, start, number, chance)


def test_killed_while_others_go_on(path: Path, start: Start) -> None:
    survivor = start(WRITER, path, "append", "run-s", 10_000)
    assert said(survivor) == "owns"
    for number in range(4):
        child = start(WRITER, path, ("submit", "threads")[number % 2], f"run-{number}", 10_000)
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


@pytest.mark.guarantee("one-order")
def test_several_processes_append_to_one_file(path: Path, start: Start) -> None:
    log = SqliteLog(path)
    follow = log.subscribe(category="run")
    children = [start(APPENDER, path, 100) for _ in range(3)]
    seen = []
    while len(seen) < 900:
        seen += follow.poll()
    assert [child.wait() for child in children] == [0] * 3
    assert [record.version for record in log.read("run-any")] == list(range(1, 601))
    assert [record.version for record in log.read("run-exact")] == list(range(1, 301))
    assert seen == log.read_all(limit=1000)
    log.close()
    check_file(path)


@pytest.mark.guarantee("fenced")
def test_an_owner_that_was_stopped_past_its_lease_is_fenced(path: Path, start: Start) -> None:
    child = start(SLEEPER, path)
    assert said(child) == "owns"
    child.send_signal(signal.SIGSTOP)
    # It holds its lock, so it is alive; only the lease lets another one in. No waiting: this log's
    # clock is ahead by more than the lease.
    log = SqliteLog(path, clock=lambda: since_boot() + 10**10)
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


@pytest.mark.feature("LOG-04", "LOG-05", "LOG-06")
@pytest.mark.guarantee("deleted-stays-deleted")
def test_killed_while_it_forgets(path: Path, start: Start) -> None:
    chance = random.Random(7)
    last = 0
    for _ in range(5):
        child = start(FORGETTER, path, 10_000)
        assert said(child) == "owns"
        for _ in range(chance.randrange(3, 40)):
            last = int(said(child))
        child.kill()
        child.communicate()
        log = SqliteLog(path)
        # At once, although the lease has hours to run.
        assert [info.stream for info in log.abandoned()] == ["run-1"]
        kept = check_forgetful(log, last)
        owner = log.instance + "/next"
        epoch = log.append(Append("run-1", owner=owner, claim=True)).epoch
        log.append(Append("run-1", owner=owner, epoch=epoch, release=True))
        assert log.abandoned() == []
        log.close()
        check = sqlite3.connect(path)
        assert check.execute("SELECT count(*) FROM blobs").fetchone() == (kept,)
        assert check.execute("SELECT count(DISTINCT blob_id) FROM needs").fetchone() == (kept,)
        check.close()
        check_file(path)
