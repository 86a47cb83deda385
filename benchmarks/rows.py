"""The rows of the table: what is measured, in which unit, and what DashFlow has to reach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

CPU, US, MS, S, MB = "us cpu", "us", "ms", "s", "MB"


@dataclass(frozen=True)
class Size:
    """How long the heavier workloads are.

    Attributes:
        turns: Of growing conversations.
        runs: Concurrent ones with their records on a disk.
        messages: Of long threads.
        once: Whether the heavier works are done once only, after the rounds.
    """

    turns: int
    runs: int
    messages: int
    once: bool


QUICK = Size(turns=200, runs=200, messages=100_000, once=True)
FULL = Size(turns=1000, runs=1000, messages=100_000, once=False)


@dataclass(frozen=True)
class Work:
    """One workload as workers know it.

    Attributes:
        name: Of its function.
        given: Its arguments by name.
        once: Whether it is done once, after the rounds, since it takes long.
        turns: How often the packages take turns with it in a round.
    """

    name: str
    given: tuple[tuple[str, str | int], ...] = ()
    once: bool = False
    turns: int = 1

    @property
    def on_postgres(self) -> bool:
        """Whether it needs a server."""
        return ("where", "postgres") in self.given


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
        least: How much it has to be there, where more is better; None where no such goal is set.
        over: How many times the floor it may take; None where no such goal is set.
        reference: What LangGraph took, or came to, on that machine.
    """

    label: str
    durability: str
    work: Work
    figure: str
    unit: str = CPU
    times: float | None = None
    most: float | None = None
    least: float | None = None
    over: float | None = None
    reference: float | None = None

    @property
    def title(self) -> str:
        """The label, and whether the figure is a single one."""
        return f"{self.label} (once)" if self.work.once else self.label

    @property
    def more(self) -> bool:
        """Whether more is better: so many per second."""
        return self.unit.endswith(("/s", "/s cpu"))


def rows(size: Size) -> list[Row]:
    """All rows."""
    return [
        *_computing(),
        *_recording("sqlite", "SQLite"),
        *_recording("postgres", "PostgreSQL"),
        *_talking(size),
        *_asking(),
        *_concurrent(size),
        *_long(size),
        *_appending(size),
        *_following(size),
        *_sharing(size),
        *_batches(size),
        *_approving(size),
        *_starting(),
        *_holding(),
    ]


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


def _recording(where: str, name: str) -> list[Row]:
    """The loop with its records in memory and on a disk, and reading what it left."""
    memory = Work("loop_memory", turns=3)
    relaxed, strict = (
        Work("loop_recorded", (("where", where), ("durability", durability)), turns=turns)
        for durability, turns in (("async", 1), ("sync", 2))
    )
    loop, sqlite = f"loop, {name}: ", where == "sqlite"
    time, over = (CPU, 1.3) if sqlite else (US, 1.5)
    written = f"{loop}bytes written per step" if sqlite else f"{loop}bytes of WAL per step"
    found = [
        Row(f"{loop}per step", "async", relaxed, "step", unit=US, times=10),
        Row(f"{loop}per step", "sync", strict, "step", unit=US, over=over),
        Row(written, "async", relaxed, "bytes", unit="B", times=10 if sqlite else None),
        Row(written, "sync", strict, "bytes", unit="B"),
        Row(f"{loop}growth per step", "async", relaxed, "growth", unit="B", times=5 if sqlite else None),
        Row(f"get_state, {name}, 1,000 steps: again", "-", relaxed, "state", unit=time),
        Row(f"get_state, {name}, 1,000 steps: first", "-", relaxed, "first", unit=time),
        Row(f"history, {name}: per checkpoint, all of it", "-", relaxed, "history", unit=time, reference=66),
        Row(f"history, {name}: values of each", "-", relaxed, "values", unit=time, most=10, reference=66),
    ]
    if not sqlite:
        return found
    found[5] = replace(found[5], most=57, reference=57)
    return [Row("loop, in-memory saver: per step", "memory", memory, "step", most=25, reference=269), *found]


