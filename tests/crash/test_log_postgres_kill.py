"""kill -9, SIGSTOP, many processes and a crashing server: what was acknowledged is there, nothing else is.

The log is in PostgreSQL; the programs are those of the tests on SQLite. Nobody can see across machines that
a process is dead, so that here its lease has to end, by the server's clock.
"""

import random
import signal
import sys
from collections.abc import Iterator

import pytest

from dashflow.errors import OwnershipConflictError
from dashflow.log.base import Append, Appended, EventLog
from dashflow.log.postgres import PostgresLog
from dashflow.testing.log_case import new_events
from tests.crash.log_children import (
    APPENDER,
    CLAIMANT,
    FORGETTER,
    SLEEPER,
    WRITER,
    Follower,
    Start,
    check_forgetful,
    check_stream,
    children,
    kill,
    said,
    tell,
)
from tests.postgres import Place, PostgresServer

pytestmark = [
    pytest.mark.feature("PERSIST-001", "PERSIST-004", "NEW-08"),
    pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals"),
]


@pytest.fixture
def start() -> Iterator[Start]:
    with children() as starting:
        yield starting


def take_over(log: EventLog, stream: str) -> Appended:
    """Claim a stream as soon as its owner is taken for dead, and give it up again."""
    owner = log.instance + "/next"
    while True:
        try:
            done = log.append(Append(stream, owner=owner, claim=True))
        except OwnershipConflictError:
            continue  # each try is a round trip; the lease ends by itself
        log.append(Append(stream, owner=owner, epoch=done.epoch, release=True))
        return done


def one_round(place: Place, start: Start, number: int, chance: random.Random) -> None:
    """A child writes, is killed at a random acknowledgement, and another process takes its stream."""
    mode = ("append", "submit", "threads")[number % 3]
    stream = f"run-{number % 2}"
    child = start(WRITER, place.log, mode, stream, 0.5)
    acknowledged: dict[str, int] = {}
    assert said(child) == "owns"
    for _ in range(chance.randrange(1, 200)):
        name, version = said(child).split()
        acknowledged[name] = int(version)
    kill(child, acknowledged)
    log = PostgresLog(place.log)
    try:
        for name, version in acknowledged.items():
            check_stream(log, name, version)
        assert take_over(log, stream).epoch == 2 * (number // 2) + 2
        assert log.abandoned() == []
    finally:
        log.close()


@pytest.mark.guarantee("acknowledged-survives")
def test_what_was_acknowledged_survives_kill(postgres: Place, start: Start) -> None:
    chance = random.Random(20_240_117)
    for number in range(4):
        one_round(postgres, start, number, chance)


@pytest.mark.soak
def test_what_was_acknowledged_survives_kill_100_times(postgres: Place, start: Start) -> None:
    chance = random.Random()
    for number in range(100):
        one_round(postgres, start, number, chance)


@pytest.mark.feature("LOG-04", "LOG-05", "LOG-06")
def test_killed_while_it_forgets(postgres: Place, start: Start) -> None:
    chance = random.Random(7)
    for _ in range(3):
        child = start(FORGETTER, postgres.log, 0.3)
        assert said(child) == "owns"
        last = 0
        for _ in range(chance.randrange(3, 40)):
            last = int(said(child))
        child.kill()
        child.communicate()
        log = PostgresLog(postgres.log)
        take_over(log, "run-1")
        kept = check_forgetful(log, last)
        log.close()
        assert postgres.execute("SELECT count(*) FROM {schema}.blobs") == [(kept,)]
        assert postgres.execute("SELECT count(DISTINCT key) FROM {schema}.blob_uses") == [(kept,)]


def crash_under_load(server: PostgresServer, start: Start, rounds: int) -> None:
    place = Place(server.dsn)
    log = PostgresLog(place.log)
    follow = log.subscribe()
    followers = []
    for number, mode in enumerate(("append", "submit", "threads")):
        child = start(WRITER, place.log, mode, f"run-{number}", 60)
        assert said(child) == "owns"
        followers.append(Follower(child))
    seen = []
    for _ in range(rounds):
        for follower in followers:
            follower.wait_for(70)
        seen += follow.poll(timeout=0)
        server.stop("immediate")
        server.start()
    for follower in followers:
        follower.wait_for(70)  # all go on, over what the crash has left of them
    for follower in followers:
        follower.kill()
    for follower in followers:
        for name, version in follower.acknowledged.items():
            check_stream(log, name, version)
    # The subscriber, which lived through all that, has missed nothing and seen nothing twice.
    while page := follow.poll(timeout=0):
        seen += page
    everything = []
    while more := log.read_all(after=everything[-1].position if everything else 0):
        everything += more
    assert seen == everything
    log.close()


@pytest.mark.guarantee("acknowledged-survives")
def test_nothing_is_lost_when_the_server_crashes_under_load(server: PostgresServer, start: Start) -> None:
    crash_under_load(server, start, 2)


@pytest.mark.soak
def test_nothing_is_lost_when_the_server_crashes_20_times(server: PostgresServer, start: Start) -> None:
    crash_under_load(server, start, 20)


@pytest.mark.guarantee("one-order")
def test_several_processes_append_to_one_log(postgres: Place, start: Start) -> None:
    log = PostgresLog(postgres.log)
    follow = log.subscribe(category="run")
    started = [start(APPENDER, postgres.log, 40) for _ in range(3)]
    seen = []
    while len(seen) < 360:
        seen += follow.poll()
    assert [child.wait() for child in started] == [0] * 3
    assert [record.version for record in log.read("run-any")] == list(range(1, 241))
    assert [record.version for record in log.read("run-exact")] == list(range(1, 121))
    assert seen == log.read_all()
    log.close()


def of_processes_one_wins(place: Place, start: Start, processes: int, trials: int) -> None:
    claimants = [start(CLAIMANT, place.log) for _ in range(processes)]
    assert [said(child) for child in claimants] == ["ready"] * processes
    for number in range(trials):
        for child in claimants:
            tell(child, f"run-{number}")
        assert sorted(said(child) for child in claimants) == ["lost"] * (processes - 1) + ["won 1"]
    for child in claimants:
        child.communicate()
        assert child.returncode == 0


@pytest.mark.guarantee("one-owner")
def test_of_processes_that_claim_one_stream_one_wins(postgres: Place, start: Start) -> None:
    of_processes_one_wins(postgres, start, 4, 25)


@pytest.mark.soak
@pytest.mark.parametrize("processes", [2, 8, 16])
def test_of_many_processes_that_claim_one_stream_one_wins(
    postgres: Place, start: Start, processes: int
) -> None:
    of_processes_one_wins(postgres, start, processes, 1000)


@pytest.mark.guarantee("fenced")
def test_an_owner_that_was_stopped_past_its_lease_is_fenced(postgres: Place, start: Start) -> None:
    child = start(SLEEPER, postgres.log)
    assert said(child) == "owns"
    child.send_signal(signal.SIGSTOP)
    log = PostgresLog(postgres.log)
    while not log.abandoned():
        continue  # each look is a round trip; the lease ends by itself
    (left,) = log.abandoned()
    assert left.stream == "run-1"
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
