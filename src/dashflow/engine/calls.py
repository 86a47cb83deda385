"""Calls: functions that a task starts beside itself (``@task``), each a task of the same superstep.

Their results are recorded as they come, so that a task that runs again finds them. Threads and loops are
the host's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Protocol

from dashflow._util.drive import drive
from dashflow._util.reserved import PUSH, RETURN
from dashflow.core.plan import NodePlan
from dashflow.core.superstep import Task
from dashflow.engine.task import Scope, Surroundings, execute
from dashflow.errors import GraphBubbleUp, GraphDrained, GraphInterrupt, NodeCancelledError
from dashflow.types.interrupts import Interrupt


class Caller(Surroundings, Protocol):
    """What a called function may ask of the run it is part of (``dashflow.engine.step.Step``)."""

    def recorded(self, task: Task) -> list[tuple[str, Any]] | None:
        """What a task wrote before a crash, failure or question."""
        ...

    def later(self, show: Callable[[], None]) -> None:
        """Show something in the order of what happens."""
        ...

    def show_started(self, tasks: Sequence[Task]) -> None:
        """Tasks start."""
        ...

    async def cached(self, task: Task) -> bool:
        """Whether a result was found in the cache; the task has it then."""
        ...

    async def keep(self, task: Task) -> None:
        """Keep a result, if its function has a policy for that."""
        ...

    async def record_questions(self, task: Task, interrupts: Sequence[Interrupt[Any]]) -> None:
        """A task asks."""
        ...

    async def failed(self, task: Task, error: Exception) -> Any:
        """A task failed."""
        ...

    async def completed(self, task: Task, waits: bool) -> None:
        """A task is done."""
        ...


class Calls:
    """The calls of one run.

    Args:
        run: The run; told of what they come to.
    """

    def __init__(self, run: Caller) -> None:
        self._run = run
        self._futures: list[Any] = []
        limit = run.options.max_concurrency
        self._gate: AbstractAsyncContextManager[Any] = (
            nullcontext() if limit is None else run.host.gate(limit)
        )

    def start(self, scope: Scope, node: NodePlan, given: Any) -> Any:
        """Start a function for the task of ``scope``.

        Args:
            scope: Of the task that calls.
            node: The function, as a node.
            given: Its arguments: (positional, by name).

        Returns:
            A future that can be waited for (``result()``) and awaited.

        Raises:
            NodeCancelledError: The time of the task that calls is over.
        """
        run = self._run
        if scope.closed:
            raise NodeCancelledError(scope.task.name)
        scope.progress()
        number, scope.calls = scope.calls, scope.calls + 1
        path = (PUSH, scope.task.path, number, True)
        task = Task(f"{scope.task.key}>{number}", node, path, (PUSH,), given)
        task.scope = Scope(run, task, scope)
        known = run.recorded(task)
        if known is not None:
            task.writes = known
            return run.host.ready(_returned(task))
        run.later(lambda: run.show_started([task]))
        if run.host.asynchronous:
            future = run.host.spawn(lambda: self._perform(task), blocking=False)
        else:
            future = run.host.spawn(lambda: drive(self._perform(task)), blocking=True)
        self._futures.append(future)
        scope.hold(_Called(task, future))
        return future

    async def _perform(self, task: Task) -> Any:
        run = self._run
        try:
            if await run.cached(task):
                return _returned(task)
            # Those that called functions call may not wait for room: it might be their callers who take it.
            async with nullcontext() if task.scope.caller.caller is not None else self._gate:
                if run.stopping:
                    raise GraphDrained("cancelled")
                task.writes = await execute(run.host, run, task)
            await run.keep(task)
        except GraphInterrupt as asked:
            await run.record_questions(task, asked.args[0])
            raise
        except GraphBubbleUp:
            raise
        except Exception as error:
            caller: Scope = task.scope.caller
            caller.noticed = [*(caller.noticed or ()), f"task {task.name!r}, which failed"]
            await run.failed(task, error)
            raise
        await run.completed(task, True)
        return _returned(task)

    async def stop(self) -> None:
        """The run is given up: cancel what was started and is not done."""
        futures, self._futures = self._futures, []
        for future in futures:
            await self._run.host.drop(future)

    async def settle(self) -> None:
        """Wait for all calls that were started; what they raised is their callers' business."""
        while self._futures:
            futures, self._futures = self._futures, []
            for future in futures:
                await self._run.host.wait(future)


class _Called:
    """A call, for the task that made it: given up with it."""

    __slots__ = ("_future", "_task")

    def __init__(self, task: Task, future: Any) -> None:
        self._task = task
        self._future = future

    def give_up(self) -> None:
        """Refuse what the call still tries; cancel it, where that can be done."""
        scope: Scope = self._task.scope
        scope.close()
        self._future.cancel()


def _returned(task: Task) -> Any:
    return next((value for channel, value in task.writes or () if channel == RETURN), None)
