"""GraphRun: drives one run of a graph, superstep by superstep. Written once for all hosts.

Every ``await`` here is a port call or a node's own code. What happened is recorded by the journal,
what the caller sees goes through the parts; this file decides only in which order.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from dashflow._util.drive import drive
from dashflow._util.reserved import CONFIG_KEY_READ, CONFIG_KEY_SEND
from dashflow._util.sentinel import MISSING
from dashflow.checkpoint.imported_layout import upcast
from dashflow.checkpoint.thread import ThreadReader, stream_of
from dashflow.core.events import (
    Event,
    Question,
    RunFailed,
    RunFinished,
    RunPaused,
    RunStarted,
    StepCompleted,
    TaskCompleted,
    TaskFailed,
    TaskInterrupted,
)
from dashflow.core.fold import EMPTY, ThreadState
from dashflow.core.ids import checkpoint_id
from dashflow.core.plan import GraphPlan
from dashflow.core.superstep import Live, Task, apply, next_tasks, read, revive, stops_at
from dashflow.engine.accept import accept, told
from dashflow.engine.cache import Kept
from dashflow.engine.handlers import failure as failure_of
from dashflow.engine.handlers import handler_of, is_failure, resumed
from dashflow.engine.imported import adopt
from dashflow.engine.journal import Changes, Journal
from dashflow.engine.locate import Place, locate
from dashflow.engine.parts import Audience, Part, Parts
from dashflow.engine.ports import Crew, Done, Host, Overdue, Posted
from dashflow.engine.resources import Leases
from dashflow.engine.task import Scope, execute
from dashflow.errors import (
    ErrorCode,
    GraphBubbleUp,
    GraphDrained,
    GraphInterrupt,
    GraphRecursionError,
    LogError,
    ParentCommand,
    create_error_message,
    is_invalid_resume,
)
from dashflow.options import RunOptions
from dashflow.runtime import RunControl
from dashflow.types.interrupts import Interrupt


class GraphRun:
    """One run: from accepting its input to its end, pause or failure.

    Args:
        host: The world.
        plan: The graph.
        options: How to run it.
        given: The input, a ``Command``, or None.
        parts: Receives what the caller wants to see.
        reader: The log's threads; None runs without a log and without cost for one.
        store: Lent to the nodes.
        cache: Keeps results of nodes that have a cache policy.
        outer: The task that this graph runs inside of, for a graph used by a node.
        fingerprint: Of the graph.
    """

    def __init__(
        self,
        host: Host,
        plan: GraphPlan,
        options: RunOptions,
        given: Any,
        parts: Parts,
        *,
        reader: ThreadReader | None = None,
        store: Any = None,
        cache: Any = None,
        outer: Scope | None = None,
        fingerprint: str = "",
    ) -> None:
        self.host = host
        self.plan = plan
        self.options = options
        self.store = store
        self.outer = outer
        self.namespace = outer.next_namespace() if outer is not None else ""
        self.recorded = reader is not None
        self.control = options.control or (outer.run.control if outer is not None else None) or RunControl()
        self.stopping = False
        self.audience = outer.run.audience if outer is not None else None
        if self.audience is not None:
            parts.overheard_by(self.audience, self.namespace)
        self.interrupts: list[Interrupt[Any]] = []
        self.live = Live({}, {}, {}, None, -1)
        given_id = options.config.get("run_id")
        self.id = str(given_id) if given_id else f"{host.now():x}-{host.entropy():016x}"
        self._given = given
        self._parts = parts
        self._reader = reader
        self._fingerprint = fingerprint
        self._done: dict[str, list[tuple[str, Any]]] = {}
        self._answers: dict[str, Any] = {}
        self._journal: Journal | None = None
        self._changes: Changes | None = None
        self._spare: list[Any] = []
        self._named = stream_of(options.thread) if reader is not None else self.namespace or self.id
        self._held: tuple[str, list[str]] = ("", [])
        self._crew: Crew | None = None
        self.cache = cache
        self._kept = None if cache is None else Kept(host, cache)
        self._shown = False
        # A graph inside a task gets the same names whenever that task runs again.
        self._place = (0, host.now() if outer is None else 0)
        self._consumed: dict[str, dict[str, Any]] = {}
        self._firsts: dict[str, str] = {}
        self._refused: dict[str, list[Interrupt[Any]]] = {}
        # Shown keys that do not stay: a run's output is what they held when they were last shown.
        self._fleeting = not plan.volatile.isdisjoint(
            (parts.keys,) if isinstance(parts.keys, str) else parts.keys
        )
        self._last: Any = None
        # Imported checkpoints have names of their own.
        self._names: dict[tuple[int, int], str] = {}
        self._attentive = "custom" in parts.modes or self.audience is not None

    # -- what tasks ask ---------------------------------------------------------------------

    @property
    def checkpoint_id(self) -> str:
        """The checkpoint that the present step starts from."""
        return self._names.get(self._place) or checkpoint_id(self._named, *self._place)

    def look_at(self, state: ThreadState) -> None:
        """Name tasks and checkpoints as at ``state``, for somebody who looks and does not run."""
        self._place = (state.checkpoint, state.at)
        self._names[self._place] = state.id
        self._named = stream_of(self.options.thread)

    def answer(self, question: str, task: Task) -> Any:
        """The answer to the question of that id, or to whoever asks first; MISSING when there is none."""
        if question in self._answers:
            return self._answers[question]
        try:
            spare = self._spare.pop()
        except IndexError:
            return MISSING
        self._answers[question] = spare
        self._consumed.setdefault(task.key, {})[question] = spare
        return spare

    def note_first(self, question: str, first: str) -> None:
        """Remember the id of the first question of the task that asks ``question``."""
        if question != first:
            self._firsts[question] = first

    def refuse(self, question: Interrupt[Any], first: str, task: Task) -> None:
        """The answer to this question did not fit: forget it, the question is open again."""
        self.note_first(question.id, first)
        self._answers.pop(question.id, None)
        self._refused.setdefault(task.key, []).append(question)

    def write_custom(self, value: Any) -> None:
        """Send a value to the ``custom`` stream, if anybody listens."""
        if "custom" in self._parts.modes:
            if self._crew is not None:
                self._crew.post((None, value))
            else:
                self._parts.put("custom", value)

    def listen(self, modes: frozenset[str]) -> None:
        """Let graphs inside this one's tasks send their parts of these modes to this run's caller."""
        self.audience = Audience(modes, self._overhear)
        self._attentive = True

    def _overhear(self, part: Part) -> None:
        if self._crew is not None:
            self._crew.post((part, None))
        else:
            self._parts.waiting.append(part)

    def task_config(self, scope: Scope) -> dict[str, Any]:
        """A new ``RunnableConfig`` for a task."""
        given, task, namespace = self.options.config, scope.task, scope.namespace
        metadata = {
            "langgraph_step": self.live.step,
            "langgraph_node": task.name,
            "langgraph_triggers": task.triggers,
            "langgraph_path": task.path,
            "langgraph_checkpoint_ns": namespace,
        }
        return {
            **given,
            "metadata": {**given.get("metadata", {}), **metadata, **task.node.metadata},
            "tags": [*given.get("tags", ()), *task.node.tags],
            "configurable": {
                **given["configurable"],
                "checkpoint_ns": namespace,
                "checkpoint_id": None,
                CONFIG_KEY_SEND: scope.send,
                CONFIG_KEY_READ: scope.read,
            },
        }

    # -- the flow ---------------------------------------------------------------------------

    async def supersteps(self) -> AsyncGenerator[Part, None]:
        """Run to the end; yields parts as they come."""
        ending: tuple[Event, ...] = ()
        try:
            await self._begin()
            happening = self._leased() if self.plan.resources else self._loop()
            async with aclosing(happening) as steps:  # work of a step ends before the run does
                async for part in steps:
                    yield part
            ending = (RunFinished(self.id),)
        except GraphInterrupt as asked:
            ending = (self._pause(asked),)
            for part in self._parts.take():
                yield part
            if self.outer is not None:
                raise
        except LogError:
            raise
        except GraphDrained:
            ending = (RunPaused(self.id, "drain"),)
            raise
        except ParentCommand:
            ending = (RunFinished(self.id),)
            raise
        except BaseException as error:
            self.stopping = not isinstance(error, Exception)
            ending = (RunFailed(self.id, type(error).__name__, str(error)),)
            raise
        finally:
            if self._journal is not None:
                await self._journal.end(*ending)

    async def _leased(self) -> AsyncGenerator[Part, None]:
        """``_loop`` while the graph's resources are open."""
        leases, failure = Leases(), None
        self.live.resources = leases.values
        try:
            await leases.take(self.host, self.plan.resources, self.options.thread)
            async with aclosing(self._loop()) as steps:
                async for part in steps:
                    yield part
        except GraphBubbleUp:  # a pause is no failure
            raise
        except BaseException as error:
            failure = error
            raise
        finally:
            await leases.give_back(self.host, failure)

    async def _loop(self) -> AsyncGenerator[Part, None]:
        """Superstep after superstep: run the tasks, apply what they wrote, record it, show it."""
        live, parts, take = self.live, self._parts, self._parts.take
        for part in take():
            yield part
        while tasks := self._next_tasks():
            if self._kept is not None:
                for task in await self._kept.look(tasks):
                    parts.update(task, cached=True)
            if len(tasks) == 1 and not self._attentive and self.options.step_timeout is None:
                await self._alone(tasks)
            else:
                async with aclosing(self._together(tasks)) as happening:
                    async for part in happening:
                        yield part
            bumped = apply(self.plan, live, tasks)
            if parts.modes or self._fleeting or not self._shown:
                self._show(tasks)
            if self._journal is not None:
                await self._record(self._journal, tasks, bumped)
            else:
                self._place = (live.step + 2, self._place[1])
            live.step += 1
            if parts.waiting:
                for part in take():
                    yield part
            if self.options.interrupt_after:
                self._breakpoint(self.options.interrupt_after, tasks, "after")

    def _next_tasks(self) -> list[Task]:
        """The tasks of the next superstep, with the results that were recorded of them before."""
        if self.live.step > self.live.stop:
            raise self._out_of_steps()
        tasks = next_tasks(self.plan, self.live)
        if self._done:
            self._reuse(tasks)
        if tasks and self.options.interrupt_before:
            self._breakpoint(self.options.interrupt_before, tasks, "before")
        if tasks and (reason := self._drained()) is not None:
            raise GraphDrained(reason)
        return tasks

    def _drained(self) -> str | None:
        """Why no other step is to begin: somebody asked, or a run around this one is being stopped."""
        if self.control.drain_reason is not None:
            return self.control.drain_reason
        outer = self.outer
        while outer is not None:
            if outer.run.stopping:
                return "cancelled"
            outer = outer.run.outer
        return None

    async def _begin(self) -> None:
        """Find where to go on, accept the input, make that durable."""
        reader, options, live = self._reader, self.options, self.live
        place = Place(EMPTY, False, 0)
        if reader is not None:
            place = await self.host.read(
                lambda: locate(reader, options.thread, options.checkpoint, self._given)
            )
        state = upcast(place.state, self.plan.nodes, {})
        live.versions = dict(state.versions)
        live.seen = {name: dict(versions) for name, versions in state.seen.items()}
        live.top = max(live.versions.values(), default=0)
        live.step = state.step + 1
        live.stop = live.step + options.recursion_limit + 1
        revive(self.plan, state.values, live)
        if state.loose:
            self.look_at(state)
            due = next_tasks(self.plan, live)
            state = adopt(state, self.checkpoint_id, due, lambda task: Scope(self, task))
        changes = self._changes = None if reader is None else Changes(self.plan, state.values)
        base = RunStarted(
            self.id,
            base=state.version,
            durability=options.durability,
            meta=options.metadata,
            replay=place.replays,
        )
        accepted = accept(self.plan, live, state, self._given, changes=changes, base=base)
        started = accepted.started
        if state.checkpoint:
            self._place = (state.checkpoint, state.at)
            self._names[self._place] = state.id
        if accepted.resumes and not started.replay:
            self._done = state.done
            self._answers = {**state.answers, **started.answers}
            self._spare = list(started.answer or state.answer)
        if reader is not None:
            journal = self._journal = Journal(
                self.host,
                reader,
                thread=options.thread,
                run=self.id,
                version=place.end,
                durability=options.durability,
                fingerprint=self._fingerprint,
            )
            await journal.begin(started)
            if started.kind in ("input", "fork"):
                self._place = (journal.version, journal.at)
        if accepted.resumes:
            self._see()

    def _reuse(self, tasks: list[Task]) -> None:
        """Results that were recorded before a crash, failure or question are not made again."""
        done = self._done
        for task in [task for task in tasks if task.key in done]:
            if not is_failure(done[task.key]):
                task.writes = done[task.key]
                self._parts.update(task, cached=True)
            elif (handler := resumed(self.plan, task, done[task.key], done)) is not None:
                task.writes = ()
                tasks.append(handler)
                if handler.writes is not None:
                    self._parts.update(handler, cached=True)

    async def _alone(self, tasks: list[Task]) -> None:
        """Run the only task of a step, here and now; then its handler, when it fails and has one."""
        task = tasks[-1]
        if task.writes is not None:
            return
        try:
            task.writes = await execute(self.host, self, task)
        except GraphInterrupt as asked:
            await self._asked(task, asked)
            raise
        except GraphBubbleUp:
            raise
        except Exception as error:
            await self._failed(task, error)
            handler = await self._taken_over(task, error)
            if handler is None:
                raise
            tasks.append(handler)
            await self._alone(tasks)
            return
        if self._kept is not None:
            await self._kept.keep(task)
        if self._parts.modes:
            self._parts.update(task)

    async def _taken_over(self, task: Task, error: BaseException) -> Task | None:
        """The handler of a failed task, if it has one; that it takes over is durable before it runs."""
        handler = handler_of(self.plan, task, error)
        if handler is not None:
            task.writes = ()
            if self._journal is not None and self._journal.open:
                await self._journal.record(TaskCompleted(task.key, task.name, failure_of(task, error)))
                await self._journal.settled()
        return handler

    async def _together(self, tasks: list[Task]) -> AsyncGenerator[Part, None]:
        """Run several tasks beside each other; yields parts while they run."""
        by_key = {task.key: task for task in tasks}
        free = self.host.asynchronous
        limit = self.options.step_timeout
        end = None if limit is None else self.host.elapsed() + limit
        crew = self._crew = self.host.crew(
            self.options.max_concurrency, attentive=self._attentive or limit is not None
        )
        asked: list[Interrupt[Any]] = []
        failure: BaseException | None = None
        try:
            for task in tasks:
                if task.writes is None:
                    crew.start(task.key, self._work(task, free), blocking=not free)
            while crew.pending and (failure is None or _waits(failure)):
                happened = await crew.next(None if end is None else end - self.host.elapsed())
                if isinstance(happened, Posted):
                    self._put(*happened.item)
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
        if failure is not None:
            raise failure
        if asked:
            self._show_partial(tasks)
            raise GraphInterrupt(tuple(asked))

    def _put(self, part: Part | None, custom: Any) -> None:
        """Add what running work handed over: a part of a graph inside a task, or a custom value."""
        if part is not None:
            self._parts.waiting.append(part)
        else:
            self._parts.put("custom", custom)

    def _show_partial(self, tasks: Sequence[Task]) -> None:
        """What the tasks that did finish would change is shown, though the step is not complete."""
        finished = [task for task in tasks if task.writes]
        if finished:
            apply(self.plan, self.live, finished)
            self._show(finished)

    def _work(self, task: Task, free: bool) -> Any:
        if free:
            return lambda: execute(self.host, self, task)
        return lambda: drive(execute(self.host, self, task))

    async def _ended(
        self, task: Task, done: Done, asked: list[Interrupt[Any]], several: bool
    ) -> BaseException | None:
        """Record what a task came to; returns the error that ends the step, if it is one."""
        error = done.error
        if error is None:
            task.writes = done.value
            if self._kept is not None:
                await self._kept.keep(task)
            if several and self._journal is not None and self._journal.open:
                await self._journal.record(TaskCompleted(task.key, task.name, [list(w) for w in done.value]))
            self._parts.update(task)
            return None
        if isinstance(error, GraphInterrupt):
            await self._asked(task, error)
            asked.extend(error.args[0])
            return None
        if isinstance(error, Exception) and not isinstance(error, GraphBubbleUp):
            await self._failed(task, error)
        return error

    async def _asked(self, task: Task, asked: GraphInterrupt) -> None:
        interrupts: tuple[Interrupt[Any], ...] = tuple(asked.args[0])
        if self._journal is not None:
            questions = self._questions(interrupts)
            used = self._consumed.pop(task.key, {})
            refused = [question.id for question in self._refused.pop(task.key, ())]
            await self._journal.record(TaskInterrupted(task.key, task.name, questions, used, refused))
        self.interrupts.extend(interrupts)
        self._parts.interrupted(interrupts, self.live.channels)

    def _questions(self, interrupts: Sequence[Interrupt[Any]]) -> list[Question]:
        return [Question(i.id, i.value, i.response_schema, self._firsts.get(i.id, "")) for i in interrupts]

    async def _failed(self, task: Task, error: Exception) -> None:
        """Say which task it was; a log that cannot be written must not hide the error itself."""
        error.add_note(f"During task with name '{task.name}' and id '{Scope(self, task).id}'")
        journal = self._journal
        if journal is not None and journal.open and not isinstance(error, LogError):
            if refused := self._refused.pop(task.key, None):
                questions = self._questions(refused)
                used = self._consumed.pop(task.key, {})
                ids = [question.id for question in questions]
                await journal.record(TaskInterrupted(task.key, task.name, questions, used, ids))
            await journal.record(TaskFailed(task.key, task.name, type(error).__name__, repr(error)))

    def _show(self, tasks: Sequence[Task]) -> None:
        """Let the caller see the state, when the step changed something that is shown."""
        if self.live.updated and self._parts.shows(self.live.updated, tasks):
            self._see()

    def _see(self) -> None:
        self._shown = True
        self._parts.values(self.live.channels)
        if self._fleeting:
            self._last = read(self.live.channels, self._parts.keys)

    async def _record(self, journal: Journal, tasks: Sequence[Task], bumped: set[str]) -> None:
        """The step is complete: what it changed becomes a record, what waited for it is done with."""
        assert self._changes is not None
        writes = tasks[0].writes if len(tasks) == 1 else [w for t in tasks for w in t.writes or ()]
        change = self._changes.take(self.live, bumped, writes or ())
        await journal.record(StepCompleted(self.live.step, [told(task) for task in tasks], change))
        self._place = (journal.version, journal.at)
        if self._done or self._answers or self._spare:
            self._done, self._answers, self._spare = {}, {}, []

    # -- ends -------------------------------------------------------------------------------

    def _breakpoint(self, nodes: Sequence[str] | str, tasks: Sequence[Task], when: str) -> None:
        held = stops_at(self.live, nodes, tasks)
        if held:
            self._held = (when, [task.name for task in held])
            raise GraphInterrupt(())

    def _pause(self, asked: GraphInterrupt) -> RunPaused:
        if asked.args[0]:
            return RunPaused(self.id, "interrupt")
        self._parts.interrupted((), self.live.channels)
        return RunPaused(self.id, *self._held)

    def _out_of_steps(self) -> GraphRecursionError:
        message = (
            f"Recursion limit of {self.options.recursion_limit} reached without hitting a stop condition. "
            "You can increase the limit by setting the `recursion_limit` config key."
        )
        return GraphRecursionError(
            create_error_message(message=message, error_code=ErrorCode.GRAPH_RECURSION_LIMIT)
        )

    def output(self) -> Any:
        """What the run shows at its end; None when it never showed anything."""
        if self._fleeting or not self._shown:
            return self._last
        return read(self.live.channels, self._parts.keys)


def _waits(failure: BaseException) -> bool:
    """Whether the other tasks of the step come to their end in spite of it: an answer that does not fit is
    no reason to stop those that may have been answered too, and control flow is no failure."""
    return isinstance(failure, GraphBubbleUp) or is_invalid_resume(failure)
