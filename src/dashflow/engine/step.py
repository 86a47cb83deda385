"""Step: the tasks of one superstep, run beside each other, and what each one came to. Part of a run.

Records and shows every task's end. Which tasks a step has, and what their writes make of the channels, is not
decided here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Any

from dashflow._util.drive import drive
from dashflow.core.events import Event, TaskCompleted, TaskFailed, TaskInterrupted
from dashflow.core.superstep import Task
from dashflow.engine.cache import Kept
from dashflow.engine.calls import Calls
from dashflow.engine.handlers import failure as failure_of
from dashflow.engine.handlers import handler_of
from dashflow.engine.history import Pen
from dashflow.engine.ports import Done, Overdue, Posted
from dashflow.engine.setting import Setting
from dashflow.engine.task import Scope, execute
from dashflow.errors import GraphBubbleUp, GraphInterrupt, LogError, is_invalid_resume
from dashflow.types.interrupts import Interrupt


class Step(Setting):
    """The part of ``GraphRun`` that runs tasks; arguments as there."""

    def __init__(self, *args: Any, cache: Any = None) -> None:
        super().__init__(*args)
        self.cache = cache
        self._kept = None if cache is None else Kept(self.host, cache)
        self._pen: Pen | None = None
        self._done: dict[str, list[tuple[str, Any]]] = {}
        self._calls: Calls | None = None

    def recorded(self, key: str) -> list[tuple[str, Any]] | None:
        """What a task of that key wrote before a crash, failure or question."""
        return self._done.get(key)

    def show_partial(self, tasks: Sequence[Task]) -> None:
        """Let the caller see what the tasks that did finish change, though the step is not complete."""
        raise NotImplementedError

    # -- running ------------------------------------------------------------------------------

    async def _alone(self, tasks: list[Task]) -> None:
        """Run the only task of a step, here and now; then its handler, when it fails and has one."""
        task = tasks[-1]
        if task.writes is not None:
            return
        try:
            task.writes = await execute(self.host, self, task)
        except GraphInterrupt as asked:
            await self._settle_calls()
            await self._asked(task, asked)
            raise
        except GraphBubbleUp:
            raise
        except Exception as error:
            await self._settle_calls()
            await self.failed(task, error)
            handler = await self._taken_over(task, error)
            if handler is None:
                raise
            tasks.append(handler)
            await self._alone(tasks)
            return
        if self._calls is not None:
            await self._settle_calls()
        if self._kept is not None:
            await self._kept.keep(task)
        if self._parts.modes:
            self._parts.update(task)
            self.show_ended(task)

    async def _together(self, tasks: list[Task]) -> AsyncGenerator[Any, None]:
        """Run several tasks beside each other; yields parts while they run."""
        by_key = {task.key: task for task in tasks}
        free = self.host.asynchronous
        limit = self.options.step_timeout
        end = None if limit is None else self.host.elapsed() + limit
        crew = self._crew = self.host.crew(
            self.options.max_concurrency, attentive=self._attentive or limit is not None
        )
        asked: list[GraphInterrupt] = []
        failure: BaseException | None = None
        try:
            for task in tasks:
                if task.writes is None:
                    crew.start(task.key, self._work(task, free), blocking=not free)
            while crew.pending and (failure is None or _waits(failure)):
                happened = await crew.next(None if end is None else end - self.host.elapsed())
                if isinstance(happened, Posted):
                    happened.item()
                else:
                    task = by_key[happened.key]  # type: ignore[index]
                    error = await self._ended(task, happened, asked, len(tasks) > 1)
                    if error is not None and (handler := await self._taken_over(task, error)) is not None:
                        tasks.append(handler)
                        by_key[handler.key] = handler
                        crew.start(handler.key, self._work(handler, free), blocking=not free)
                        error = None
                    failure = failure or error
                for part in self._parts.take():
                    yield part
        except Overdue:
            failure = TimeoutError("Timed out")
        except BaseException as stop:
            self.stopping = not isinstance(stop, Exception)
            raise
        finally:
            self._crew = None
            for late in await crew.close():
                task = by_key[late.key]  # type: ignore[index]
                if late.error is None:
                    await self._ended(task, late, asked, True)
                else:
                    await self._taken_over(task, late.error)
            await self._settle_calls()
        for part in self._parts.take():
            yield part
        if failure is not None:
            raise failure
        if asked:
            self.show_partial(tasks)
            raise GraphInterrupt(tuple(one for stop in asked for one in stop.args[0]))

    def _work(self, task: Task, free: bool) -> Any:
        if free:
            return lambda: execute(self.host, self, task)
        return lambda: drive(execute(self.host, self, task))

    def call(self, scope: Scope, node: Any, given: Any) -> Any:
        """Start a function beside the task of ``scope``, as a task of its own; returns its future."""
        if self._calls is None:
            self._calls = Calls(self)
        return self._calls.start(scope, node, given)

    async def _settle_calls(self) -> None:
        """Wait for what tasks started and did not wait for."""
        if self._calls is not None:
            await self._calls.settle()

    async def _taken_over(self, task: Task, error: BaseException) -> Task | None:
        """The handler of a failed task, if it has one; that it takes over is durable before it runs."""
        handler = handler_of(self.plan, task, error)
        if handler is not None:
            task.writes = ()
            if self._pen is not None and self._pen.open:
                failed = TaskCompleted(task.key, task.name, failure_of(task, error))
                await self._pen.record(failed, worker=self._worker(self._pen, task), error=error)
                await self._pen.settled()
        return handler

    async def cached(self, task: Task) -> bool:
        """Whether a call's result was found in the cache; the task has it then."""
        if self._kept is None or not await self._kept.look([task]):
            return False
        self.later(lambda: self._parts.update(task, cached=True))
        return True

    async def keep(self, task: Task) -> None:
        """Keep a call's result, if its function has a policy for that."""
        if self._kept is not None:
            await self._kept.keep(task)

    # -- ends ---------------------------------------------------------------------------------

    async def _ended(
        self, task: Task, done: Done, asked: list[GraphInterrupt], several: bool
    ) -> BaseException | None:
        """Record what a task came to; returns the error that ends the step, if it is one."""
        error = done.error
        if error is None:
            task.writes = done.value
            if self._kept is not None:
                await self._kept.keep(task)
            await self.completed(task, several, here=True)
            return None
        if isinstance(error, GraphInterrupt):
            await self._asked(task, error)
            asked.append(error)
            return None
        if isinstance(error, Exception) and not isinstance(error, GraphBubbleUp):
            await self.failed(task, error)
        return error

    async def completed(self, task: Task, waits: bool, *, here: bool = False) -> None:
        """A task is done.

        Args:
            task: The task.
            waits: For others, so that its result is recorded by itself.
            here: The flow itself says so, which has taken everything that was handed to it before.
        """
        pen = self._pen
        if pen is not None and waits and pen.open:
            untracked = self.plan.untracked
            writes = [list(write) for write in task.writes or () if write[0] not in untracked]
            event = TaskCompleted(task.key, task.name, writes)
            await self._write(pen, event, task)
        if self._parts.modes:
            if here:
                self._show_done(task)
            else:
                self.later(lambda: self._show_done(task))

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
        answers, pen = self.answers, self._pen
        if pen is not None and pen.open:
            questions = answers.questions(interrupts)
            refused = [question.id for question in answers.refused(task.key)]
            event = TaskInterrupted(task.key, task.name, questions, answers.taken(task.key), refused)
            await self._write(pen, event, task)

    async def failed(self, task: Task, error: Exception) -> None:
        """Say which task it was; a log that cannot be written must not hide the error itself."""
        scope = task.scope or Scope(self, task)
        error.add_note(f"During task with name '{task.name}' and id '{scope.id}'")
        pen, answers = self._pen, self.answers
        if pen is not None and pen.open and not isinstance(error, LogError):
            if refused := answers.refused(task.key):
                questions = answers.questions(refused)
                ids = [question.id for question in questions]
                event = TaskInterrupted(task.key, task.name, questions, answers.taken(task.key), ids)
                await self._write(pen, event, task)
            failed = TaskFailed(task.key, task.name, type(error).__name__, repr(error))
            await self._write(pen, failed, task, error)
        if self._parts.modes:
            self.show_ended(task, error=error)


def _waits(failure: BaseException) -> bool:
    """Whether the other tasks of the step come to their end in spite of it: an answer that does not fit is
    no reason to stop those that may have been answered too, and control flow is no failure."""
    return isinstance(failure, GraphBubbleUp) or is_invalid_resume(failure)
