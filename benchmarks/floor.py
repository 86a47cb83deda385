"""The floor: the same work by hand, with nothing around it. Loops, a list, plain SQL with ``json``.

Answers the same names as ``benchmarks.workloads`` and ``benchmarks.log_workloads`` where there is something
to write by hand. One row per step, as small as it can be; SQLite is in WAL mode at ``synchronous=FULL``.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

from benchmarks.package import FAN, SLEEP, STEPS, TEXT, expect
from benchmarks.places import File, Place, Places, Schema
from benchmarks.samples import calls_made, per_unit, per_unit_awaited
from benchmarks.workloads import FLUSHED, ITEMS, TALKS, WARM, Figures

GROUP = 64
"""Steps per transaction where records may trail."""

CREATE = {
    File: "CREATE TABLE steps (id INTEGER PRIMARY KEY, thread INTEGER, data BLOB)",
    Schema: "CREATE TABLE steps (id bigserial PRIMARY KEY, thread bigint, data bytea)",
}
INSERT = "INSERT INTO steps (thread, data) VALUES (?, ?)"
UNNEST = "INSERT INTO steps (thread, data) SELECT * FROM unnest(%s::bigint[], %s::bytea[])"
SELECT = "SELECT data FROM steps WHERE thread = 0 ORDER BY id DESC"


class Table:
    """A table with a row per step, in a place that nothing else uses."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self._connection = self.connect()
        self._connection.execute(CREATE[type(place)])

    def connect(self) -> Any:
        """A connection that commits each statement by itself."""
        if isinstance(self.place, File):
            connection = sqlite3.connect(self.place.address, isolation_level=None)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            return connection
        from psycopg import connect  # only where there is a server

        return connect(self.place.address, autocommit=True)

    def open(self) -> None:
        """Open another connection after the one that was closed."""
        self._connection = self.connect()

    def insert(self, rows: Sequence[tuple[int, bytes]]) -> None:
        """Insert rows in one transaction, with as few round trips as it takes."""
        if isinstance(self.place, Schema):
            threads, data = zip(*rows, strict=True)
            self._connection.execute(UNNEST, (list(threads), list(data)))
        elif len(rows) == 1:
            self._connection.execute(INSERT, rows[0])
        else:
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(INSERT, rows)
            self._connection.execute("COMMIT")

    def last(self) -> Any:
        """The data of the latest row."""
        return json.loads(self._connection.execute(f"{SELECT} LIMIT 1").fetchone()[0])

    def all(self) -> list[Any]:
        """The data of all rows, newest first."""
        return [json.loads(row[0]) for row in self._connection.execute(SELECT)]

    def close(self) -> None:
        """Close the connection, which writes back what has to be."""
        self._connection.close()


def add(state: dict[str, int]) -> dict[str, int]:
    """The node of chains and loops."""
    return {"n": state["n"] + 1}


async def aadd(state: dict[str, int]) -> dict[str, int]:
    """The same as a coroutine function."""
    return {"n": state["n"] + 1}


def run_steps(steps: int, keep: Callable[[dict[str, int]], Any] | None = None) -> dict[str, int]:
    """The loop by hand; ``keep`` is given the state after each step."""
    state = {"n": 0}
    for _ in range(steps):
        state = {**state, **add(state)}
        if keep is not None:
            keep(state)
    return state


async def arun_steps(steps: int) -> dict[str, int]:
    """The same with awaits."""
    state = {"n": 0}
    for _ in range(steps):
        state = {**state, **await aadd(state)}
    return state


def chain_sync(places: Places) -> Figures:
    """Ten calls in a row."""
    one = per_unit(lambda: [run_steps(1) for _ in range(2000)], 2000)
    return {"step": per_unit(lambda: [run_steps(10) for _ in range(200)], 2000), "invoke": one}


def chain_async(places: Places) -> Figures:
    """Ten awaits in a row."""

    async def runs(length: int) -> None:
        for _ in range(200):
            await arun_steps(length)

    async def measure() -> Figures:
        return {
            "step": await per_unit_awaited(lambda: runs(10), 2000),
            "invoke": await per_unit_awaited(lambda: runs(1), 200),
        }

    return asyncio.run(measure())


def loop_sync(places: Places) -> Figures:
    """A thousand calls."""
    return {"step": per_unit(lambda: run_steps(STEPS), STEPS)}


def loop_async(places: Places) -> Figures:
    """A thousand awaits."""
    return {"step": asyncio.run(per_unit_awaited(lambda: arun_steps(STEPS), STEPS))}


def calls(places: Places) -> Figures:
    """What a step calls: the node."""
    return {
        "sync": (calls_made(lambda: run_steps(200)) - calls_made(lambda: run_steps(100))) / 100,
        "async": 1.0,
    }


