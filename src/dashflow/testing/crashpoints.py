"""``crashpoints``: runs a graph with a crash at every commit, and says what that repeats or loses.

    report = crashpoints(graph, {"n": 1})
    print(report)
    report.assert_no_loss()

The graph runs on a log in memory, as often as there are commits and ways to die at one. What a dead process
left is finished as a worker would. The uncrashed run is what all others are compared with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any

from dashflow._util.drive import drive
from dashflow.checkpoint.saver import LogSaver
from dashflow.engine.ports import Host
from dashflow.engine.recovery import Recovery
from dashflow.errors import UsageError
from dashflow.hosts.simulated import SimulatedCrash
from dashflow.hosts.sync import SyncHost
from dashflow.log.base import Append
from dashflow.log.memory import MemoryStore
from dashflow.pregel.main import Pregel
from dashflow.pregel.takeover import take_over
from dashflow.testing.chaos import Chaos, Fault, Passed
from dashflow.testing.crash_report import CrashPoint, CrashReport, Outcome
from dashflow.testing.dying_log import DyingLog
from dashflow.types.commands import Command

__all__ = ("CrashPoint", "CrashReport", "Effects", "Outcome", "acrashpoints", "crashpoints")

Graph = Pregel[Any, Any, Any, Any]
Answer = Callable[[Any], Any]

_THREAD = "crashpoints"
_COUNTED = ("node.before", "step.before")
_ROUNDS = 100
"""Answers after which a run counts as one that never ends."""


class Effects:
    """Counts what nodes do to the world: ``effects("charge")`` where it happens.

    What a process does after its death did not happen: there it raises instead of counting.
    """

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._log: DyingLog | None = None

    def __call__(self, name: str, key: Any = None) -> None:
        """It happens now; with ``key``, which one of those that have this name."""
        if self._log is not None:
            self._log.check()
        self.counts[name if key is None else f"{name}[{key}]"] += 1

    def enter(self, log: DyingLog | None) -> None:
        """Count for this process."""
        self._log = log


class _Calls:
    """How a graph is called: at once."""

    async def invoke(self, graph: Graph, given: Any, config: Any, durability: str) -> None:
        graph.invoke(given, config, durability=durability)

    async def state(self, graph: Graph, config: Any) -> Any:
        return graph.get_state(config)

    def host(self) -> Host:
        return SyncHost()


class _AsyncCalls:
    """The same on a running loop."""

    async def invoke(self, graph: Graph, given: Any, config: Any, durability: str) -> None:
        await graph.ainvoke(given, config, durability=durability)

    async def state(self, graph: Graph, config: Any) -> Any:
        return await graph.aget_state(config)

    def host(self) -> Host:
        from dashflow.hosts.aio import AioHost  # asyncio is loaded where it is used

        return AioHost()


async def _recover(graph: Graph, saver: LogSaver, host: Host) -> None:
    """Finish what a dead process left, as a worker does."""
    recovery = Recovery(host, saver.reader, max_attempts=_ROUNDS)
    orphans, _ = await recovery.look()
    for orphan in orphans:
        if await recovery.verdict(orphan) == "release":
            await recovery.release(orphan)
            continue
        async with aclosing(take_over(graph, host, orphan)) as parts:
            async for _ in parts:
                pass


class _Trial:
    """One life after the other on one store, until the graph is done."""

    def __init__(self, tests: _Tests, point: CrashPoint | None) -> None:
        self._tests = tests
        self._point = point
        self._store = MemoryStore()
        self.commits: list[tuple[str, int]] = []
        self.passed: Counter[str] = Counter()
        self.nodes: Counter[str] = Counter()
        self.steps: Counter[str] = Counter()
        self.crashed = False
        self._first = DyingLog(self._store)
        self.failure = ""
        self.values: Any = None
        self.next: tuple[str, ...] = ()

    async def run(self) -> None:
        """To the end."""
        tests, point = self._tests, self._point
        tests.effects.counts = Counter()
        dies, how = (point.number, point.how) if point is not None and not point.chaos else (0, "before")
        faults = [Fault(point.chaos, "crash", at=point.number)] if point is not None and point.chaos else []
        log = DyingLog(self._store, dies, how, self._commit)
        self._first = log
        with Chaos(faults, watch=self._pass, also=(*_COUNTED, *tests.points)):
            await self._live(log)
        self.crashed = log.dead
        while log.dead:
            log = DyingLog(self._store)
            with Chaos(watch=self._pass, also=_COUNTED):
                await self._live(log, again=True)
        await self._look()

    async def _live(self, log: DyingLog, again: bool = False) -> None:
        """One process's life."""
        tests = self._tests
        saver = LogSaver(log)
        graph = tests.graph.with_checkpointer(saver)
        tests.effects.enter(log)
        try:
            if again:
                await _recover(graph, saver, tests.calls.host())
            await self._finish(graph)
        except SimulatedCrash:
            log.die()
        except Exception as error:
            self.failure = f"{type(error).__name__}: {error}"
        finally:
            tests.effects.enter(None)
            if not log.dead:
                log.flush()
                log.close()

    async def _finish(self, graph: Graph) -> None:
        """What the caller does: the input if it was not accepted, then answers as long as there are some."""
        tests, config = self._tests, self._tests.config
        for _ in range(_ROUNDS):
            state = await tests.calls.state(graph, config)
            if state.metadata is None:
                given = tests.given
            elif state.interrupts and tests.answer is not None:
                given = Command(resume={one.id: tests.answer(one.value) for one in state.interrupts})
            else:
                return
            await tests.calls.invoke(graph, given, config, tests.durability)
        raise UsageError(f"The graph still asks after {_ROUNDS} answers.")

    async def _look(self) -> None:
        log = DyingLog(self._store)
        graph = self._tests.graph.with_checkpointer(LogSaver(log))
        state = await self._tests.calls.state(graph, self._tests.config)
        self.values, self.next = state.values, state.next
        log.close()

    def _commit(self, number: int, append: Append, waiting: int) -> None:
        what = ", ".join(event.type for event in append.events) or ("claim" if append.claim else "release")
        self.commits.append((what, waiting))

    def _pass(self, passed: Passed) -> None:
        self.passed[passed.point] += 1
        if passed.fault is not None:
            self._first.die()
        if passed.point == "node.before" and not passed.name.startswith("__"):
            self.nodes[passed.name] += 1
        elif passed.point == "step.before":
            self.steps[passed.name] += 1


