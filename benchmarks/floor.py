"""The floor: the same work by hand, with nothing around it. Loops, a list, plain SQL with ``json``.

Answers the same names as ``benchmarks.workloads`` where there is something to write by hand. SQLite is in
WAL mode at ``synchronous=FULL``, one row per step, as small as it can be.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.samples import bytes_written, calls_made, per_unit, per_unit_awaited, size_of
from benchmarks.workloads import FAN, FLUSHED, STEPS, TALKS, TEXT, Figures

GROUP = 64
"""Steps per transaction where records may trail."""

INSERT = "INSERT INTO steps (thread, data) VALUES (?, ?)"


class Folder:
    """Where databases may be made."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = count()

    def open(self) -> tuple[Path, sqlite3.Connection]:
        """A new database with its table."""
        folder = self._folder / f"floor-{next(self._number)}"
        folder.mkdir()
        path = folder / "log.db"
        connection = sqlite3.connect(path, isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE steps (id INTEGER PRIMARY KEY, thread INTEGER, data BLOB)")
        return path, connection


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


def chain_sync(folder: Folder) -> Figures:
    """Ten calls in a row."""
    one = per_unit(lambda: [run_steps(1) for _ in range(2000)], 2000)
    return {"step": per_unit(lambda: [run_steps(10) for _ in range(200)], 2000), "invoke": one}


def chain_async(folder: Folder) -> Figures:
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


def loop_sync(folder: Folder) -> Figures:
    """A thousand calls."""
    return {"step": per_unit(lambda: run_steps(STEPS), STEPS)}


def loop_async(folder: Folder) -> Figures:
    """A thousand awaits."""
    return {"step": asyncio.run(per_unit_awaited(lambda: arun_steps(STEPS), STEPS))}


def calls(folder: Folder) -> Figures:
    """What a step calls: the node."""
    return {
        "sync": (calls_made(lambda: run_steps(200)) - calls_made(lambda: run_steps(100))) / 100,
        "async": 1.0,
    }


def send(folder: Folder) -> Figures:
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


def loop_memory(folder: Folder) -> Figures:
    """The loop, keeping every state in a list."""

    def run() -> None:
        states: list[dict[str, int]] = []
        run_steps(STEPS, states.append)

    return {"step": per_unit(run, STEPS)}


def loop_sqlite(folder: Folder, durability: str) -> Figures:
    """One row per step: a transaction each ("sync"), or one for 64 of them ("async")."""
    steps = FLUSHED if durability == "sync" else STEPS
    path, connection = folder.open()
    with closing(connection):
        _insert(connection, 5, 1)
    size, written = size_of(path), bytes_written()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous=FULL")
        start = time.perf_counter()
        _insert(connection, steps, 1 if durability == "sync" else GROUP)
        step = (time.perf_counter() - start) / steps * 1e6
        last = "SELECT data FROM steps WHERE thread = 0 ORDER BY id DESC LIMIT 1"
        state = per_unit(lambda: [json.loads(connection.execute(last).fetchone()[0]) for _ in range(20)], 20)
        every = "SELECT data FROM steps WHERE thread = 0 ORDER BY id DESC"
        history = per_unit(lambda: [json.loads(row[0]) for row in connection.execute(every)], steps)
    after = bytes_written()
    return {
        "step": step,
        "bytes": None if after is None or written is None else (after - written) / steps,
        "growth": (size_of(path) - size) / steps,
        "state": state,
        "first": state,
        "history": history,
    }


def _insert(connection: sqlite3.Connection, steps: int, group: int) -> None:
    waiting: list[tuple[int, bytes]] = []

    def keep(state: dict[str, int]) -> None:
        waiting.append((0, json.dumps(state).encode()))
        if len(waiting) == group:
            commit()

    def commit() -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(INSERT, waiting)
        connection.execute("COMMIT")
        waiting.clear()

    run_steps(steps, keep)
    commit()


def talk(folder: Folder, kind: str, turns: int) -> Figures:
    """Two messages a turn, one transaction each: the question is safe before the answer is made."""
    path, connection = folder.open()
    messages: list[dict[str, str]] = []
    with closing(connection):
        start = time.perf_counter()
        for turn in range(turns):
            for role in ("user", "assistant"):
                messages = [*messages, {"role": role, "content": f"{turn}: {TEXT}"}]
                connection.execute(INSERT, (0, json.dumps(messages[-1]).encode()))
        seconds = time.perf_counter() - start
    return {"seconds": seconds, "megabytes": size_of(path) / 1e6}


def question(folder: Folder, where: str) -> Figures:
    """The question in one transaction, its answer in another."""
    if where == "memory":
        return {"ask": None, "resume": None}
    _, connection = folder.open()
    asks: list[float] = []
    answers: list[float] = []
    with closing(connection):
        for thread in range(TALKS):
            for text, times in (("question", asks), ("answer", answers)):
                start = time.perf_counter()
                connection.execute(INSERT, (thread, json.dumps({"n": 0, text: 7}).encode()))
                times.append(time.perf_counter() - start)
    return {"ask": median(asks) * 1e6, "resume": median(answers) * 1e6}


WORK: dict[str, Callable[..., Figures]] = {
    work.__name__: work
    for work in (
        chain_sync,
        chain_async,
        loop_sync,
        loop_async,
        calls,
        send,
        loop_memory,
        loop_sqlite,
        talk,
        question,
    )
}