def send(places: Places) -> Figures:
    """A hundred pieces of work on threads, and as coroutines."""

    def work(number: int) -> list[int]:
        return [number]

    async def awork(number: int) -> list[int]:
        return [number]

    async def gather() -> None:
        await asyncio.gather(*(asyncio.create_task(awork(i)) for i in range(FAN)))

    with ThreadPoolExecutor() as pool:
        threads = per_unit(lambda: list(pool.map(work, range(FAN))), FAN)
    return {"sync": threads, "async": asyncio.run(per_unit_awaited(gather, FAN))}


def abatch(places: Places) -> Figures:
    """Two hundred coroutines that each wait 5 ms."""

    async def measure() -> Figures:
        start = time.perf_counter()
        await asyncio.gather(*(asyncio.sleep(SLEEP) for _ in range(ITEMS)))
        return {"ms": (time.perf_counter() - start) * 1e3}

    return asyncio.run(measure())


def loop_memory(places: Places) -> Figures:
    """The loop, keeping every state in a list."""

    def run() -> None:
        states: list[dict[str, int]] = []
        run_steps(STEPS, states.append)

    return {"step": per_unit(run, STEPS)}


def loop_recorded(places: Places, where: str, durability: str) -> Figures:
    """One row per step: a transaction each ("sync"), or one for 64 of them ("async")."""
    steps = FLUSHED if durability == "sync" else STEPS
    table = Table(places.new(where))
    _insert(table, WARM, 1)
    table.close()
    size, written = table.place.size(), table.place.written()
    table.open()
    start = time.perf_counter()
    _insert(table, steps, 1 if durability == "sync" else GROUP)
    step = (time.perf_counter() - start) / steps * 1e6
    clock = time.process_time if where == "sqlite" else time.perf_counter
    expect((table.last(), len(table.all())), ({"n": steps}, steps + WARM))
    state = per_unit(lambda: [table.last() for _ in range(20)], 20, clock)
    history = per_unit(table.all, steps, clock)
    table.close()
    after = table.place.written()
    return {
        "step": step,
        "bytes": None if after is None or written is None else (after - written) / steps,
        "growth": (table.place.size() - size) / steps,
        "state": state,
        "first": state,
        "history": history,
    }


def _insert(table: Table, steps: int, group: int) -> None:
    waiting: list[tuple[int, bytes]] = []

    def keep(state: dict[str, int]) -> None:
        waiting.append((0, json.dumps(state).encode()))
        if len(waiting) == group:
            commit()

    def commit() -> None:
        if waiting:
            table.insert(waiting)
            waiting.clear()

    run_steps(steps, keep)
    commit()


def talk(places: Places, where: str, kind: str, turns: int) -> Figures:
    """Two messages a turn, one transaction each: the question is safe before the answer is made."""
    table = Table(places.new(where))
    messages: list[dict[str, str]] = []
    start = time.perf_counter()
    for turn in range(turns):
        for role in ("user", "assistant"):
            messages = [*messages, {"role": role, "content": f"{turn}: {TEXT}"}]
            table.insert([(0, json.dumps(messages[-1]).encode())])
    seconds = time.perf_counter() - start
    expect(len(table.all()), 2 * turns)
    table.close()
    return {"seconds": seconds, "megabytes": table.place.size() / 1e6}


def question(places: Places, where: str) -> Figures:
    """The question in one transaction, its answer in another."""
    if where == "memory":
        return {}
    table = Table(places.new(where))
    asks: list[float] = []
    answers: list[float] = []
    for thread in range(TALKS):
        for text, times in (("question", asks), ("answer", answers)):
            start = time.perf_counter()
            table.insert([(thread, json.dumps({"n": 0, text: 7}).encode())])
            times.append(time.perf_counter() - start)
    table.close()
    return {"ask": median(asks) * 1e6, "resume": median(answers) * 1e6}


def append(places: Places, where: str, appenders: int, batch: int, events: int) -> Figures:
    """All who wait share a commit: one row each, or so many, in one transaction after the other."""
    table = Table(places.new(where))
    group = appenders * batch
    start = time.perf_counter()
    for _ in range(events // group):
        table.insert([(0, b'"' + b"x" * 78 + b'"')] * group)
    seconds = time.perf_counter() - start
    expect(len(table.all()), events // group * group)
    table.close()
    return {"rate": events // group * group / seconds}


WORK: dict[str, Callable[..., Figures]] = {
    work.__name__: work
    for work in (
        chain_sync,
        chain_async,
        loop_sync,
        loop_async,
        calls,
        send,
        abatch,
        loop_memory,
        loop_recorded,
        talk,
        question,
        append,
    )
}