def _talking(size: Size) -> list[Row]:
    """Growing conversations."""
    found, share = [], size.turns / 1000
    for where, name in (("sqlite", "SQLite"), ("postgres", "PostgreSQL")):
        for kind, what in (("plain", "dicts"), ("rich", "messages")):
            given = (("where", where), ("kind", kind), ("turns", size.turns))
            work = Work("talk", given, once=size.once and (where, kind) == ("postgres", "rich"))
            label, goal = f"{size.turns:,} turns of {what}, {name}", where == "sqlite" or None
            found += [
                Row(f"{label}: time", "async", work, "seconds", unit=S, most=goal and share),
                Row(f"{label}: size", "async", work, "megabytes", unit=MB, most=goal and 6 * share),
            ]
    return found


def _asking() -> list[Row]:
    """``interrupt()`` and its answer."""
    found = []
    for where, name, most, reference in (
        ("memory", "in-memory saver", 60, 584),
        ("sqlite", "SQLite", 300, 1916),
        ("postgres", "PostgreSQL", None, None),
    ):
        work = Work("question", (("where", where),), turns=2)
        durability = "memory" if where == "memory" else "async"
        found += [
            Row(f"interrupt, {name}: until asked", durability, work, "ask", unit=US),
            Row(
                f"interrupt, {name}: resume",
                durability,
                work,
                "resume",
                unit=US,
                most=most,
                reference=reference,
            ),
        ]
    return found


def _concurrent(size: Size) -> list[Row]:
    """Many runs at once, and many waits at once."""
    found = []
    for where, name, runs, least, reference in (
        ("none", "no saver", 1000, 8000, 559),
        ("memory", "in-memory saver", 1000, None, None),
        ("sqlite", "AsyncSqliteSaver", size.runs, 2000, 107),
        ("postgres", "AsyncPostgresSaver", size.runs, 1000, 61),
    ):
        work = Work("concurrent_runs", (("where", where), ("runs", runs)), once=size.once)
        durability = {"none": "-", "memory": "memory"}.get(where, "async")
        label = f"{runs:,} concurrent 5-step runs, {name}"
        found.append(
            Row(label, durability, work, "rate", unit="runs/s", least=least, reference=reference),
        )
    waits = Row(
        "abatch of 200 runs that wait 5 ms", "-", Work("abatch"), "ms", unit=MS, most=12, reference=105
    )
    return [*found, waits]


def _long(size: Size) -> list[Row]:
    """Long threads, opened by new processes."""
    found = []
    for kind, what in (("plain", "dicts"), ("rich", "messages")):
        work = Work("long_thread", (("kind", kind), ("messages", size.messages)), once=True)
        label = f"thread of {size.messages:,} {what}, SQLite"
        found += [
            Row(f"{label}: opened, new process", "-", work, "opened", unit="ms cpu", most=50),
            Row(f"{label}: and all of it read", "-", work, "first", unit="ms cpu", most=50),
            Row(f"{label}: opened again", "-", work, "opened_again", unit="ms cpu", most=50),
            Row(f"{label}: and all read again", "-", work, "again", unit="ms cpu", most=50),
            Row(f"{label}: file", "async", work, "megabytes", unit=MB),
        ]
    return found


def _appending(size: Size) -> list[Row]:
    """Durable events per second."""
    found = []
    for where, name, counts in (
        (
            "sqlite",
            "SQLite",
            ((1, 1, 1000, 4000), (8, 1, 8000, None), (100, 1, 20000, 20000), (8, 100, 80000, None)),
        ),
        (
            "postgres",
            "PostgreSQL",
            ((1, 1, 1000, None), (8, 1, 4000, 8000), (100, 1, 10000, None), (8, 100, 40000, None)),
        ),
    ):
        for appenders, batch, events, least in counts:
            given = (("where", where), ("appenders", appenders), ("batch", batch), ("events", events))
            label = f"append, {name}, {appenders} appender{'s' * (appenders > 1)}"
            label += f", {batch} each" * (batch > 1)
            found.append(Row(label, "sync", Work("append", given), "rate", unit="events/s", least=least))
        work = Work("submit", (("where", where), ("appenders", 8), ("events", 40000)), once=size.once)
        found.append(Row(f"submit ahead, {name}, 8 appenders", "async", work, "rate", unit="events/s"))
        if where == "sqlite":
            found.append(Row(f"submit ahead, {name}: file per event", "async", work, "bytes", unit="B"))
        work = Work("reading", (("where", where), ("events", 20000)), once=size.once)
        found += [
            Row(f"read of one stream, {name}", "-", work, "stream", unit="events/s"),
            Row(f"read_all in pages of 1,000, {name}", "-", work, "all", unit="events/s"),
        ]
    return found


