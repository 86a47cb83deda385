"""The worker's flow: look for runs without an owner, work on some at a time, look again.

Awaits the host port only. Which run may be taken over is decided by the log: whoever claims it first.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from dashflow._util.drive import drive
from dashflow.core.plan import UNNAMED
from dashflow.engine.ports import Crew, Done, Host, Overdue, Posted
from dashflow.engine.recovery import Orphan, Recovery, Stray
from dashflow.errors import (
    FencedError,
    GraphDrained,
    IncompatibleGraphError,
    LogClosedError,
    LogError,
    OwnershipConflictError,
    RunCancelledError,
    VersionConflictError,
)
from dashflow.pregel.takeover import adopt, answer, take_over
from dashflow.runtime import RunControl
from dashflow.worker.report import Report, What
from dashflow.worker.versions import Versions

if TYPE_CHECKING:
    from dashflow.worker.approvals import ApprovalCare, Decided
    from dashflow.worker.plans import PlanRecovery

_STOPPED: Final = "the worker was stopped"
_FASTER: Final = (OwnershipConflictError, VersionConflictError, FencedError)


class Stop:
    """Posted to a flow that is to end: what runs stops at its next step and is put back."""


class Rounds:
    """One worker.

    Args:
        host: The world.
        recovery: The log's orphans.
        graphs: The graphs it has.
        context: Handed to nodes as ``runtime.context``.
        concurrency: How many runs it works on at a time.
        every: Seconds between two looks.
        tell: Told what happens, on whatever thread it happens.
        plans: Plan runs of the log; None: they are left alone.
        approvals: Approvals of the log; None: nobody cares for them here.
    """

    def __init__(
        self,
        host: Host,
        recovery: Recovery,
        graphs: Versions,
        *,
        context: Any,
        concurrency: int,
        every: float,
        tell: Callable[[Report], None],
        plans: PlanRecovery | None = None,
        approvals: ApprovalCare | None = None,
    ) -> None:
        self._host = host
        self._recovery = recovery
        self._graphs = graphs
        self._context = context
        self._every = every
        self._tell = tell
        self._plans = plans
        self._approvals = approvals
        self._controls: dict[str, RunControl] = {}
        self._busy: set[str] = set()
        self._left: set[tuple[str, object]] = set()
        self._refused: set[tuple[str, object]] = set()
        self._stopping = False
        self.crew: Crew = host.crew(concurrency, attentive=True)

    def stop(self) -> None:
        """Ask the flow to end; from any thread."""
        self.crew.post(Stop())

    async def work(self, *, once: bool = False) -> None:
        """Look and work until ``stop``; with ``once`` until there is nothing left to do."""
        crew = self.crew
        await self._recovery.arrive(["" if name == UNNAMED else name for name in self._graphs])
        try:
            while True:
                found = 0 if self._stopping else await self._look()
                if self._stopping or (once and not found):
                    if not crew.pending:
                        return
                    self._take(await crew.next())
                    continue
                if crew.pending or not once:
                    await self._wait(crew)
        finally:
            self._drain()
            await crew.close()
            with suppress(LogClosedError):
                await self._recovery.put_back_left()
                await self._recovery.leave()
                if self._approvals is not None:
                    await self._host.read(self._approvals.leave)

    async def _wait(self, crew: Crew) -> None:
        """Until the next look: take what ends meanwhile."""
        until = self._host.elapsed() + self._every
        while not self._stopping and (left := until - self._host.elapsed()) > 0:
            try:
                happened = await crew.next(left)
            except Overdue:
                return
            self._take(happened)
            if isinstance(happened, Done):
                return  # there is room for another one

    def _take(self, happened: Done | Posted) -> None:
        if isinstance(happened, Done):
            self._busy.discard(str(happened.key))
            if happened.error is not None:
                raise happened.error
        elif isinstance(happened.item, Stop):
            self._drain()

    def _drain(self) -> None:
        self._stopping = True
        for control in [*self._controls.values()]:
            control.request_drain(_STOPPED)
        if self._plans is not None:
            self._plans.stop()

    # -- looking --------------------------------------------------------------------------------

    async def _look(self) -> int:
        """Start work on what is found; how much that is, or goes on already. A thread that was only given
        back counts too: inputs that wait for it are found by the next look."""
        given_back = 0
        try:
            orphans, strays = await self._recovery.look()
            for orphan in orphans:
                given_back += await self._consider(orphan)
            for stray in strays:
                self._adopt(stray)
            for thread, error in self._recovery.unreadable.items():
                if (thread, error.code) not in self._left:
                    self._left.add((thread, error.code))
                    self._tell(Report("trouble", "graph", thread, text=str(error)))
            await self._look_beside()
        except LogClosedError:
            raise
        except LogError as error:  # the disk is full, the server away: later
            self._tell(Report("trouble", text=str(error)))
        return len(self._busy) + given_back

    async def _look_beside(self) -> None:
        """What else there is in the log than runs of graphs: decisions on approvals, and plans."""
        if self._approvals is not None:
            try:
                for decided in await self._host.read(self._approvals.look):
                    self._answer(decided)
            except LogClosedError:
                raise
            except LogError as error:  # of a newer program, or sealed: that is no reason to leave plans alone
                if ("approvals", error.code) not in self._left:
                    self._left.add(("approvals", error.code))
                    self._tell(Report("trouble", "approval", text=str(error)))
        if self._plans is not None:
            for run in await self._host.read(self._plans.unfinished):
                self._start(f"plan {run}", partial(self._plan, run), blocking=True)

    async def _consider(self, orphan: Orphan) -> bool:
        """Take an orphan on, bury it, give it back, or leave it; whether it was given back or buried."""
        state, key = orphan.state, f"graph {orphan.thread}"
        if key in self._busy:
            return False
        report = partial(
            Report, kind="graph", name=orphan.thread, run=state.run, graph=state.graph, attempt=orphan.attempt
        )
        try:
            verdict = await self._recovery.verdict(orphan)
            if verdict == "release":
                await self._recovery.release(orphan)
                return True
            if verdict == "cancel":
                await self._recovery.cancelled(orphan)
                self._tell(report("cancelled"))
                return True
            if (graph := self._graphs.for_thread(state)) is None:
                self._leave_alone(report, state.version, state.release if state.pinned else "")
            elif (orphan.thread, state.version) in self._refused:
                return False
            elif verdict == "bury":
                letter = await self._recovery.bury(orphan)
                self._tell(report("dead letter", text=letter.reason))
                return True
            else:
                work = partial(take_over, graph, self._host, orphan)
                self._begin(key, partial(self._one, orphan.thread, work, report, state.version))
        except _FASTER:
            return False  # another worker had the same idea
        return False

    def _adopt(self, stray: Stray) -> None:
        """Run an input whose caller died, if its graph is here."""
        queued = stray.queued
        report = partial(Report, kind="graph", name=stray.thread, run=queued.run, graph=queued.graph)
        if (queued.graph or UNNAMED) in self._graphs:
            graph = self._graphs.present(queued.graph or UNNAMED)
            if (stray.thread, queued.ticket) not in self._refused:
                work = partial(adopt, graph, self._host, stray)
                self._begin(
                    f"graph {stray.thread}", partial(self._one, stray.thread, work, report, queued.ticket)
                )
        else:
            self._leave_alone(report, queued.ticket)

    def _answer(self, decided: Decided) -> None:
        """Go on with a run that waited for approvals, if its graph is here."""
        state = decided.state
        report = partial(Report, kind="graph", name=decided.thread, run=state.run, graph=state.graph)
        graph = self._graphs.for_thread(state)
        if graph is None:
            self._leave_alone(report, state.version, state.release if state.pinned else "")
        elif (decided.thread, state.version) not in self._refused:
            go_on = partial(answer, graph, self._host, decided.thread, state, decided.answers)
            work = partial(self._one, decided.thread, go_on, report, state.version, word="answered")
            self._begin(f"graph {decided.thread}", work)

    def _leave_alone(self, report: partial[Report], what: object, pinned: str = "") -> None:
        """Tell once of something that has no graph here, or not the version that it is pinned to."""
        told = report("left")
        if (told.name, what) not in self._left:
            self._left.add((told.name, what))
            wanted = repr(told.graph) if told.graph else "without a name"
            which = f" of version {pinned!r}, to which the run is pinned," if pinned else ""
            self._tell(report("left", text=f"no graph {wanted}{which} here"))

    def _begin(self, key: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if self._host.asynchronous:
            self._start(key, work, blocking=False)
        else:
            self._start(key, lambda: drive(work()), blocking=True)

    def _start(self, key: str, work: Callable[[], Any], *, blocking: bool) -> None:
        if key not in self._busy:
            self._busy.add(key)
            self.crew.start(key, work, blocking=blocking)

    # -- working --------------------------------------------------------------------------------

    async def _one(
        self,
        thread: str,
        go_on: Callable[..., Any],
        report: partial[Report],
        at: object,
        word: What = "taken over",
    ) -> None:
        """Work on one run to its end, its pause or its failure; ``at`` is where its thread is."""
        if self._stopping:
            return
        control = self._controls[thread] = RunControl()
        begun: list[str] = []

        def tell() -> None:
            begun.append(thread)
            self._tell(report(word))

        try:
            run = go_on(
                context=self._context,
                control=control,
                begun=tell,
            )
            self._tell(report(await self._to_its_end(run, thread)))
        except _FASTER as error:
            if isinstance(error, FencedError):
                self._tell(report("lost", text=str(error)))
            elif begun:  # a graph inside was somebody else's at that moment: it can be gone on with
                with suppress(*_FASTER):  # somebody goes on with it already
                    self._tell(report(await self._put_back(thread)))
        except LogError as error:
            self._tell(report("trouble", text=str(error)))
        except IncompatibleGraphError as error:  # a process with another version goes on with it
            self._refused.add((thread, at))
            self._tell(report("left", text=str(error)))
        except RunCancelledError as error:
            self._tell(report("cancelled", text=error.reason))
        except Exception as error:
            self._tell(report("failed", text=f"{type(error).__name__}: {error}"))
        finally:
            self._controls.pop(thread, None)

    async def _to_its_end(self, run: AsyncGenerator[Any, None], thread: str) -> What:
        """Run it; how it ended."""
        try:
            async with aclosing(run) as parts:
                async for _ in parts:
                    pass
        except GraphDrained:
            return await self._put_back(thread)
        return "paused" if await self._recovery.status(thread) == "paused" else "finished"

    async def _put_back(self, thread: str) -> What:
        await self._recovery.put_back(thread)
        return "put back"

    def _plan(self, run: str) -> None:
        """Go on with one plan run; on a thread of its own."""
        assert self._plans is not None
        self._plans.work(run, self._tell)
