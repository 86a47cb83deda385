"""One package under faults of storage: ``python -m benchmarks.reliability.storage PACKAGE FLIPS``.

Uses only what is installed beside it, so that it runs in the environment of either package. The faults come
from the VFS of the tests, under the ``sqlite3`` that both packages use.
"""

from __future__ import annotations

import importlib
import json
import operator
import os
import random
import resource
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, TypedDict

from tests.crash.faulty_disk import FaultyDisk, library

CONFIG: Any = {"configurable": {"thread_id": "t"}, "recursion_limit": 1000}
RECORDED = {
    "dashflow": "SELECT count(*) - 1 FROM events WHERE version > 1",
    "langgraph": "SELECT count(*) - 1 FROM checkpoints",
}


class State(TypedDict):
    """A counter, orders that grow, a page of text that is replaced."""

    n: int
    orders: Annotated[list, operator.add]
    page: str


class Package:
    """DashFlow or LangGraph, by their common names."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.graph = importlib.import_module(f"{name}.graph")
        self.sqlite = importlib.import_module(f"{name}.checkpoint.sqlite")

    def compiled(self, saver: Any, steps: int, size: int, ran: list[int], look: Any = None) -> Any:
        """A graph of one node that runs so many times."""

        def step(state: State) -> dict[str, Any]:
            n = state["n"]
            ran.append(n)
            if look is not None:
                look(len(ran))
            return {
                "n": n + 1,
                "orders": [{"to": "account", "amount": 1000 + n}],
                "page": noise(n, size),
            }

        graph = self.graph.StateGraph(State).add_node("step", step).add_edge(self.graph.START, "step")
        graph.add_conditional_edges("step", lambda s: "step" if s["n"] < steps else self.graph.END)
        return graph.compile(checkpointer=saver)

    def recorded(self, path: Path) -> int:
        """How many steps the file has."""
        with closing(sqlite3.connect(path)) as connection:
            return max(0, int(connection.execute(RECORDED[self.name]).fetchone()[0]))


LETTERS = "".join(map(chr, range(33, 127)))
BEGINNING = {"n": 0, "orders": [], "page": ""}


def noise(n: int, size: int) -> str:
    """A text that no packer makes smaller."""
    return "".join(random.Random(n).choices(LETTERS, k=size))


def flips(package: Package, folder: Path, count: int) -> dict[str, int]:
    """Flip bits of a finished thread's file, or cut it, and look at its state and history."""
    path = folder / "flips.db"

    def look() -> Any:
        with package.sqlite.SqliteSaver.from_conn_string(str(path)) as saver:
            app = package.compiled(saver, 8, 2000, [])
            now = app.get_state(CONFIG)
            return now.values, now.next, [then.values for then in app.get_state_history(CONFIG)]

    with package.sqlite.SqliteSaver.from_conn_string(str(path)) as saver:
        package.compiled(saver, 8, 2000, []).invoke(BEGINNING, CONFIG)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content, right = path.read_bytes(), look()
    chance = random.Random(1)
    came = {"tried": count, "same": 0, "named error": 0, "other error": 0, "silently wrong": 0}
    for _ in range(count):
        for ending in ("-wal", "-shm"):
            Path(f"{path}{ending}").unlink(missing_ok=True)
        bad = bytearray(content)
        at = chance.randrange(len(bad))
        if chance.random() < 0.1:
            del bad[at:]
        else:
            bad[at] ^= 1 << chance.randrange(8)
        path.write_bytes(bad)
        try:
            came["same" if look() == right else "silently wrong"] += 1
        except Exception as error:
            came["named error" if type(error).__module__.startswith(package.name) else "other error"] += 1
    return came


def full(package: Package, folder: Path, disk: FaultyDisk, durability: str) -> dict[str, Any]:
    """A disk that is full after some steps: what ran on, and what running again repeats."""
    path, ran = folder / f"full-{durability}.db", []
    with package.sqlite.SqliteSaver.from_conn_string(str(path)) as saver:
        app = package.compiled(saver, 40, 40_000, ran)
        disk.room = 600_000
        failed = "no"
        try:
            app.invoke(BEGINNING, CONFIG, durability=durability)
        except Exception as error:
            failed = type(error).__name__
        disk.mend()
        recorded, done = package.recorded(path), len(ran)
        end = app.invoke(None, CONFIG, durability=durability)
    return {
        "error": failed,
        "ran beyond": done - recorded,
        "repeated": len(ran) - 40,
        "right end": end["n"] == 40,
    }


def slow(package: Package, folder: Path, disk: FaultyDisk) -> dict[str, Any]:
    """A store whose every flush takes 20 ms: how far a run is ahead of it, and what memory that takes."""
    path, ahead = folder / "slow.db", [0]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    def look(done: int) -> None:
        if done % 20 == 0:
            ahead.append(done - package.recorded(path))

    with package.sqlite.SqliteSaver.from_conn_string(str(path)) as saver:
        if package.name == "langgraph":
            saver.conn.execute("PRAGMA synchronous=FULL")  # as the figure of DashFlow
        app = package.compiled(saver, 400, 200_000, [], look)
        disk.slow = lambda: time.sleep(0.02)
        app.invoke(BEGINNING, CONFIG, durability="async")
        disk.slow = None
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {"most steps ahead, with the one that runs": max(ahead), "memory MB": round(grown / 1024)}


def main(name: str, count: int) -> None:
    """Measure one package."""
    sqlite = library()
    if sqlite is None:
        sys.exit("this interpreter's SQLite lets no VFS in")
    package = Package(name)
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        found["bit flips and cuts"] = flips(package, folder, count)
        with FaultyDisk(sqlite) as disk:
            for durability in ("async", "sync"):
                found[f"disk full, {durability}"] = full(package, folder, disk, durability)
            found["20 ms per flush, async"] = slow(package, folder, disk)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    os.environ.setdefault("LANGSMITH_TRACING", "false")
    main(sys.argv[1], int(sys.argv[2]))
