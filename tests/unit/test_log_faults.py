"""What goes wrong around a log that is open: full disk, I/O errors, locked file, unfit events, forks."""

import itertools
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dashflow.errors import (
    DuplicateEventError,
    LogClosedError,
    StorageUnavailableError,
    UsageError,
    VersionConflictError,
)
from dashflow.log.base import Append, NewEvent
from dashflow.log.sqlite import SqliteLog
from dashflow.testing.log_case import in_threads, new_event, new_events

pytestmark = pytest.mark.feature("PERSIST-000")


NOISE = os.urandom(9000)
"""Cannot be packed, so that it takes the room that it seems to take."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log.db"


@pytest.fixture
def log(path: Path) -> Iterator[SqliteLog]:
    log = SqliteLog(path, busy_seconds=60)
    yield log
    log.close()


def check(path: Path) -> None:
    """The file is sound, and every stream's events are without a gap."""
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    gaps = (
        "SELECT stream_id FROM events GROUP BY stream_id HAVING max(version) <> count(*) OR min(version) <> 1"
    )
    assert connection.execute(gaps).fetchall() == []
    counted = "(SELECT count(*) FROM events e WHERE e.stream_id = s.stream_id)"
    wrong = f"SELECT name FROM streams s WHERE version <> {counted}"
    assert connection.execute(wrong).fetchall() == []
    connection.close()


# -- no room ------------------------------------------------------------------------------------


def fill(log: SqliteLog) -> int:
    """Append until SQLite has no page left for it; how many events went in."""
    writer = log._database.writer
    used = writer.execute("PRAGMA page_count").fetchone()[0]
    writer.execute(f"PRAGMA max_page_count={used + 20}")  # SQLITE_FULL, as a full disk gives it

    def append_on_and_on() -> None:
        for count in itertools.count():
            log.append(Append("run-1", [new_event(data=b"x" * 1000)], expected=count))

    with pytest.raises(StorageUnavailableError, match="disk is full") as caught:
        append_on_and_on()
    assert log.where in str(caught.value)
    return log.version("run-1")


def test_a_full_disk_refuses_whole_appends_and_the_log_goes_on_when_there_is_room(
    log: SqliteLog, path: Path
) -> None:
    count = fill(log)
    assert len(log.read("run-1")) == count > 0
    check(path)
    with pytest.raises(StorageUnavailableError):
        log.append(Append("run-1", [new_event(data=NOISE) for _ in range(3)], expected=count))
    log._database.writer.execute("PRAGMA max_page_count=100000")
    append = Append("run-1", [new_event(data=NOISE) for _ in range(3)], expected=count)
    assert log.append(append).version == count + 3
    assert log.read("run-1")[-1].data == NOISE
    check(path)


def test_what_is_submitted_to_a_full_disk_fails_in_order(log: SqliteLog, path: Path) -> None:
    count = fill(log)
    tickets = [
        log.submit(Append("run-1", [new_event(data=NOISE)], expected=count + number)) for number in range(50)
    ]
    outcomes = []
    for ticket in tickets:
        with pytest.raises((StorageUnavailableError, VersionConflictError)) as caught:
            ticket.wait()
        outcomes.append(type(caught.value))
    assert outcomes[0] is StorageUnavailableError
    log._database.writer.execute("PRAGMA max_page_count=100000")
    assert log.append(Append("run-1", new_events(1), expected=count)).version == count + 1
    check(path)


def test_a_full_disk_lets_go_of_nothing_that_is_owned(log: SqliteLog) -> None:
    owner = log.instance + "/r"
    epoch = log.append(Append("run-1", owner=owner, claim=True)).epoch
    count = fill(log)
    log._database.writer.execute("PRAGMA max_page_count=100000")
    assert log.append(Append("run-1", new_events(1), count, owner=owner, epoch=epoch)).version == count + 1


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_write_error_of_the_file_system(path: Path) -> None:
    program = """
import os, resource, sys
from dashflow.errors import StorageUnavailableError
from dashflow.log.base import Append
from dashflow.log.sqlite import SqliteLog
from dashflow.testing.log_case import new_event
log = SqliteLog(sys.argv[1])
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
count = 0
try:
    while True:
        log.append(Append("run-1", [new_event(data=os.urandom(5000))], expected=count))
        count += 1
except StorageUnavailableError as error:
    assert log.version("run-1") == count, count
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert log.append(Append("run-1", [new_event()], expected=count)).version == count + 1
    print(count + 1, error)
log.close()
"""
    child = [sys.executable, "-c", program, str(path)]
    count, _, message = subprocess.run(child, capture_output=True, text=True, check=True).stdout.partition(
        " "
    )
    assert str(path) in message
    log = SqliteLog(path)
    assert log.version("run-1") == int(count) > 1
    log.close()
    check(path)


# -- somebody else has the file -----------------------------------------------------------------