class _Tests:
    """All trials of one graph."""

    def __init__(
        self,
        graph: Graph | Callable[[Effects], Graph],
        given: Any,
        calls: Any,
        *,
        effects: Effects | None,
        config: Any,
        answer: Answer | None,
        durability: str,
        points: Sequence[str],
    ) -> None:
        self.effects = effects or Effects()
        built = graph if isinstance(graph, Pregel) else graph(self.effects)
        if not isinstance(built, Pregel):
            raise UsageError(
                "crashpoints needs a compiled graph, or a function that makes one; "
                f"got {type(built).__name__}."
            )
        self.graph: Graph = built
        self.given = given
        self.calls = calls
        configurable = {"thread_id": _THREAD, **((config or {}).get("configurable") or {})}
        self.config = {**(config or {}), "configurable": configurable}
        self.answer = answer
        self.durability = durability
        self.points = tuple(points)

    async def all(self) -> CrashReport:
        """Run them."""
        calm = _Trial(self, None)
        await calm.run()
        expected = _outcome(None, calm, self.effects)
        if calm.failure:
            raise UsageError(f"The graph fails without a crash, too: {calm.failure}")
        outcomes = []
        for point in self._all_points(calm):
            trial = _Trial(self, point)
            await trial.run()
            outcomes.append(_outcome(point, trial, self.effects))
        return CrashReport(self.graph.name, self.durability, expected, tuple(outcomes))

    def _all_points(self, calm: _Trial) -> list[CrashPoint]:
        found = []
        for number, (what, waiting) in enumerate(calm.commits, 1):
            ways = ("before", "after", "lost") if waiting else ("before", "after")
            found += [CrashPoint(number, how, what) for how in ways]
        for name in self.points:
            found += [
                CrashPoint(number, "at", name, chaos=name) for number in range(1, calm.passed[name] + 1)
            ]
        return found


def _outcome(point: CrashPoint | None, trial: _Trial, effects: Effects) -> Outcome:
    return Outcome(
        point=point,
        crashed=trial.crashed,
        values=trial.values,
        next=trial.next,
        effects=dict(effects.counts),
        nodes=dict(trial.nodes),
        steps=dict(trial.steps),
        failure=trial.failure,
    )


def crashpoints(
    graph: Graph | Callable[[Effects], Graph],
    given: Any,
    *,
    effects: Effects | None = None,
    config: Any = None,
    answer: Answer | None = None,
    durability: str = "async",
    points: Sequence[str] = (),
) -> CrashReport:
    """Run a graph with a crash at every point, each time finish it as a worker would, and compare.

    Args:
        graph: A compiled graph, or a function that makes one and is handed the recorder of effects. Its own
            checkpointer does not matter. Its nodes run many times: let them have no effects but harmless
            ones.
        given: The input.
        effects: The recorder that the graph's nodes call; None: one of its own, see ``report.effects``.
        config: Of the runs; a thread id in it is used.
        answer: Called with what an ``interrupt`` asks, returns the answer; None: a question is the end.
        durability: Of the runs: ``sync``, ``async`` or ``exit``.
        points: Chaos points (``dashflow.testing.chaos_points``) at which to crash as well: ``node.after``.

    Raises:
        UsageError: No graph, or one that fails by itself.
    """
    tests = _Tests(
        graph,
        given,
        _Calls(),
        effects=effects,
        config=config,
        answer=answer,
        durability=durability,
        points=points,
    )
    return drive(tests.all())


async def acrashpoints(
    graph: Graph | Callable[[Effects], Graph],
    given: Any,
    *,
    effects: Effects | None = None,
    config: Any = None,
    answer: Answer | None = None,
    durability: str = "async",
    points: Sequence[str] = (),
) -> CrashReport:
    """``crashpoints`` for graphs with async nodes."""
    tests = _Tests(
        graph,
        given,
        _AsyncCalls(),
        effects=effects,
        config=config,
        answer=answer,
        durability=durability,
        points=points,
    )
    return await tests.all()
