"""GraphRun: drives one run of a graph, superstep by superstep. Written once for all hosts.

Every ``await`` here is a port call or a node's own code. What happened is recorded by a pen, what the
caller sees goes through the parts; this file decides only in which order.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from dashflow._util.reserved import RESUME, way_to
from dashflow.checkpoint.imported_layout import upcast
from dashflow.core.bindings import loosened, of_first
from dashflow.core.events import (
    Change,
    Event,
    RunFailed,
    RunFinished,
    RunPaused,
    RunStarted,
    StepCompleted,
)
from dashflow.core.fold import EMPTY, ThreadState
from dashflow.core.plan import GraphPlan
from dashflow.core.superstep import Task, apply, next_tasks, read, revive, stops_at
from dashflow.core.written import tell
from dashflow.engine.accept import Terms, accept, told
from dashflow.engine.arrival import Arriving
from dashflow.engine.history import History, Pen, Place, Writes
from dashflow.engine.imported import adopt, results
from dashflow.engine.journal import Changes
from dashflow.engine.parts import Parts
from dashflow.engine.ports import Host
from dashflow.engine.replay import Replay
from dashflow.engine.task import Scope
from dashflow.errors import (
    ErrorCode,
    GraphBubbleUp,
    GraphDrained,
    GraphInterrupt,
    GraphRecursionError,
    LogError,
    ParentCommand,
    create_error_message,
)
from dashflow.options import RunOptions
from dashflow.types.breakpoints import Breakpoints
from dashflow.types.commands import Command

if TYPE_CHECKING:
    from dashflow.checkpoint.breakpoints import Stops
    from dashflow.engine.turn import Turn

_UNKNOWN = Change()
EDITS = ("update", "fork", "merge")
"""Sources of checkpoints that a run is not the maker of."""


class GraphRun(Arriving):
    """One run: from accepting its input to its end, pause or failure.

    ``turn`` is a new input's, on a thread that may be busy.
    ``expects`` is the version of the thread's stream that it was decided on; None: whatever it is at.
    ``begun`` is called once it is accepted, before any node runs.

    Args:
        host: The world.
        plan: The graph.
        options: How to run it.
        given: The input, a ``Command``, or None.
        parts: Receives what the caller wants to see.
        history: Where the thread is kept; None runs without a record and without cost for one.
        store: Lent to the nodes.
        cache: Keeps results of nodes that have a cache policy.
        outer: The task that this graph runs inside of, for a graph used by a node.
        namespace: Of a graph inside a task.
    """

    def __init__(
        self,
        host: Host,
        plan: GraphPlan,
        options: RunOptions,
        given: Any,
        parts: Parts,
        *,
        history: History | None = None,
        store: Any = None,
        cache: Any = None,
        outer: Scope | None = None,
        namespace: str = "",
    ) -> None:
        super().__init__(host, plan, options, parts, history, store, outer, namespace, cache=cache)
        self._given = given
        self.turn: Turn | None = None
        self.begun: Callable[[], None] | None = None
        self._changes: Changes | None = None
        self._held: tuple[str, list[str]] = ("", [])
        self._shown = False
        self._stops = None if history is None else history.stops
        # Shown keys that do not stay: a run's output is what they held when they were last shown.
        self._fleeting = not plan.volatile.isdisjoint(
            (parts.keys,) if isinstance(parts.keys, str) else parts.keys
        )
        self._last: Any = None

    # -- the flow ---------------------------------------------------------------------------

    async def supersteps(self) -> AsyncGenerator[Any, None]:
        """Run to the end; yields parts as they come."""
        ending: tuple[Event, ...] = ()
        try:
            # Only a thread can be busy.
            await (self._accept() if self._history is None else self._begin())
            if self.begun is not None:
                self.begun()
            happening = self._leased() if self.plan.resources else self._loop()
            async with aclosing(happening) as steps:  # work of a step ends before the run does
                async for part in steps:
                    yield part
            ending = (*self._used(), RunFinished(self.id))
        except GraphInterrupt as asked:
            ending = (*self._used(), self._pause(asked))
            await self._tell_paused(asked)
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
            self._left = isinstance(error, GeneratorExit)
            failed = RunFailed(self.id, type(error).__name__, str(error), self._left_midway())
            ending = (*self._used(), failed)
            raise
        finally:
            await self._end(ending)

    def give_up(self) -> None:
        """The task around is given up, and this run goes on for a while: it is in nobody's way."""
        if self._pen is not None:
            self._pen.leave()
        self._close_tasks()

    async def _leased(self) -> AsyncGenerator[Any, None]:
        """``_loop`` while the graph's resources are open."""
        from dashflow.engine.resources import Leases

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

    async def _loop(self) -> AsyncGenerator[Any, None]:
        """Superstep after superstep: run the tasks, apply what they wrote, record it, show it."""
        parts, take = self._parts, self._parts.take
        while tasks := self._next_tasks():
            if parts.waiting:
                for part in take():
                    yield part
            if self._kept is not None:
                await self.look_up(self._kept, tasks)
            if len(tasks) > 1 or self._attentive or await self.alone(tasks):
                async with aclosing(self.together(tasks)) as happening:
                    async for part in happening:
                        yield part
            await self._complete(tasks)
            if parts.waiting:
                for part in take():
                    yield part
        for part in take():
            yield part

    async def _complete(self, tasks: list[Task]) -> None:
        """All tasks of a step are done: what they wrote is applied, recorded and shown."""
        if self.halt.asked:
            raise self.halt.error()
        live = self.live
        bumped = apply(self.plan, live, tasks)
        if self.plan.rules is not None and len(tasks) > 1:  # each was looked at by itself
            self.plan.rules.state(live.channels, " + ".join(sorted({t.name for t in tasks})), bumped)
        if self._parts.modes or self._fleeting or not self._shown:
            self._show(tasks)
        if self._pen is not None:
            await self._record(self._pen, tasks, bumped)
        else:
            self._place = (live.step + 2, self._place[1])
        live.step += 1
        self.resuming = None
        if self.outer is not None:
            self.outer.progress()
        if self.meter is not None and not tasks[0].node.hidden:
            self.meter.step()
        stops = self._stops
        if stops is not None and self._pen is not None and self._pen.at > stops.until:
            await self._look_for_stops(stops, self._pen.at)
        if self.options.interrupt_after or (stops is not None and stops.points):
            self._breakpoint(self.options.interrupt_after, tasks, "after")

    def _next_tasks(self) -> list[Task]:
        """The tasks of the next superstep, with the results that were recorded of them before."""
        tasks = self._tasks = next_tasks(self.plan, self.live)
        parts = self._parts
        if parts.modes:
            self.show_checkpoint(tasks)
        if self.live.step > self.live.stop:
            raise self._out_of_steps()
        if not tasks:
            return tasks
        if self._done or self._handled:
            self.reuse(tasks)
        if self.options.interrupt_before or (self._stops is not None and self._stops.points):
            self._breakpoint(self.options.interrupt_before, tasks, "before")
        alone = self._control is None and self.outer is None and self.meter is None and not self.halt.asked
        if not alone and (reason := self.draining) is not None:
            raise GraphDrained(reason)
        if parts.modes:
            self.show_started(tasks)
            for task in tasks:
                if task.writes:
                    parts.update(task, cached=True)
        return tasks

    async def _begin(self) -> None:
        """Be accepted; a new input waits for its turn where the thread is busy."""
        if self.turn is None and self._history is not None and self.outer is None:
            self.turn = self._history.turn(self.plan, self.options, self._given)
        if self.turn is None:
            await self._accept()
        else:
            await self.turn.take(self._accept)

    async def _accept(self) -> None:
        """Find where to go on, accept the input, make that durable."""
        history, options, live = self._history, self.options, self.live
        place = Place(EMPTY, 0) if history is None else await self._find(history)
        state = self._restore(place)
        raised = self._raised(state)
        terms, travels = self._terms(state, place)
        await self._check(state, terms, fresh=travels or place.superseded)
        changes = self._changes = Changes(self.plan, state.values) if history and history.diffs else None
        replays = travels or place.superseded
        base = self._metered(self._started(state, replays), state, raised, terms)
        accepted = accept(self.plan, live, state, self._given, terms, changes=changes, base=base)
        started = accepted.started
        if terms.resumes and place.superseded and not travels:
            started = _counting(started, state)
        if state.checkpoint:
            self.origin = state
        if terms.resumes:
            self._take_up(state, started, accepted.writes, replays, travels)
        self._replays(state, place, travels)
        if history is not None:
            pen = self._pen = history.pen(self.plan, place, self.id, options.durability)
            if self.outer is not None:
                self.outer.hold(self)
                await self.outer.run.confirm(self.host)
            await pen.begin(started, live, accepted.writes)
            self.guard(pen)
            if self._stops is not None:
                self._stops.looked(pen.at)
            anew = started.replay or started.kind in ("input", "fork")
            self.root = (pen.version, pen.at) if anew and history.diffs else state.root
            if started.kind in ("input", "fork"):
                self.made(started.kind, pen)
        if terms.resumes:
            self._see()
            if options.tracer is not None:
                await options.tracer.resumed(self.checkpoint_id, self.namespace)

    def _take_up(
        self, state: ThreadState, started: RunStarted, writes: Writes, replays: bool, travels: bool
    ) -> None:
        """Go on with what was done and answered in the present step."""
        if not replays:
            self._done, self._handled = state.done, state.handled
            self._results = results(state, self.checkpoint_id) if state.loose else {}
        spare = started.answer if travels else started.answer or state.answer
        bound = state.bound
        if started.answer:
            bound = {**bound, **of_first(state.questions)}
        if self._history is not None and not self._history.diffs:
            from dashflow.engine.asking import bindings_of  # only savers of others need it

            bound, self.answers.by_order = bindings_of(state), True
        if bound and any(channel != RESUME for channel, _ in writes):
            bound = loosened(bound, started.answers)
        self.answers.give({**({} if travels else state.answers), **started.answers}, spare, bound)

    def _started(self, state: ThreadState, replays: bool) -> RunStarted:
        """The run's first event, to be completed: what it says whatever is accepted."""
        options, plan = self.options, self.plan
        print_ = plan.print if self._history is not None and self._history.diffs else ""
        return RunStarted(
            self.id,
            base=state.version,
            durability=options.durability,
            meta=options.metadata,
            replay=replays,
            parents=self.around,
            deltas=plan.deltas,
            graph=plan.recorded,
            attempt=options.attempt,
            options=options.asked if self.outer is None else {},
            ticket="" if self.turn is None else self.turn.ticket,
            print=print_,
            shape=plan.shape if print_ != state.print else "",
            release=plan.release.version,
            pinned=plan.release.pinned,
            moved=None if self._meeting is None else self._meeting.moved,
        )

    def _restore(self, place: Place) -> ThreadState:
        """Let the channels be what they were at ``place``, and name tasks and checkpoints as there."""
        live = self.live
        live.updated = None
        state = upcast(place.state, self.plan.nodes, self.plan.follows)
        live.versions = dict(state.versions)
        live.seen = {name: dict(versions) for name, versions in state.seen.items()}
        live.top = max(live.versions.values(), default=0)
        live.step = state.step + 1
        live.stop = live.step + self.options.recursion_limit + 1
        revive(self.plan, state.values, live)
        if state.checkpoint:
            self.look_at(place.state)
        if state.loose:
            due = next_tasks(self.plan, live)
            state = adopt(state, self.checkpoint_id, due, lambda task: Scope(self, task))
        return state

    def _terms(self, state: ThreadState, place: Place) -> tuple[Terms, bool]:
        """How the run begins; and whether it makes again what was done from an old checkpoint on."""
        given, options = self._given, self.options
        command = isinstance(given, Command)
        answers = command and given.resume is not None
        flag = self.resuming
        if self.outer is None:
            flag = given is None or command or self._goes_on(state)
        elif flag is None or (flag and self._is_new(state)):
            flag = given is None or command
        resumes = bool(state.checkpoint) and flag
        named = self.outer is not None and self.namespace in options.around
        addressed = place.addressed or self.replay is not None
        travels = addressed and (named or not (answers or (self.outer is not None and bool(self.resuming))))
        forks = resumes and travels and (state.source not in EDITS or place.superseded)
        if self.outer is None:
            self.resuming = resumes
        strict = self.outer is None and options.strict_resume and not place.superseded
        if self.outer is None:
            self.unseen = options.attempt > 0
        inner = self.outer is not None
        now = self.host.now() if state.questions and not inner else 0
        terms = Terms(
            resumes, forks, strict, inner, place.superseded, self.unseen, now, options.thread, travels
        )  # fmt: skip
        return terms, travels

    def _is_new(self, state: ThreadState) -> bool:
        """Whether a graph inside a task, which keeps its state per thread, has not begun in the task that
        goes on: what is there is an earlier task's, and ended."""
        return state.status == "finished" and state.parents != self.around

    def _goes_on(self, state: ThreadState) -> bool:
        """Whether the caller's run is the one that is recorded: it comes back to it."""
        run = (self.options.config.get("metadata") or {}).get("run_id")
        return run is not None and state.meta.get("run_id") == run

    def _replays(self, state: ThreadState, place: Place, travels: bool) -> None:
        """Graphs inside this one's tasks go on from what they were before the checkpoint."""
        if self.outer is None and travels:
            before = self.parent_of(state) if state.source in EDITS else None
            self.replay = Replay(before or self.checkpoint_id)

    def show_partial(self, tasks: Sequence[Task]) -> None:
        """See ``Step.show_partial``."""
        finished = [task for task in tasks if task.writes]
        if finished and self.outer is None:
            self.live = self.live.fork()  # the pen has the step's beginning to write yet
            apply(self.plan, self.live, finished)
            self._show(finished)

    def _show(self, tasks: Sequence[Task]) -> None:
        """Let the caller see the state, when the step changed something that is shown."""
        if self.live.updated and self._parts.shows(self.live.updated, tasks):
            self._see()

    def _see(self) -> None:
        self._shown = True
        self._parts.values(self.live.channels)
        if self._fleeting:
            self._last = read(self.live.channels, self._parts.keys)

    async def _record(self, pen: Pen, tasks: Sequence[Task], bumped: set[str]) -> None:
        """The step is complete: what it changed becomes a record, what waited for it is done with."""
        task, live = tasks[0], self.live
        if self.meter is not None:
            for used in self._used():
                await pen.record(used)
        alone = len(tasks) == 1
        if self._changes is not None:
            writes = task.writes or () if alone else [w for t in tasks for w in t.writes or ()]
            change = self._changes.take(live, bumped, writes)
            wrote: list[Any] = []
            if alone and task.key not in self._done:
                name = task.name if task.name != task.key else ""
                wrote = [task.key, name, tell(writes, self.plan.told, live.value_of)]
            await pen.record(StepCompleted(live.step, [told(t) for t in tasks], change, wrote))
        else:
            if alone and pen.detailed and task.key not in self._done:
                await self._record_writes(task, True)
            await pen.record(StepCompleted(live.step, [told(t) for t in tasks], _UNKNOWN))
        self.made("loop", pen)
        if self._done or self._handled or self._results or self._made:
            self._done, self._handled, self._results, self._made = {}, {}, {}, {}
        self.answers.clear()

    # -- ends -------------------------------------------------------------------------------

    async def _look_for_stops(self, stops: Stops, at: int) -> None:
        """See whether somebody set or cleared breakpoints since the last look."""
        due = stops.due(at)
        versions = await self.host.versions(stops.log, [one.stream for one in due])
        for one, version in zip(due, versions, strict=True):
            if version > one.version:
                one.until = 0  # its own runs read it, and meet what is wrong with it
        if versions[0] > stops.version:
            await self.host.read(stops.refresh)
            stops.looked(at)

    def _breakpoint(self, nodes: Breakpoints, tasks: Sequence[Task], when: str) -> None:
        held = stops_at(self.plan, self.live, nodes, tasks) if nodes else []
        if not held and self._stops is not None:
            there = self._stops.of(way_to(self.namespace), when)
            held = stops_at(self.plan, self.live, there, tasks) if there else []
        if held:
            self._held = (when, [task.name for task in held])
            if when == "after" and self._parts.modes:
                self.show_checkpoint(next_tasks(self.plan, self.live))
            raise GraphInterrupt(())

    def _pause(self, asked: GraphInterrupt) -> RunPaused:
        if asked.args and asked.args[0]:
            return RunPaused(self.id, "interrupt")
        if (spent := self._spent_up()) is not None:
            return spent
        if self.outer is None:
            self._parts.interrupted((), self.live.channels)
        return RunPaused(self.id, *self._held)

    async def _tell_paused(self, asked: GraphInterrupt) -> None:
        tracer = self.options.tracer
        if tracer is not None and self.outer is None:
            await tracer.paused(self.checkpoint_id, self.namespace, self._held[0], asked)

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


def _counting(started: RunStarted, state: ThreadState) -> RunStarted:
    """The first event of a run at a checkpoint from which the thread went on before: it has to say which
    answers count now, or whoever finishes the run after a crash would take those of then."""
    answers = {**state.answers, **started.answers}
    return replace(started, answers=answers, answer=started.answer or state.answer)