@pytest.fixture
def intruder(path: Path, log: SqliteLog) -> Iterator[sqlite3.Connection]:
    """Another program that has begun to write and does not end."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN IMMEDIATE")
    yield connection
    connection.close()


def test_a_log_that_stays_locked_is_reported(path: Path, intruder: sqlite3.Connection) -> None:
    log = SqliteLog(path, busy_seconds=0.02)
    with pytest.raises(StorageUnavailableError, match=r"has kept it locked for 0\.02 s"):
        log.append(Append("run-1", new_events(1)))
    assert log.read_all() == []  # reading goes on
    intruder.execute("COMMIT")
    assert log.append(Append("run-1", new_events(1))).version == 1
    log.close()


LOCKER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute(sys.argv[2])
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def locker(path: Path) -> Iterator[Callable[[str], "subprocess.Popen[str]"]]:
    """Starts another program that locks the file and does not end its transaction."""
    started: list[subprocess.Popen[str]] = []

    def start(first: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", LOCKER, str(path), first]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def are_told(path: Path) -> bool:
    """Whether the system lists the locks of this file system (Linux, and not of every overlay)."""
    device = os.stat(path.parent).st_dev
    locks = Path("/proc/locks")
    return locks.exists() and f" {os.major(device):02x}:{os.minor(device):02x}:" in locks.read_text()


@pytest.mark.parametrize("new", [False, True])
def test_a_second_engine_waits_and_then_says_who_keeps_the_log_locked(
    path: Path, new: bool, locker: Callable[[str], "subprocess.Popen[str]"]
) -> None:
    """Of a log in use, and of one that is just being made."""
    if not new:
        SqliteLog(path).close()
    process = locker("SELECT 1")
    who = rf"process {process.pid} \(.+\)" if are_told(path) else "another process"
    said = rf"{who} has kept it locked for 0\.05 s"

    def use() -> None:
        with closing(SqliteLog(path, busy_seconds=0.05)) as log:
            log.append(Append("run-1", new_events(1)))

    with pytest.raises(StorageUnavailableError, match=said):
        use()
    waiting = threading.Thread(target=lambda: SqliteLog(path, busy_seconds=60).close())
    waiting.start()
    process.communicate("done\n")
    waiting.join()
    with closing(SqliteLog(path)) as log:
        assert log.append(Append("run-1", new_events(1))).version == 1


def test_a_log_that_is_locked_by_this_process_says_so(path: Path, intruder: sqlite3.Connection) -> None:
    with closing(SqliteLog(path, busy_seconds=0.02)) as log, pytest.raises(StorageUnavailableError) as caught:
        log.append(Append("run-1", new_events(1)))
    assert (f"another connection of this process ({os.getpid()})" in str(caught.value)) == are_told(path)


def test_a_log_that_is_locked_for_a_while_is_waited_for(log: SqliteLog, intruder: sqlite3.Connection) -> None:
    ticket = log.submit(Append("run-1", new_events(1)))
    reads = [log.version("run-1") for _ in range(5)]
    assert not ticket.done
    intruder.execute("COMMIT")
    assert ticket.wait().version == 1
    assert reads == [0] * 5


def test_a_reader_that_takes_its_time_holds_up_nobody(log: SqliteLog, path: Path) -> None:
    log.append(Append("run-1", new_events(3)))
    reader = sqlite3.connect(path)
    rows = reader.execute("SELECT version FROM events ORDER BY version")
    assert next(rows) == (1,)
    assert log.append(Append("run-1", new_events(1))).version == 4
    assert rows.fetchall() == [(2,), (3,)]  # as it was when it began
    reader.close()


def test_others_writes_are_seen_before_deciding(log: SqliteLog, path: Path) -> None:
    other = SqliteLog(path)
    for count in range(0, 20, 2):
        assert log.append(Append("run-1", new_events(1), expected=count)).version == count + 1
        assert other.append(Append("run-1", new_events(1), expected=count + 1)).version == count + 2
    with pytest.raises(VersionConflictError):
        log.append(Append("run-1", new_events(1), expected=19))
    other.close()
    check(path)


# -- events that do not fit ---------------------------------------------------------------------


def unfit() -> list[NewEvent]:
    """Events that only a mistaken caller makes."""
    good = new_event()
    return [
        NewEvent("A", "text", good.event_id, 1),  # type: ignore[arg-type]
        NewEvent("A", b"", good.event_id, 2**63),
        NewEvent("A", b"", good.event_id, 1, correlation_id="\ud800"),
        NewEvent(["A"], b"", good.event_id, 1),  # type: ignore[arg-type]
        NewEvent("A", b"", object(), 1),  # type: ignore[arg-type]
        NewEvent("A", b"", None, 1),  # type: ignore[arg-type]
    ]


def test_an_unfit_event_fails_alone(log: SqliteLog, path: Path) -> None:
    log.append(Append("run-1", new_events(1)))
    tickets, bad = [], []
    for event in unfit():
        tickets.append(log.submit(Append("run-1", new_events(2))))
        bad.append(log.submit(Append(f"bad-{len(bad)}", (new_event(), event))))
        tickets.append(log.submit(Append("run-2", new_events(1))))
    assert [ticket.wait().version for ticket in tickets[::2]] == [3, 5, 7, 9, 11, 13]
    assert [ticket.wait().version for ticket in tickets[1::2]] == [1, 2, 3, 4, 5, 6]
    for ticket in bad:
        with pytest.raises((TypeError, ValueError, OverflowError, StorageUnavailableError)):
            ticket.wait()
    assert {info.stream for info in log.streams()} == {"run-1", "run-2"}
    assert log.append(Append("bad-0", new_events(1), expected=0)).version == 1
    check(path)


def test_a_claim_whose_events_are_refused_is_none(log: SqliteLog, path: Path) -> None:
    taken = new_event()
    log.append(Append("run-1", (taken,)))
    owner = log.instance + "/r"
    with pytest.raises(DuplicateEventError):
        log.append(Append("run-2", (new_event(), taken), owner=owner, claim=True))
    assert log.append(Append("run-2", new_events(1), owner=owner, claim=True)).epoch == 1
    check(path)


# -- the end ------------------------------------------------------------------------------------


def test_a_log_that_is_forgotten_gives_back_what_it_holds(path: Path) -> None:
    log = SqliteLog(path)
    log.append(Append("run-1", new_events(1), owner=log.instance + "/r", claim=True))
    ticket = log.submit(Append("run-1", new_events(1)))
    del log
    assert ticket.wait().version == 2
    del ticket
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("dashflow-log")]
    for thread in threads:
        thread.join()
    assert [file.name for file in path.parent.iterdir()] == ["log.db"]


def test_a_log_that_is_forgotten_at_once_still_commits_and_closes(path: Path) -> None:
    for count in range(1, 11):
        log = SqliteLog(path)
        log.submit(Append("run-1", new_events(1)))
        del log  # whoever commits drops the last reference
        for thread in threading.enumerate():
            if thread.name.startswith("dashflow-log"):
                thread.join()
        assert [file.name for file in path.parent.iterdir()] == ["log.db"]
        again = SqliteLog(path)
        assert again.version("run-1") == count
        again.close()


def test_many_readers_at_once_share_few_connections(log: SqliteLog, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    reader = log._database.reader
    monkeypatch.setattr(log._database, "reader", lambda: opened.append(1) or reader())
    log.append(Append("run-1", new_events(3)))
    jobs = [lambda: [log.version("run-1") for _ in range(20)]] * 30
    assert in_threads(jobs) == [[3] * 20] * 30
    assert len(opened) <= 8


def test_a_program_that_just_ends_loses_nothing_that_it_submitted(path: Path) -> None:
    program = """
