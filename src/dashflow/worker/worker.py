"""Worker: runs beside a program, or as one, and finishes what other processes left behind."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

from dashflow._util.drive import drive
from dashflow.checkpoint.saver import LogSaver
from dashflow.engine.ports import Host
from dashflow.engine.recovery import MAX_ATTEMPTS, Recovery
from dashflow.errors import UsageError
from dashflow.hosts.sync import SyncHost
from dashflow.pregel.main import Pregel
from dashflow.worker.report import Report
from dashflow.worker.rounds import Rounds
from dashflow.worker.versions import Versions

if TYPE_CHECKING:
    import asyncio

    from dashflow.hitl.notices import Notifier

Graph = Pregel[Any, Any, Any, Any]


class Worker:
    """Takes runs over whose process died, and finishes them.

    Use it as a context manager (``with`` starts a thread, ``async with`` a task of the running loop), or
    call ``start`` and ``stop``, ``astart`` and ``astop``, or ``run`` and ``arun``, which work until they are
    stopped.

    Args:
        graphs: The graphs whose runs it takes; each needs a name of its own (``compile(name=...)``), or is
            another version of one (``compile(name=..., version=...)``), the present one last: a thread goes
            on with the version that it ran on, if that is here.
        saver: Where the threads are: one of DashFlow's savers, or an event log. None: the graphs' own saver.
        concurrency: How many runs it works on at a time.
        every: Seconds between two looks at the log.
        max_attempts: A run that was tried so often (the first time included) without a step or task being
            completed is recorded as a dead letter.
        context: Handed to nodes as ``runtime.context``, since a caller's context is not recorded.
        plans: Whether to take over plan runs of the log, too.
        notifier: Told what is asked of people, and what was decided, at least once and by one worker at a
            time; None: nobody is told, and what waits is found in the log.
        tell: Called with every ``Report``, from any thread; None writes them to the logger
            ``dashflow.worker``.

    Raises:
        UsageError: No graph and no plans, two graphs of one name and version, or no log to look at.
    """

    def __init__(
        self,
        graphs: Graph | Sequence[Graph] = (),
        saver: Any = None,
        *,
        concurrency: int = 4,
        every: float = 2.0,
        max_attempts: int = MAX_ATTEMPTS,
        context: Any = None,
        plans: bool = False,
        notifier: Notifier | None = None,
        tell: Callable[[Report], None] | None = None,
    ) -> None:
        listed = [graphs] if isinstance(graphs, Pregel) else [*graphs]
        if not listed and not plans:
            raise UsageError("A worker needs a graph, or plans=True; it was given neither.")
        for what, number in (("concurrency", concurrency), ("max_attempts", max_attempts)):
            if number < 1:
                raise UsageError(f"{what} must be at least 1, not {number}.")
        self.saver = _saver(saver, listed)
        self.graphs = Versions([graph.with_checkpointer(self.saver) for graph in listed])
        self._settings = {"context": context, "concurrency": concurrency, "every": every}
        self._max_attempts = max_attempts
        self._plans = plans
        self._notifier = notifier
        self._tell = tell or _log
        self._rounds: Rounds | None = None
        self._thread: threading.Thread | None = None
        self._task: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None

    # -- on a thread ----------------------------------------------------------------------------

    def run(self, *, once: bool = False) -> None:
        """Work here until ``stop`` is called; with ``once`` until there is nothing left to take over.

        Raises:
            LogClosedError: The log was closed.
        """
        drive(self._begin(SyncHost()).work(once=once))

    def start(self) -> Self:
        """Work on a thread of its own, from now until ``stop``."""
        rounds = self._begin(SyncHost())

        def work() -> None:
            try:
                drive(rounds.work())
            except BaseException as error:  # raised by stop()
                self._failure = error
                self._tell(Report("trouble", text=f"the worker has ended: {error}"))

        self._thread = threading.Thread(target=work, name="dashflow-recovery", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop: runs end at their next step and are put back for others. Waits for that.

        Raises:
            Exception: What ended the worker before.
        """
        self.ask_to_stop()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure

    def ask_to_stop(self) -> None:
        """Begin to stop, and do not wait for it; a signal handler may call this."""
        if self._rounds is not None:
            self._rounds.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *error: object) -> None:
        self.stop()

    # -- on a loop ------------------------------------------------------------------------------

    async def arun(self, *, once: bool = False) -> None:
        """``run`` for asyncio callers."""
        from dashflow.hosts.aio import AioHost

        await self._begin(AioHost()).work(once=once)

    async def astart(self) -> Self:
        """Work as a task of the running loop, from now until ``astop``."""
        import asyncio

        from dashflow.hosts.aio import AioHost

        self._task = asyncio.get_running_loop().create_task(self._begin(AioHost()).work())
        return self

    async def astop(self) -> None:
        """``stop`` for asyncio callers."""
        self.ask_to_stop()
        if self._task is not None:
            task, self._task = self._task, None
            await task

    async def __aenter__(self) -> Self:
        return await self.astart()

    async def __aexit__(self, *error: object) -> None:
        await self.astop()

    # -- inside ---------------------------------------------------------------------------------

    def _begin(self, host: Host) -> Rounds:
        plans = None
        if self._plans:
            from dashflow.worker.plans import PlanRecovery  # the planner is large

            plans = PlanRecovery(self.saver.log, max_attempts=self._max_attempts)
        from dashflow.worker.approvals import ApprovalCare

        approvals = ApprovalCare(
            self.saver.log, self.saver.reader, plans=self._plans, notifier=self._notifier, tell=self._tell
        )
        recovery = Recovery(host, self.saver.reader, max_attempts=self._max_attempts)
        self._rounds = Rounds(
            host,
            recovery,
            self.graphs,
            tell=self._tell,
            plans=plans,
            approvals=approvals,
            **self._settings,
        )
        return self._rounds


def _saver(given: Any, graphs: Sequence[Graph]) -> LogSaver:
    """The saver of the log to look at."""
    saver = given if given is not None else next((graph.checkpointer for graph in graphs), None)
    if saver is None or isinstance(saver, bool):
        raise UsageError("A worker needs a saver or a log: Worker(graph, saver).")
    if hasattr(saver, "append") and hasattr(saver, "read_all"):
        return LogSaver(saver)
    if not type(saver).__dict__.get("drives_log"):
        raise UsageError(
            f"A worker needs one of DashFlow's savers, on an event log; {type(saver).__name__} is none. Runs "
            "of other savers go on when they are called again."
        )
    return saver  # type: ignore[no-any-return]  # its own class says so


def _log(report: Report) -> None:
    level = logging.WARNING if report.what in _LOUD else logging.INFO
    logging.getLogger("dashflow.worker").log(level, "%s", report)


_LOUD = frozenset({"failed", "dead letter", "left", "trouble"})
