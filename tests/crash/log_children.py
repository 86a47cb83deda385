"""Programs that write to an event log in processes of their own, and what their parent does with them.

One text for every log that several processes can open: ``opened`` takes a file's path or a server's address.
Children print every acknowledgement before they go on.
"""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256

from dashflow.log.base import EventLog

Child = "subprocess.Popen[str]"
Start = Callable[..., "subprocess.Popen[str]"]

# Without pytest, which takes longer to load than everything else.
BEGIN = """
import os, sys, threading
from dashflow.errors import FencedError, OwnershipConflictError, VersionConflictError
from dashflow.log.base import ANY, Append, NewEvent

def opened(where, **options):
    if "://" in where:
        from dashflow.log.postgres import PostgresLog as Log
    else:
        from dashflow.log.sqlite import SqliteLog as Log
    return Log(where, **options)

def new_events(count):
    return [NewEvent("TaskCompleted", str(n).encode(), os.urandom(16), 1) for n in range(count)]
"""

WRITER = """
path, mode, stream, lease = sys.argv[1:]
log = opened(path, lease_seconds=float(lease))
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

APPENDER = """
log = opened(sys.argv[1])
for number in range(int(sys.argv[2])):
    log.append(Append("run-any", new_events(2), ANY))
    while True:
        try:
            log.append(Append("run-exact", new_events(1), log.version("run-exact")))
            break
        except VersionConflictError:
            continue
log.close()
"""

SLEEPER = """
log = opened(sys.argv[1], lease_seconds=0.2)
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

CLAIMANT = """
log = opened(sys.argv[1])
print("ready", flush=True)
for line in sys.stdin:
    stream = line.strip()
    owner = log.instance + "/r"
    try:
        done = log.append(Append(stream, new_events(1), 0, owner=owner, claim=True))
        print("won", done.epoch, flush=True)
    except (OwnershipConflictError, VersionConflictError):
        print("lost", flush=True)
log.close()
"""


FORGETTER = """
from hashlib import sha256
from dashflow.log.base import EVERYTHING, Snapshot
log = opened(sys.argv[1], lease_seconds=float(sys.argv[2]))
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


@contextmanager
def children() -> Iterator[Start]:
    """Starts children, and sees to it that none outlives the test."""
    started: list[subprocess.Popen[str]] = []

    def starting(program: str, *arguments: object) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", BEGIN + program, *map(str, arguments)]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(child)
        return child

    yield starting
    for child in started:
        child.kill()
        child.communicate()


def said(child: "subprocess.Popen[str]") -> str:
    """The next line of a child."""
    assert child.stdout is not None
    return child.stdout.readline().strip()


def tell(child: "subprocess.Popen[str]", line: str) -> None:
    """Give a child its next line."""
    assert child.stdin is not None
    child.stdin.write(line + "\n")
    child.stdin.flush()


def kill(child: "subprocess.Popen[str]", acknowledged: dict[str, int]) -> None:
    """kill -9; adds what the child had acknowledged by then."""
    child.kill()
    rest, _ = child.communicate()
    for line in rest.splitlines(keepends=True):
        if line.endswith("\n"):  # the last one may be torn
            name, version = line.split()
            acknowledged[name] = int(version)


class Follower:
    """Reads what a child acknowledges, so that it never waits for its parent.

    Attributes:
        acknowledged: The last version by stream.
    """

    def __init__(self, child: "subprocess.Popen[str]") -> None:
        self.child = child
        self.acknowledged: dict[str, int] = {}
        self._lines = 0
        self._more = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait_for(self, lines: int) -> None:
        """Wait until it has acknowledged so many times more."""
        with self._more:
            wanted = self._lines + lines
            assert self._more.wait_for(lambda: self._lines >= wanted or self._ended(), timeout=120)
            assert not self._ended(), "the child has ended"

    def kill(self) -> None:
        """kill -9, and read the rest."""
        self.child.kill()
        self._thread.join()

    def _ended(self) -> bool:
        return self.child.poll() is not None

    def _run(self) -> None:
        assert self.child.stdout is not None
        for line in self.child.stdout:
            if line.endswith("\n"):  # the last one may be torn
                name, version = line.split()
                with self._more:
                    self.acknowledged[name] = int(version)
                    self._lines += 1
                    self._more.notify_all()
        with self._more:
            self._more.notify_all()


def check_stream(log: EventLog, stream: str, acknowledged: int) -> None:
    """Everything acknowledged is there, whole appends only, without gaps."""
    records = log.read(stream)
    assert len(records) >= acknowledged
    assert [record.version for record in records] == list(range(1, len(records) + 1))
    assert [record.data for record in records] == [b"0", b"1", b"2"] * (len(records) // 3)


def check_forgetful(log: EventLog, last: int) -> int:
    """What ``FORGETTER`` left is whole; how many blobs the log must have."""
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
    return len(records) + 1  # their own and the shared one