import sys
from dashflow.log.base import Append
from dashflow.log.sqlite import SqliteLog
from dashflow.testing.log_case import new_events
log = SqliteLog(sys.argv[1])
for _ in range(500):
    log.submit(Append("run-1", new_events(1)))
"""
    subprocess.run([sys.executable, "-c", program, str(path)], check=True)
    log = SqliteLog(path)
    assert log.version("run-1") == 500
    log.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_is_told_to_open_the_log_again(path: Path) -> None:
    program = """
import os, sys
from dashflow.errors import OwnershipConflictError, UsageError
from dashflow.log.base import Append, NewEvent
from dashflow.log.sqlite import SqliteLog
from dashflow.testing.log_case import new_events
log = SqliteLog(sys.argv[1])
log.append(Append("run-1", new_events(1), owner=log.instance + "/r", claim=True))
log.submit(Append("run-1", new_events(1))).wait()
child = os.fork()
if child == 0:
    for use in (log.streams, lambda: log.append(Append("run-1")), lambda: log.submit(Append("run-1"))):
        try:
            use()
        except UsageError as error:
            assert str(os.getppid()) in str(error), error
        else:
            os._exit(2)
    log.close()
    again = SqliteLog(sys.argv[1])
    try:
        again.append(Append("run-1", owner=again.instance + "/r", claim=True))
    except OwnershipConflictError:
        # Not by `new_events`, whose numbers the parent goes on with.
        again.append(Append("run-1", [NewEvent("A", b"", os.urandom(16), 1)]))
        again.close()
        sys.exit(0)
    os._exit(3)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert log.append(Append("run-1", new_events(1), expected=3)).version == 4
log.close()
"""
    subprocess.run([sys.executable, "-c", program, str(path)], check=True)
    check(path)


def test_a_connection_closed_by_its_owner(tmp_path: Path) -> None:
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    log = SqliteLog(connection)
    connection.close()
    with pytest.raises(LogClosedError):
        log.append(Append("run-1", new_events(1)))
    with pytest.raises(LogClosedError):
        log.read("run-1")
    log.close()


def test_a_usage_error_fails_alone(log: SqliteLog) -> None:
    tickets = [log.submit(Append(name, new_events(1))) for name in ("run-1", "", "run-1")]
    assert [tickets[0].wait().version, tickets[2].wait().version] == [1, 2]
    with pytest.raises(UsageError):
        tickets[1].wait()