def _following(size: Size) -> list[Row]:
    """Live delivery between processes; the checks see to it that none is missing or comes twice."""
    found = []
    for where, name in (("sqlite", "SQLite"), ("postgres", "PostgreSQL")):
        one, many, burst = (
            Work(
                "delivery",
                (("where", where), ("subscribers", number), ("events", events), ("pause", pause)),
                once=size.once and number > 1,
            )
            for number, events, pause in ((1, 300, 4), (100, 100, 20), (100, 500, 0))
        )
        label = f"live delivery, {name}, "
        found += [
            Row(f"{label}1 subscriber: p50", "sync", one, "p50", unit=MS),
            Row(f"{label}1 subscriber: p99", "sync", one, "p99", unit=MS, most=20),
            Row(f"{label}100 subscribers: p50", "sync", many, "p50", unit=MS),
            Row(f"{label}100 subscribers: p99", "sync", many, "p99", unit=MS),
            Row(f"{label}100 subscribers: burst", "sync", burst, "rate", unit="events/s"),
        ]
    return found


def _sharing(size: Size) -> list[Row]:
    """Consumer groups."""
    found = []
    for where, name, consumers, messages in (
        ("sqlite", "SQLite", 1, 20000),
        ("sqlite", "SQLite", 4, 20000),
        ("postgres", "PostgreSQL", 1, 10000),
        ("postgres", "PostgreSQL", 4, 10000),
    ):
        work = Work("group", (("where", where), ("consumers", consumers), ("messages", messages)), size.once)
        label = f"consumer group, {name}, {consumers} consumer{'s' * (consumers > 1)}"
        found.append(Row(label, "async", work, "rate", unit="messages/s"))
    return found


def _batches(size: Size) -> list[Row]:
    """Durable batches."""
    found = []
    for where, name in (("sqlite", "SQLite"), ("postgres", "PostgreSQL")):
        for kind, items in (("function", 2000), ("graph", 500)):
            work = Work("batch", (("where", where), ("kind", kind), ("items", items)), size.once)
            found.append(Row(f"batch over a {kind}, {name}", "async", work, "rate", unit="items/s"))
    return found


def _approving(size: Size) -> list[Row]:
    """A plan of 10,000 tasks, of which 2,000 wait for two approvals each."""
    found = []
    for where, name in (("sqlite", "SQLite"), ("postgres", "PostgreSQL")):
        work = Work("approvals", (("where", where), ("tasks", 10_000), ("held", 2_000)), once=True)
        label = f"plan of 10,000 tasks, 2,000 approvals, {name}"
        found += [
            Row(f"{label}: per task until all are asked", "sync", work, "task", unit=US),
            Row(f"{label}: a person's list of 2,000", "-", work, "list", unit=MS),
            Row(f"{label}: per vote", "sync", work, "vote", unit=US),
            Row(f"{label}: opened again", "-", work, "open", unit=MS),
        ]
    return found


def _starting() -> list[Row]:
    begin, demo = Work("import"), Work("demo", once=True)
    return [
        Row("import StateGraph, new process", "-", begin, "ms", unit="ms cpu", most=60, reference=470),
        Row("import StateGraph: modules", "-", begin, "modules", unit="modules"),
        Row("import StateGraph: memory", "-", begin, "megabytes", unit=MB),
        Row("dashflow run, 1,000 files: time", "async", demo, "seconds", unit=S, most=30),
        Row("dashflow run, 1,000 files: peak memory", "async", demo, "megabytes", unit=MB, most=300),
    ]


def _holding() -> list[Row]:
    """What threads take that are only there, and tokens on their way through graphs."""
    idle = Work("idle_threads", (("threads", 10_000),), once=True)
    running, tokens = Work("running_threads", (("threads", 1000),)), Work("tokens")
    return [
        Row("10,000 threads open, SQLite: memory of each", "exit", idle, "bytes", unit="B"),
        Row("10,000 threads open, SQLite: one more run", "exit", idle, "run"),
        Row("1,000 runs that wait: memory of each", "memory", running, "bytes", unit="B"),
        Row("tokens through three nested graphs", "-", tokens, "rate", unit="tokens/s cpu"),
    ]


def works(table: Sequence[Row]) -> list[Work]:
    """The works that rows need, each once, in order."""
    found: list[Work] = []
    for row in table:
        if row.work not in found:
            found.append(row.work)
    return found
