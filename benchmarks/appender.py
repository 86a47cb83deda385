"""Appending to the event log: one stream and the events for it; and a process that does so.

``python -m benchmarks.appender EVENTS PAUSE`` reads the log's address from stdin (it may hold a password),
says ``ready``, waits for another line, and appends so many events to the stream ``live-0``, each when the
one before is durable, with so many milliseconds between them. The data of an event begins with the
nanoseconds of the monotonic clock, which all processes of a machine share, at which its append was called.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque

from dashflow.log.base import Append, EventLog, NewEvent, Ticket
from dashflow.log.ids import EventIds
from dashflow.log.open import open_log

DATA = b"x" * 80
LIVE = "live-0"
WINDOW = 64
"""How many tickets an appender may be ahead of the disk when it submits."""


class Appender:
    """One stream, which it owns, and the events for it, with exact expected versions."""

    def __init__(self, log: EventLog, name: str) -> None:
        self.log = log
        self.name = name
        self.version = 0
        self.ids = EventIds(int.from_bytes(os.urandom(8), "big"), time.time_ns())
        self.owner = f"{log.instance}/{name}"
        self.epoch = log.append(Append(name, owner=self.owner, claim=True)).epoch

    def next(self, batch: int, data: bytes = DATA) -> Append:
        """The next append of so many events."""
        now = time.time_ns()
        events = [
            NewEvent("StepCompleted", data, self.ids.next(now), now, 1, self.name) for _ in range(batch)
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


def main(events: int, pause: float) -> None:
    """Append when told to."""
    log = open_log(sys.stdin.readline().strip())
    appender = Appender(log, LIVE)
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(events):
        log.append(appender.next(1, time.monotonic_ns().to_bytes(8, "big") + DATA))
        if pause:
            time.sleep(pause / 1e3)
    log.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]))
