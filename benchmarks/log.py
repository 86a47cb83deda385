"""``python -m benchmarks.log``: what the event log in SQLite does per second, every event durable.

Appenders are threads of one process on one file, each with a stream of its own and exact expected
versions. Everything is measured with WAL and ``synchronous=FULL``: an append has returned, or a
ticket is done, only when the disk has the event.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from dashflow.log.base import Append, NewEvent, Ticket
from dashflow.log.ids import EventIds
from dashflow.log.sqlite import SqliteLog

DATA = b"x" * 80
WINDOW = 64
"""How many tickets a run may be ahead of the disk, in the rows "submit"."""


class Appender:
    """One stream and the events for it."""

    def __init__(self, log: SqliteLog, name: str) -> None:
        self.log = log
        self.name = name
        self.version = 0
        self.ids = EventIds(int.from_bytes(os.urandom(8), "big"), time.time_ns())
        self.owner = f"{log.instance}/{name}"
        self.epoch = log.append(Append(name, owner=self.owner, claim=True)).epoch

    def next(self, batch: int) -> Append:
        """The next append of so many events."""
        now = time.time_ns()
        events = [
            NewEvent("StepCompleted", DATA, self.ids.next(now), now, 1, self.name) for _ in range(batch)
        ]
        append = Append(self.name, events, self.version, self.owner, self.epoch)
        self.version += batch
        return append

    def append(self, count: int, batch: int) -> None:
        """Append and wait, so many times."""
        for _ in range(count):
            self.log.append(self.next(batch))

    def submit(self, count: int) -> None:
        """Submit single events, waiting only for the one that is ``WINDOW`` back."""
        open_tickets: deque[Ticket] = deque()
        for _ in range(count):
            open_tickets.append(self.log.submit(self.next(1)))
            if len(open_tickets) > WINDOW:
                open_tickets.popleft().wait()
        for ticket in open_tickets:
            ticket.wait()


def floor(folder: Path, seconds: float) -> float:
    """Commits per second of one row each, by hand: what this disk and SQLite allow."""
    connection = sqlite3.connect(folder / "floor.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE events (id INTEGER PRIMARY KEY, data BLOB)")
    count, started = 0, time.perf_counter()
    while time.perf_counter() - started < seconds:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO events (data) VALUES (?)", (DATA,))
        connection.execute("COMMIT")
        count += 1
    spent = time.perf_counter() - started
    connection.close()
    return count / spent


def appenders(path: Path, threads: int, batch: int, events: int) -> float:
    """Events per second of so many threads that append and wait."""
    log = SqliteLog(path)
    workers = [Appender(log, f"run-{number}") for number in range(threads)]
    count = max(events // threads // batch, 1)
    spent = timed([lambda w=worker: w.append(count, batch) for worker in workers])  # type: ignore[misc]
    log.close()
    return threads * count * batch / spent


def submitted(path: Path, events: int) -> float:
    """Events per second of one thread that submits ahead of the disk."""
    log = SqliteLog(path)
    worker = Appender(log, "run-0")
    spent = timed([lambda: worker.submit(events)])
    log.close()
    return events / spent


def handed_over(events: int) -> float:
    """Microseconds of the caller's own thread for one ``submit``, without a file."""
    log = SqliteLog(":memory:")
    appends = [Append("run-0", (NewEvent("A", DATA, os.urandom(16), 1),)) for _ in range(events)]
    with log._database.lock:  # nobody commits meanwhile
        started = time.perf_counter()
        tickets = [log.submit(append) for append in appends]
        spent = time.perf_counter() - started
    tickets[-1].wait()
    log.close()
    return spent / events * 1e6


def reading(path: Path) -> tuple[float, float]:
    """Events per second of one ``read`` of a stream, and of ``read_all`` in pages of 1,000."""
    log = SqliteLog(path)
    log.version("run-0")
    started = time.perf_counter()
    stream = len(log.read("run-0"))
    middle = time.perf_counter()
    everything, after = 0, 0
    while page := log.read_all(after=after):
        everything += len(page)
        after = page[-1].position
    ended = time.perf_counter()
    log.close()
    return stream / (middle - started), everything / (ended - middle)


def timed(jobs: list[Callable[[], None]]) -> float:
    """Seconds that all jobs take, beside each other."""
    threads = [threading.Thread(target=job) for job in jobs]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started


def row(label: str, figure: float, unit: str, note: str = "") -> None:
    print(f"{label:<44} {figure:>12,.0f} {unit:<10} {note}", flush=True)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.log", description=__doc__)
    parser.add_argument("--events", type=int, default=20_000, help="events per row")
    parser.add_argument("--folder", type=Path, help="where the logs are made (a temporary folder)")
    given = parser.parse_args()
    events: int = given.events
    print(
        f"Event log, SQLite {sqlite3.sqlite_version}, WAL, synchronous=FULL, {len(DATA)} bytes of data per "
        f"event,\n{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {sys.version.split()[0]}\n"
    )
    with tempfile.TemporaryDirectory(prefix="dashflow-log-", dir=given.folder) as name:
        folder = Path(name)
        row("floor: one row per commit, by hand", floor(folder, 1.0), "commits/s")
        for threads, batch, goal in ((1, 1, 4_000), (8, 1, 0), (100, 1, 20_000), (1, 100, 0), (8, 100, 0)):
            rate = appenders(folder / f"log-{threads}-{batch}.db", threads, batch, events)
            label = f"append, {threads} appender{'s' * (threads > 1)}, {batch} event{'s' * (batch > 1)} each"
            row(label, rate, "events/s", f"goal >= {goal:,}" if goal else "")
        path = folder / "log-submit.db"
        rate = submitted(path, 100_000)
        row(f"submit, 1 thread, {WINDOW} ahead", rate, "events/s", f"{1e6 / rate:.1f} us/event, all included")
        print(f"{'submit, the call alone':<44} {handed_over(events):>12.2f} us")
        row("file", path.stat().st_size / 100_000, "B/event")
        stream, everything = reading(path)
        row("read, one stream", stream, "events/s")
        row("read_all, pages of 1,000", everything, "events/s")
        (folder / "again").mkdir()
        row("floor again, for the noise", floor(folder / "again", 1.0), "commits/s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
