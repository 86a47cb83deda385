"""Step: the tasks of one superstep, run beside each other, and what each one came to. Part of a run.

Records and shows every task's end. Which tasks a step has, and what their writes make of the channels, is not
decided here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from itertools import chain
from typing import Any

from dashflow._util.drive import drive
from dashflow.core.events import (
    Event,
    TaskCompleted,
    TaskFailed,
    TaskInterrupted,
)
from dashflow.core.superstep import Task
from dashflow.core.untracked import storable
from dashflow.engine.bounded import Bounded
from dashflow.engine.cache import Kept
from dashflow.engine.calls import Calls
from dashflow.engine.handlers import HandlerTask, handler_of, resumed
from dashflow.engine.history import Pen
from dashflow.engine.ports import Crew, Done, Host, Overdue, Posted
from dashflow.engine.task import Scope, execute
from dashflow.errors import (
    GraphBubbleUp,
    GraphInterrupt,
    LogError,
    NodeCancelledError,
    is_invalid_resume,
)
from dashflow.types.interrupts import Interrupt


class Step(Bounded):
    """The part of ``GraphRun`` that runs tasks; arguments as there."""

    def __init__(self, *args: Any, cache: Any = None) -> None:
        super().__init__(*args)
        self.cache = cache
        self._kept = None if cache is None else Kept(self.host, cache)
        self._done: dict[str, list[tuple[str, Any]]] = {}
        self._handled: dict[str, Any] = {}
        self._results: dict[str, list[tuple[str, Any]]] = {}
        self._made: dict[str, list[tuple[str, Any]]] = {}
        self._calls: Calls | None = None
        self._attentive = self._attentive or self.options.step_timeout is not None

    def recorded(self, task: Task) -> list[tuple[str, Any]] | None:
        """What a called function's task wrote before a crash, failure or question."""
        known = self._done.get(task.key) or self._made.get(task.key)
        return self._results.get(task.scope.id) if known is None and self._results else known

    def show_partial(self, tasks: Sequence[Task]) -> None:
        """Let the caller see what the tasks that did finish change, though the step is not complete."""
        raise NotImplementedError

    # -- results of before --------------------------------------------------------------------

    def reuse(self, tasks: list[Task]) -> None:
        """Results that were recorded before a crash, failure or question are not made again; and where a
        handler took over, the task does not run again, but the handler does."""
        done, handled = self._done, self._handled
        for task in list(tasks):
            if task.key in done:
                task.writes = done[task.key]
                if self.plan.delta_channels and self._pen is not None and self._pen.detailed:
                    self._pen.reused.add((task.scope or Scope(self, task)).id)
            elif task.key in handled:
                handler = resumed(self.plan, task, handled[task.key], done)
                if handler is not None:
                    task.writes = ()
                    tasks.append(handler)

    async def look_up(self, kept: Kept, tasks: list[Task]) -> None:
        """Results that the cache has are not made again."""
        for task in await kept.look(tasks):
            await self._record_writes(task, len(tasks) > 1)
            self._parts.update(task, cached=True)

    # -- running ------------------------------------------------------------------------------

    async def alone(self, tasks: list[Task]) -> bool:
        """Run the only task of a step, here and now.

        Returns:
            Whether there is more to do: it failed, and its handler is among the tasks now.
        """
        (task,) = tasks
        if task.writes is not None:
            return False
        try:
            try:
                task.writes = await execute(self.host, self, task)
            except BaseException as stop:  # no Exception: given up by whoever waits for this run
                self.stopping = self.halt.asked or not isinstance(stop, Exception)
                raise
            finally:
                if self._calls is not None:
                    await self._settle_calls()
        except GraphInterrupt as asked:
            await self._asked(task, asked)
            raise
        except GraphBubbleUp:
            raise
        except Exception as error:
            handler = await self.failed(task, error)
            if handler is None:
                raise
            tasks.append(handler)
            return True
        if self._kept is not None:
            await self._kept.keep(task)
        if self._parts.modes:
            self._show_done(task)
        return False

    async def together(self, tasks: list[Task]) -> AsyncGenerator[Any, None]:
        """Run tasks beside each other, those that have no writes yet; yields parts while they run."""
        limit = self.options.step_timeout
        end = None if limit is None else self.host.elapsed() + limit
        crew = self._crew = self.host.crew(self.options.max_concurrency, attentive=self._attentive)
        ends = _Ends(tasks)
        try:
            self.halt.check()
            for task in tasks:
                if task.writes is None:
                    self._start(crew, task)
            while crew.pending and ends.waits():
                await self._hear(crew, ends, end)
                for part in self._parts.take():
                    yield part
        except BaseException as stop:
            self.stopping = self.halt.asked or not isinstance(stop, Exception)
            raise
        finally:
            await self._close(crew, ends)
        for part in self._parts.take():
            yield part
        if ends.failure is not None:
            raise ends.failure
        if ends.asked:
            self.show_partial(tasks)
            raise GraphInterrupt(tuple(one for stop in ends.asked for one in stop.args[0]))

    async def _close(self, crew: Crew, ends: _Ends) -> None:
        """Stop what still runs; record what came to its end meanwhile."""
        self._crew = None
        for late in await crew.close():
            if self.halt.asked:
                continue  # it comes too late
            if isinstance(late, Posted):
                late.item()
            elif late.error is None or isinstance(late.error, Exception):
                await self._ended(late, ends)
            elif type(late.error).__name__ == "CancelledError":
                await self._cancelled(ends.by_key[late.key], late.error)
        await self._settle_calls()

    def _start(self, crew: Crew, task: Task) -> None:
        if self.host.asynchronous:
            crew.start(task.key, lambda: execute(self.host, self, task), blocking=False)
        else:
            crew.start(task.key, lambda: drive(execute(self.host, self, task)))

    async def _hear(self, crew: Crew, ends: _Ends, end: float | None) -> None:
        """Wait for the next thing that happens, but not longer than to ``end``."""
        try:
            happened = await crew.next(None if end is None else end - self.host.elapsed())
        except Overdue:
            raise TimeoutError("Timed out") from None
        if isinstance(happened, Posted):
            happened.item()
        elif (handler := await self._ended(happened, ends)) is not None:
            self._start(crew, handler)

    def call(self, scope: Scope, node: Any, given: Any) -> Any:
        """Start a function beside the task of ``scope``, as a task of its own; returns its future."""
        if self._calls is None:
            self._calls = Calls(self)
        return self._calls.start(scope, node, given)

    def step(self, scope: Scope, node: Any, given: Any, asynchronous: bool) -> Any:
        """Have the task of ``scope`` call a function once; see ``dashflow.engine.steps``."""
        from dashflow.engine.steps import perform  # only those who have steps pay for them

        return perform(self, scope, node, given, asynchronous)

    def all_recorded(self) -> Iterable[Sequence[tuple[str, Any]]]:
        """What all tasks wrote before a crash, failure or question."""
        return chain(self._done.values(), self._results.values(), self._made.values())

    def remember(self, task: Task, writes: Sequence[tuple[str, Any]]) -> None:
        """Have what a task wrote found by those that come to it again in this step."""
        if self._pen is not None:
            self._made[task.key] = list(writes)

    async def confirm(self, host: Host) -> None:
        """Make sure that the thread, and those around it, are this run's at this moment.

        Args:
            host: The one of the graph inside that is about to begin: it may be on another thread.

        Raises:
            FencedError: One is somebody else's by now: this process was away for longer than its lease.
        """
        if self.outer is not None:
            await self.outer.run.confirm(host)
        if self._pen is not None:
            await self._pen.confirm(host)

    async def before_effect(self, scope: Scope) -> None:
        """Nothing that is done for the world's eyes rests on what may get lost."""
        pen = self._writing(scope)
        if pen is not None:
            with self._mutex:
                await pen.settled()

    async def after_effect(self, task: Task) -> None:
        """Record it; durable on return only under durability "sync"."""
        if self._writing(task.scope.caller) is not None:
            await self._record_writes(task, True)

    def _writing(self, scope: Scope) -> Pen | None:
        """The pen, if the run has one.

        Raises:
            NodeCancelledError: The run is over, or somebody else has it.
        """
        pen = self._pen
        if pen is not None and not pen.open:
            name = scope.task.name
            raise NodeCancelledError(name, f"A step of {name!r} comes after the run's end")
        return pen

    async def _settle_calls(self) -> None:
        """Wait for what tasks started and did not wait for; cancel it when the run is given up."""
        if self._calls is not None and self.stopping:
            await self._calls.stop()
        elif self._calls is not None:
            await self._calls.settle()

    async def cached(self, task: Task) -> bool:
        """Whether a call's result was found in the cache; the task has it then."""
        if self._kept is None or not await self._kept.look([task]):
            return False
        await self._record_writes(task, True)
        self.later(lambda: self._parts.update(task, cached=True))
        return True

    async def keep(self, task: Task) -> None:
        """Keep a call's result, if its function has a policy for that."""
        if self._kept is not None:
            await self._kept.keep(task)

    # -- ends ---------------------------------------------------------------------------------

    async def _ended(self, done: Done, ends: _Ends) -> Task | None:
        """Record what a task came to; returns the handler that takes over, which is among the tasks now."""
        task, error = ends.by_key[done.key], done.error
        if error is None:
            task.writes = done.value
            if self._kept is not None:
                await self._kept.keep(task)
            await self.completed(task, len(ends.tasks) > 1, here=True)
            return None
        if isinstance(error, GraphInterrupt):
            await self._asked(task, error)
            ends.asked.append(error)
            return None
        if isinstance(error, Exception) and not isinstance(error, GraphBubbleUp):
            handler = await self.failed(task, error)
            if handler is not None:
                ends.add(handler)
                return handler
        ends.failure = ends.failure or error
        return None

    async def completed(self, task: Task, waits: bool, *, here: bool = False) -> None:
        """A task is done.

        Args:
            task: The task.
            waits: For others, so that its result is recorded by itself.
            here: The flow itself says so, which has taken everything that was handed to it before.
        """
        await self._record_writes(task, waits)
        if self._parts.modes:
            if here:
                self._show_done(task)
            else:
                self.later(lambda: self._show_done(task))

    async def _record_writes(self, task: Task, waits: bool) -> None:
        pen = self._pen
        if pen is not None and waits and pen.open:
            writes = [list(write) for write in storable(task.writes or (), self.plan.untracked)]
            await self._write(pen, TaskCompleted(task.key, task.name, writes), task)

    def _show_done(self, task: Task) -> None:
        self._parts.update(task)
        self.show_ended(task)

    async def _write(self, pen: Pen, event: Event, task: Task, error: BaseException | None = None) -> None:
        """Record what a task came to; calls may do so from threads of their own."""
        with self._mutex:
            await pen.record(event, worker=self._worker(pen, task), error=error)

    def _worker(self, pen: Pen, task: Task) -> Scope | None:
        return (task.scope or Scope(self, task)) if pen.detailed else None

    async def _asked(self, task: Task, asked: GraphInterrupt) -> None:
        interrupts: tuple[Interrupt[Any], ...] = tuple(asked.args[0])
        if not interrupts:  # a breakpoint in a graph inside
            return
        await self.record_questions(task, interrupts)
        self.interrupts.extend(interrupts)
        self._parts.interrupted(interrupts, self.live.channels)
        if self._parts.modes:
            self.show_ended(task, interrupts=interrupts)

    async def record_questions(self, task: Task, interrupts: Sequence[Interrupt[Any]]) -> None:
        """A task asks: record it."""
        pen = self._pen
        if pen is not None and pen.open:
            refused = [question.id for question in self.answers.refused(task.key)]
            await self._write_questions(pen, task, interrupts, refused)

    async def _write_questions(
        self, pen: Pen, task: Task, interrupts: Sequence[Interrupt[Any]], refused: list[str]
    ) -> None:
        """Record questions; ``refused`` are those among them whose answers did not fit."""
        answers = self.answers
        questions = answers.questions(interrupts)
        changed = answers.changed(refused) if refused else []
        event = TaskInterrupted(task.key, task.name, questions, answers.taken(task.key), refused, changed)
        await self._write(pen, event, task)

    async def _cancelled(self, task: Task, error: BaseException) -> None:
        if self._pen is not None and self._pen.open:
            await self._write(
                self._pen, TaskFailed(task.key, task.name, "CancelledError", repr(error)), task, error
            )

    async def failed(self, task: Task, error: Exception) -> HandlerTask | None:
        """Say which task it was; a log that cannot be written must not hide the error itself.

        Returns:
            The handler that takes over, if there is one; that it does is durable.
        """
        scope = task.scope or Scope(self, task)
        error.add_note(f"During task with name '{task.name}' and id '{scope.id}'")
        handler = handler_of(self.plan, task, error)
        pen = self._pen
        if pen is not None and pen.open and not isinstance(error, LogError):
            if refused := self.answers.refused(task.key):
                await self._write_questions(pen, task, refused, [question.id for question in refused])
            taken = "" if handler is None else handler.name
            failed = TaskFailed(task.key, task.name, type(error).__name__, repr(error), taken)
            await self._write(pen, failed, task, error)
            if handler is not None:
                await pen.settled()
        if self._parts.modes:
            self.show_ended(task, error=error)
        if handler is not None:
            task.writes = ()
        return handler


class _Ends:
    """What the tasks of a step came to so far.

    Attributes:
        tasks: The tasks of the step; handlers join them.
        by_key: The same by key.
        asked: Who asked.
        failure: What ends the step.
    """

    __slots__ = ("asked", "by_key", "failure", "tasks")

    def __init__(self, tasks: list[Task]) -> None:
        self.tasks = tasks
        self.by_key: dict[Any, Task] = {task.key: task for task in tasks}
        self.asked: list[GraphInterrupt] = []
        self.failure: BaseException | None = None

    def add(self, task: Task) -> None:
        """One more."""
        self.tasks.append(task)
        self.by_key[task.key] = task

    def waits(self) -> bool:
        """Whether the other tasks come to their end. So they do when an answer does not fit, since they may
        have been answered too; and control flow is no failure."""
        failure = self.failure
        return failure is None or isinstance(failure, GraphBubbleUp) or is_invalid_resume(failure)
