"""``Batch``: a named set of items that a graph, a planner or a function works off, durably.

Every method has a twin for asyncio beside it; both are thin shells over one flow on another host. Decides
nothing.
"""

from __future__ import annotations

import os
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Generator,
    Iterable,
    Iterator,
    Mapping,
)
from contextlib import aclosing, closing
from typing import Any, Self, TypeVar

import msgspec

from dashflow._util.drive import drive, iterate
from dashflow.batch.aggregates import Aggregate
from dashflow.batch.archive import Archive, DeadLetter, ItemResult
from dashflow.batch.control import BatchControl
from dashflow.batch.core import codec
from dashflow.batch.core.commands import Start
from dashflow.batch.core.settings import BatchSettings, Rate
from dashflow.batch.flow import BatchFlow, Orders, Shows
from dashflow.batch.functions import FunctionWork
from dashflow.batch.graphs import GraphWork
from dashflow.batch.parts import Part, Progress
from dashflow.batch.plans import PlanWork
from dashflow.batch.source import Source
from dashflow.batch.tally import Tally
from dashflow.batch.work import Work
from dashflow.engine.ports import Host
from dashflow.errors import UsageError
from dashflow.hosts.sync import SyncHost
from dashflow.log.base import EventLog
from dashflow.log.open import open_log
from dashflow.planner.runs import PlanRuns
from dashflow.types import RetryPolicy

T = TypeVar("T")

LONGEST_NAME = 200


class Origin(msgspec.Struct, frozen=True):
    """What a command line records of where graph and items come from, to find them again.

    Attributes:
        target: ``module:name`` of the graph.
        source: File of the items.
        key, priority: Fields of an item.
    """

    target: str = ""
    source: str = ""
    key: str = ""
    priority: str = ""


