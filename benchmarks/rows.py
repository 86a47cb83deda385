"""The rows of the table: what is measured, in which unit, and what DashFlow has to reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

QUICK_TURNS = 200
FULL_TURNS = 1000


@dataclass(frozen=True)
class Work:
    """One workload as workers know it; ``given`` are its arguments by name."""

    name: str
    given: tuple[tuple[str, str | int], ...] = ()
    everybody: bool = True


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        label: What is done.
        durability: When records are on disk; "-" where there is no log.
        work: Where the figure comes from.
        figure: Its name in what the work returns.
        unit: Its unit; "us cpu" is processor time, "us" elapsed time.
        times: How many times less than LangGraph it has to be; None where no such goal is set.
        most: How much it may be; None where no such goal is set.
    """

    label: str
    durability: str
    work: Work
    figure: str
    unit: str = "us"
    times: float | None = None
    most: float | None = None


def rows(turns: int) -> list[Row]:
    """All rows; ``turns`` is how long the growing conversations are."""
    chain, achain, calls, send = Work("chain_sync"), Work("chain_async"), Work("calls"), Work("send")
    sqlite = {kind: Work("loop_sqlite", (("durability", kind),)) for kind in ("async", "sync")}
    talks = {kind: Work("talk", (("kind", kind), ("turns", turns))) for kind in ("plain", "rich")}
    asked = {where: Work("question", (("where", where),)) for where in ("memory", "sqlite")}
    begin, demo = Work("import"), Work("demo", everybody=False)
    relaxed = sqlite["async"]
    return [
        Row("chain of 10 nodes, sync: per step", "-", chain, "step", unit="us cpu", times=10),
        Row("chain of 10 nodes, async: per step", "-", achain, "step", unit="us cpu", times=10),
        Row("loop of 1,000 steps, sync: per step", "-", Work("loop_sync"), "step", unit="us cpu", times=10),
        Row("loop of 1,000 steps, async: per step", "-", Work("loop_async"), "step", unit="us cpu", times=10),
        Row("graph of one node, sync: per run", "-", chain, "invoke", unit="us cpu", most=60),
        Row("graph of one node, async: per run", "-", achain, "invoke", unit="us cpu"),
        Row("calls per step, sync (exact)", "-", calls, "sync", unit="calls", most=60),
        Row("calls per step, async (exact)", "-", calls, "async", unit="calls"),
        Row("Send to 100 tasks, sync: per task", "-", send, "sync", unit="us cpu", most=13),
        Row("Send to 100 tasks, async: per task", "-", send, "async", unit="us cpu", most=10),
        Row("loop, in-memory saver: per step", "memory", Work("loop_memory"), "step", unit="us cpu", most=25),
        Row("loop, SQLite: per step", "async", relaxed, "step", times=10),
        Row("loop, SQLite: per step", "sync", sqlite["sync"], "step"),
        Row("loop, SQLite: bytes written per step", "async", relaxed, "bytes", unit="B", times=10),
        Row("loop, SQLite: bytes written per step", "sync", sqlite["sync"], "bytes", unit="B"),
        Row("loop, SQLite: file growth per step", "async", relaxed, "growth", unit="B", times=5),
        Row("get_state, SQLite, 1,000 steps: again", "-", relaxed, "state", unit="us cpu", most=57),
        Row("get_state, SQLite, 1,000 steps: first", "-", relaxed, "first", unit="us cpu"),
        Row("history, SQLite: per checkpoint", "-", relaxed, "history", unit="us cpu", most=10),
        Row(
            f"{turns:,} turns of dicts, SQLite: time",
            "async",
            talks["plain"],
            "seconds",
            unit="s",
            most=turns / 1000,
        ),
        Row(
            f"{turns:,} turns of dicts, SQLite: file",
            "async",
            talks["plain"],
            "megabytes",
            unit="MB",
            most=6 * turns / 1000,
        ),
        Row(
            f"{turns:,} turns of messages, SQLite: time",
            "async",
            talks["rich"],
            "seconds",
            unit="s",
            most=turns / 1000,
        ),
        Row(
            f"{turns:,} turns of messages, SQLite: file",
            "async",
            talks["rich"],
            "megabytes",
            unit="MB",
            most=6 * turns / 1000,
        ),
        Row("interrupt, in-memory saver: until asked", "memory", asked["memory"], "ask"),
        Row("interrupt, in-memory saver: resume", "memory", asked["memory"], "resume", most=60),
        Row("interrupt, SQLite: until asked", "async", asked["sqlite"], "ask"),
        Row("interrupt, SQLite: resume", "async", asked["sqlite"], "resume", most=300),
        Row("import StateGraph, new process", "-", begin, "ms", unit="ms cpu", most=60),
        Row("import StateGraph: modules", "-", begin, "modules", unit="modules"),
        Row("import StateGraph: memory", "-", begin, "megabytes", unit="MB"),
        Row("dashflow run, 1,000 files: time (once)", "async", demo, "seconds", unit="s", most=30),
        Row("dashflow run, 1,000 files: peak memory (once)", "async", demo, "megabytes", unit="MB", most=300),
    ]


def works(table: Sequence[Row]) -> list[Work]:
    """The works that rows need, each once, in order."""
    found: list[Work] = []
    for row in table:
        if row.work not in found:
            found.append(row.work)
    return found
