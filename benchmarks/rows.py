"""The rows of the table: what is measured, in which unit, and what DashFlow has to reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

QUICK_TURNS = 200
FULL_TURNS = 1000
CPU, US, S, MB = "us cpu", "us", "s", "MB"


@dataclass(frozen=True)
class Work:
    """One workload as workers know it.

    Attributes:
        name: Of its function.
        given: Its arguments by name.
        everybody: Whether all packages do it, every round; else DashFlow does, once.
        turns: How often the packages take turns with it in a round.
    """

    name: str
    given: tuple[tuple[str, str | int], ...] = ()
    everybody: bool = True
    turns: int = 1


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        label: What is done.
        durability: When records are on disk; "-" where nothing is recorded.
        work: Where the figure comes from.
        figure: Its name in what the work returns.
        unit: Its unit; "us cpu" is processor time, "us" elapsed time.
        times: How many times less than LangGraph it has to be; None where no such goal is set.
        most: How much it may be on the machine that goals were set on; None where no such goal is set.
        reference: What LangGraph took on that machine.
    """

    label: str
    durability: str
    work: Work
    figure: str
    unit: str = CPU
    times: float | None = None
    most: float | None = None
    reference: float | None = None


def rows(turns: int) -> list[Row]:
    """All rows; ``turns`` is how long the growing conversations are."""
    return [*_computing(), *_recording(), *_reading(), *_talking(turns), *_asking(), *_starting()]


def _computing() -> list[Row]:
    chain, achain, calls = Work("chain_sync", turns=3), Work("chain_async", turns=3), Work("calls")
    loop, aloop, send = Work("loop_sync", turns=3), Work("loop_async", turns=3), Work("send", turns=3)
    return [
        Row("chain of 10 nodes, sync: per step", "-", chain, "step", times=10, reference=171),
        Row("chain of 10 nodes, async: per step", "-", achain, "step", times=10, reference=201),
        Row("loop of 1,000 steps, sync: per step", "-", loop, "step", times=10, reference=188),
        Row("loop of 1,000 steps, async: per step", "-", aloop, "step", times=10),
        Row("graph of one node, sync: per run", "-", chain, "invoke", most=60),
        Row("graph of one node, async: per run", "-", achain, "invoke"),
        Row("calls per step, sync (exact)", "-", calls, "sync", unit="calls", most=60),
        Row("calls per step, async (exact)", "-", calls, "async", unit="calls"),
        Row("Send to 100 tasks, sync: per task", "-", send, "sync", most=13, reference=167),
        Row("Send to 100 tasks, async: per task", "-", send, "async", most=10, reference=130),
    ]


def _recording() -> list[Row]:
    memory, relaxed = Work("loop_memory", turns=3), _sqlite("async")
    strict = _sqlite("sync")
    return [
        Row("loop, in-memory saver: per step", "memory", memory, "step", most=25, reference=269),
        Row("loop, SQLite: per step", "async", relaxed, "step", unit=US, times=10),
        Row("loop, SQLite: per step", "sync", strict, "step", unit=US),
        Row("loop, SQLite: bytes written per step", "async", relaxed, "bytes", unit="B", times=10),
        Row("loop, SQLite: bytes written per step", "sync", strict, "bytes", unit="B"),
        Row("loop, SQLite: file growth per step", "async", relaxed, "growth", unit="B", times=5),
    ]


def _sqlite(durability: str) -> Work:
    return Work("loop_sqlite", (("durability", durability),))


def _reading() -> list[Row]:
    work = _sqlite("async")
    return [
        Row("get_state, SQLite, 1,000 steps: again", "-", work, "state", most=57, reference=57),
        Row("get_state, SQLite, 1,000 steps: first", "-", work, "first"),
        Row("history, SQLite: per checkpoint", "-", work, "history", most=10, reference=66),
    ]


def _talking(turns: int) -> list[Row]:
    found = []
    for kind, name in (("plain", "dicts"), ("rich", "messages")):
        work, label = Work("talk", (("kind", kind), ("turns", turns))), f"{turns:,} turns of {name}, SQLite"
        found += [
            Row(f"{label}: time", "async", work, "seconds", unit=S, most=turns / 1000),
            Row(f"{label}: file", "async", work, "megabytes", unit=MB, most=6 * turns / 1000),
        ]
    return found


def _asking() -> list[Row]:
    memory, sqlite = (Work("question", (("where", where),), turns=2) for where in ("memory", "sqlite"))
    return [
        Row("interrupt, in-memory saver: until asked", "memory", memory, "ask", unit=US),
        Row(
            "interrupt, in-memory saver: resume", "memory", memory, "resume", unit=US, most=60, reference=584
        ),
        Row("interrupt, SQLite: until asked", "async", sqlite, "ask", unit=US),
        Row("interrupt, SQLite: resume", "async", sqlite, "resume", unit=US, most=300, reference=1916),
    ]


def _starting() -> list[Row]:
    begin, demo = Work("import"), Work("demo", everybody=False)
    return [
        Row("import StateGraph, new process", "-", begin, "ms", unit="ms cpu", most=60, reference=470),
        Row("import StateGraph: modules", "-", begin, "modules", unit="modules"),
        Row("import StateGraph: memory", "-", begin, "megabytes", unit=MB),
        Row("dashflow run, 1,000 files: time (once)", "async", demo, "seconds", unit=S, most=30),
        Row("dashflow run, 1,000 files: peak memory (once)", "async", demo, "megabytes", unit=MB, most=300),
    ]


def works(table: Sequence[Row]) -> list[Work]:
    """The works that rows need, each once, in order."""
    found: list[Work] = []
    for row in table:
        if row.work not in found:
            found.append(row.work)
    return found