class Batch:
    """Items to be worked off. Nothing happens before ``run``, ``stream`` or their twins.

    The batch is in the log under its name: to create one of a name that is there, with the same items, is
    to go on with it.

    Args:
        work: A compiled graph or other Runnable, ``PlanRuns``, a function, or any ``Work``.
        items: The items, an iterable that is read once, in chunks, and not further ahead than ``ahead``; an
            async iterable for the async methods. None: those that the batch has accepted already.
        name: Names the batch in its log; up to 200 characters.
        log: The log, or where it is. None: the one that the graph's checkpointer or the plans are in.
        key: Makes the key of an item, unique in the batch; None: its index. The id of an item's run is made
            of it.
        priority: Makes the priority of an item, a number: higher first among the accepted, equal ones in
            order.
        concurrency: How many items run at a time.
        rate: How many attempts may begin in a time: ``Rate(10, per=1.0)`` or ``"10/s"``.
        timeout: Seconds that an attempt may take. Threads cannot be stopped, but what comes after is refused.
        retry: When and how often to try an item again; a number: attempts in all, with the usual policy.
        on_error: ``continue``, or ``stop`` at the first item that fails.
        failure_threshold: Stop when more than so many items (an int), or more than such a share of the
            finished ones (a float between 0 and 1), failed.
        aggregate: What to make of results while they arrive, by name.
        ahead: How many accepted items may wait.
        config: For the runs of a graph.
        origin: Recorded for a command line.

    Raises:
        UsageError: A setting that cannot be, or there is no log.
    """

    def __init__(
        self,
        work: Any,
        items: Iterable[Any] | AsyncIterable[Any] | None = None,
        *,
        name: str,
        log: EventLog | str | os.PathLike[str] | None = None,
        key: Callable[[Any], Any] | None = None,
        priority: Callable[[Any], float] | None = None,
        concurrency: int = 8,
        rate: Rate | str | None = None,
        timeout: float | None = None,
        retry: RetryPolicy | int | None = None,
        on_error: str = "continue",
        failure_threshold: int | float | None = None,
        aggregate: Mapping[str, Aggregate] | None = None,
        ahead: int = 10_000,
        config: Mapping[str, Any] | None = None,
        origin: Origin = Origin(),  # noqa: B008  # frozen
        host: Host | None = None,
    ) -> None:
        policy = RetryPolicy(max_attempts=retry) if isinstance(retry, int) else retry
        if on_error not in ("continue", "stop"):
            raise UsageError(f"on_error is {on_error!r}; it has to be 'continue' or 'stop'.")
        share = failure_threshold if isinstance(failure_threshold, float) else None
        count = 0 if on_error == "stop" else failure_threshold if share is None else None
        settings = BatchSettings(
            concurrency=concurrency,
            rate=Rate.parse(rate) if isinstance(rate, str) else rate,
            timeout=timeout,
            max_attempts=1 if policy is None else policy.max_attempts,
            stop_count=None if count is None else int(count),
            stop_share=share,
            ahead=ahead,
        )
        settings.check()
        self._open(work, name, log, config, host)
        self._settings: BatchSettings | None = settings
        self._changes: dict[str, Any] = {}
        self._retry = policy
        self._aggregate = dict(aggregate or {})
        self._origin: Origin | None = origin if items is not None else None
        self._source = None if items is None else Source(name, items, key, priority)
        self._items_given = items is not None

    def _open(
        self,
        work: Any,
        name: str,
        log: EventLog | str | os.PathLike[str] | None,
        config: Mapping[str, Any] | None,
        host: Host | None,
    ) -> None:
        if not name or len(name) > LONGEST_NAME or not name.isprintable():
            raise UsageError(f"A batch's name has 1 to {LONGEST_NAME} printable characters; got {name!r}.")
        self.name = name
        self.work: Work = work_of(work, config)
        found = getattr(self.work, "log", None) if log is None else log
        if found is None:
            raise UsageError(
                f"Batch {name!r} has no log to be kept in. Give log='FILE', or a graph with a saver of "
                "dashflow.checkpoint."
            )
        self._opened = isinstance(found, str | os.PathLike)
        self.log: EventLog = open_log(found) if isinstance(found, str | os.PathLike) else found
        self._host = host
        self._flow: BatchFlow | None = None
        self._left = False

    @classmethod
    def resume(
        cls,
        log: EventLog | str | os.PathLike[str],
        name: str,
        work: Any,
        *,
        items: Iterable[Any] | AsyncIterable[Any] | None = None,
        key: Callable[[Any], Any] | None = None,
        priority: Callable[[Any], float] | None = None,
        retry: RetryPolicy | None = None,
        aggregate: Mapping[str, Aggregate] | None = None,
        config: Mapping[str, Any] | None = None,
        host: Host | None = None,
        **settings: Any,
    ) -> Self:
        """A batch that is in the log, to go on with under the settings that are recorded.

        Args:
            items: Needed when they were not read to their end yet; compared with those accepted before.
            retry: Which errors to try again and when; None: the usual ones, as often as recorded.
            settings: Fields of ``BatchSettings`` that are to be others from now on.
            log, name, work, key, priority, aggregate, config: See the class.

        That there is one of that name is seen when it is used; see ``run`` and the others.

        Raises:
            UsageError: There is no such setting.
        """
        batch = cls.__new__(cls)
        batch._open(work, name, log, config, host)
        if unknown := sorted(settings.keys() - set(BatchSettings.__struct_fields__)):
            there_are = ", ".join(BatchSettings.__struct_fields__)
            raise UsageError(f"A batch has no setting {unknown[0]!r}; there are: {there_are}.")
        if retry is not None:
            settings["max_attempts"] = retry.max_attempts
        batch._settings = None
        batch._changes = settings
        batch._retry = retry
        batch._aggregate = dict(aggregate or {})
        batch._origin = None
        batch._source = None if items is None else Source(name, items, key, priority)
        batch._items_given = items is not None
        return batch

    def close(self) -> None:
        """Close the log if this batch opened it. A ``with`` statement does so at its end."""
        if self._opened:
            self.log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # -- running ------------------------------------------------------------------------------

    def run(self) -> Progress:
        """Work on the batch until all items are finished, or it is paused, stopped or cancelled.

        Returns:
            How it stands then, with its aggregates.

        Raises:
            OwnershipConflictError: Another process that is alive works on it.
            BatchStateError: It was cancelled.
            BatchInputError: The items are other ones than before, or could not be read to their end; those
                that were accepted before that are safe.
            UnknownBatchError: No items were given, and there is no batch of that name.
            BatchAggregateError: A function of an aggregate raised.
            LogError: The log failed; what was recorded stays, and the batch can be run again.
        """
        return last(self._parts(self._sync_host(), "end"))

    async def arun(self) -> Progress:
        """``run`` for asyncio callers; async nodes and functions run on the loop."""
        progress: Part | None = None
        async with aclosing(self._aparts("end")) as parts:
            async for part in parts:
                progress = part
        assert isinstance(progress, Progress)
        return progress

    def stream(self, *, items: bool = True) -> Iterator[Part]:
        """Work on the batch and yield every ``ItemResult`` and ``ItemFailure`` once it is durable.

        After those that became durable together comes a ``Progress``, with what the aggregates come to so
        far; the last part is one. Whoever stops reading leaves the batch: what runs on threads ends and is
        recorded, coroutines are cancelled, and all that is not finished goes on another time. Raises what
        ``run`` raises.

        Args:
            items: False yields ``Progress`` only.
        """
        with closing(self._parts(self._sync_host(), "items" if items else "progress")) as parts:
            yield from parts

    async def astream(self, *, items: bool = True) -> AsyncIterator[Part]:
        """``stream`` for asyncio callers."""
        async with aclosing(self._aparts("items" if items else "progress")) as parts:
            async for part in parts:
                yield part

    def leave(self) -> None:
        """Let the ``run`` or ``stream`` of this object end early, the one that is going on or the next one.

        No further item begins. Graphs with a checkpointer stop at their next step, whatever else runs comes
        to its end. From any thread or signal handler.
        """
        self._left = True
        if self._flow is not None:
            self._flow.leave()

    # -- steering -----------------------------------------------------------------------------

    def pause(self, reason: str = "") -> None:
        """Let no further item begin, whichever process works on the batch; ``run`` goes on.

        Raises:
            UnknownBatchError: There is none of that name.
            BatchStateError: It is at its end.
        """
        drive(self.control(self._sync_host()).pause(reason))
        self._look()

    async def apause(self, reason: str = "") -> None:
        """``pause`` for asyncio callers."""
        await self.control(loop_host()).pause(reason)
        self._look()

    def cancel(self, reason: str = "") -> None:
        """End the batch for good, whichever process works on it. Raises what ``pause`` raises."""
        drive(self.control(self._sync_host()).cancel(reason))
        self._look()

    async def acancel(self, reason: str = "") -> None:
        """``cancel`` for asyncio callers."""
        await self.control(loop_host()).cancel(reason)
        self._look()

    def retry_failed(self, keys: Iterable[str] | None = None) -> int:
        """Requeue dead letters, with fresh attempts; ``run`` works on them.

        Args:
            keys: Which ones; None: all.

        Returns:
            How many.

        Raises:
            UnknownBatchError: There is no batch of that name.
            BatchStateError: It is cancelled, or a key is that of no dead letter.
        """
        count = drive(self.control(self._sync_host()).requeue(keys))
        self._look()
        return count

    async def aretry_failed(self, keys: Iterable[str] | None = None) -> int:
        """``retry_failed`` for asyncio callers."""
        count = await self.control(loop_host()).requeue(keys)
        self._look()
        return count

    # -- looking ------------------------------------------------------------------------------

    def status(self) -> Progress:
        """How the batch stands, without aggregates. Raises ``UnknownBatchError``."""
        return drive(self.control(self._sync_host()).progress())

    async def astatus(self) -> Progress:
        """``status`` for asyncio callers."""
        return await self.control(loop_host()).progress()

    def results(self) -> Iterator[ItemResult]:
        """The results that are recorded, in the order of the items. Raises ``UnknownBatchError``."""
        return iterate(self.control(self._sync_host()).results())

    def aresults(self) -> AsyncIterator[ItemResult]:
        """``results`` for asyncio callers."""
        return self.control(loop_host()).results()

    def dead_letters(self) -> Iterator[DeadLetter]:
        """Items that failed and were not requeued, with their inputs, in the order of the items.

        Raises ``UnknownBatchError``.
        """
        return iterate(self.control(self._sync_host()).failures())

    def adead_letters(self) -> AsyncIterator[DeadLetter]:
        """``dead_letters`` for asyncio callers."""
        return self.control(loop_host()).failures()

    # -- inside -------------------------------------------------------------------------------

    def control(self, host: Host) -> BatchControl:
        """What can be asked of the batch beside running it, on ``host``."""
        return BatchControl(host, self.log, self.name, self.work.registry)

    def _sync_host(self) -> Host:
        return SyncHost() if self._host is None else self._host

    def _look(self) -> None:
        if self._flow is not None:
            self._flow.look()

    def _parts(self, host: Host, shows: Shows) -> Generator[Part, None, None]:
        try:
            yield from iterate(self._begun(host, shows).run())
        finally:
            self._left = False

    async def _aparts(self, shows: Shows) -> AsyncGenerator[Part, None]:
        try:
            async with aclosing(self._begun(loop_host(), shows).run()) as parts:
                async for part in parts:
                    yield part
        finally:
            self._left = False

    def _begun(self, host: Host, shows: Shows) -> BatchFlow:
        """A flow over this batch.

        Raises:
            UsageError: The items were read by a run before, or are for asyncio only.
        """
        source, self._source = self._source, None
        if source is None and self._items_given and self._flow is not None and not self._flow.state.ended:
            raise UsageError(
                f"The items of batch {self.name!r} were partly read by the run before. Make a new Batch "
                "with them."
            )
        if source is not None and source.awaitable and not host.asynchronous:
            raise UsageError("Async items can be read by the async methods only: arun() or astream().")
        archive = Archive(host, self.log, self.name, self.work.registry)
        tally = Tally(self.name, self._aggregate, archive)
        orders = Orders(
            start=self._start(host),
            settings=self._settings,
            changes=self._changes,
            source=source,
            retry=self._retry,
            shows=shows,
        )
        self._flow = flow = BatchFlow(host, self.log, self.name, self.work, orders, tally, archive)
        if self._left:
            flow.leave()
        return flow

    def _start(self, host: Host) -> Start | None:
        if self._origin is None or self._settings is None:
            return None
        return Start(
            now=host.now(),
            name=self.name,
            work=self.work.kind,
            settings=self._settings,
            target=self._origin.target,
            source=self._origin.source,
            key=self._origin.key,
            priority=self._origin.priority,
        )


def batches(log: EventLog) -> list[Progress]:
    """All batches of a log, the one written to last in front."""
    from dashflow.log.codec import Registry

    host = SyncHost()
    names = [codec.name_of(info.stream) for info in log.streams(category=codec.CATEGORY)]
    return [drive(BatchControl(host, log, name, Registry()).progress()) for name in names]


def work_of(work: Any, config: Mapping[str, Any] | None = None) -> Work:
    """The work behind what a caller gave.

    Raises:
        UsageError: Nothing that could run an item.
    """
    if all(hasattr(work, name) for name in ("kind", "awaitable", "registry", "run")):
        found: Work = work
        return found
    if isinstance(work, PlanRuns):
        return PlanWork(work)
    if hasattr(work, "invoke"):
        return GraphWork(work, config)
    if hasattr(work, "compile") and hasattr(work, "add_node"):
        raise UsageError("The graph is not compiled; give graph.compile(...).")
    if callable(work):
        return FunctionWork(work)
    raise UsageError(f"{work!r} runs no items. Give a compiled graph, PlanRuns, a function, or a Work.")


def last(parts: Iterator[Part]) -> Progress:
    """The part that says how it ended."""
    progress: Part | None = None
    for part in parts:
        progress = part
    assert isinstance(progress, Progress)
    return progress


def loop_host() -> Host:
    """A host on the loop that runs."""
    from dashflow.hosts.aio import AioHost  # only those who have a loop need asyncio

    return AioHost()
