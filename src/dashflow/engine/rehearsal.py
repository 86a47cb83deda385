"""Rehearsal: a recorded line of events followed with the graph as it is now, up to the first difference.

At every superstep it is decided anew which tasks come next, and the recorded writes are applied to the
channels again; with ``runs``, nodes and conditional edges are asked again, too. Reads only. Channels that
hold nothing in the log (untracked ones) are empty here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from dashflow._util.ids import interrupt_id
from dashflow._util.reserved import BRANCH_TO, TASKS
from dashflow.checkpoint.thread import ThreadReader
from dashflow.core.events import (
    IMPORTS,
    CheckpointsForgotten,
    Event,
    RunFinished,
    RunPaused,
    RunStarted,
    StateEdited,
    StepCompleted,
    TaskCompleted,
    TaskFailed,
    TaskInterrupted,
)
from dashflow.core.fingerprint import JOIN
from dashflow.core.fold import EMPTY, ThreadState
from dashflow.core.replay import (
    ANYWHERE,
    Difference,
    Ways,
    compare_changes,
    compare_edges,
    compare_results,
    compare_tasks,
    gone,
    is_control,
    lost_channel,
    other_triggers,
    reached,
    touched,
)
from dashflow.core.superstep import Live, Task, apply, next_tasks
from dashflow.core.untracked import storable
from dashflow.core.written import wrote_of
from dashflow.engine.ahead import EARLIER, Told, last_of, next_move
from dashflow.engine.handlers import HandlerTask, resumed
from dashflow.engine.journal import Changes
from dashflow.engine.mishaps import raised, refused, unappliable, unfit, unknown_class
from dashflow.engine.sight import live_of
from dashflow.engine.stage import Stage
from dashflow.engine.task import Scope
from dashflow.errors import CorruptEventError, GraphInterrupt, ValueCodecError
from dashflow.log.base import Record
from dashflow.log.codec import encode
from dashflow.types.replays import Divergence

Writes = list[tuple[str, Any]]


class Wanted(NamedTuple):
    """What is asked beside what the log tells.

    Attributes:
        runs: Whether the tasks of a node are run again.
        routes: Whether conditional edges of nodes that are not run are asked.
    """

    runs: Callable[[str], bool]
    routes: bool


class Found(NamedTuple):
    """What a rehearsal came to; ``reason`` says why it ended before the line did."""

    divergence: Divergence | None
    reason: str
    status: str
    steps: int
    ran: int
    unchecked: tuple[str, ...]


class _Differs(Exception):
    """Ends a rehearsal."""

    def __init__(self, difference: Difference) -> None:
        self.difference = difference


class Rehearsal:
    """One thread in one namespace.

    Args:
        stage: Names tasks, and runs them.
        reader: The log's threads.
        wanted: What is asked.
        answers: What people answered, by question id, as found so far: those who are asked inside of a graph
            answer the outermost one, which is followed first.
    """

    def __init__(self, stage: Stage, reader: ThreadReader, wanted: Wanted, answers: dict[str, Any]) -> None:
        self._answers = answers
        self._stop = 0
        self._stage = stage
        self._plan = stage.plan
        self._reader = reader
        self._wanted = wanted
        self._state = EMPTY
        self._due: list[Task] | None = None
        self._changes = Changes(self._plan, {})
        self._ways: dict[str, Ways] = {}
        self._unchecked: dict[str, None] = {}
        self._steps = 0
        self._ran = 0
        self._paused = ""

    async def play(self) -> Found:
        """Follow the line to its end or to the first difference since the graph is this one."""
        host, line = (
            self._stage.host,
            self._reader.line(self._stage.options.thread, None, self._stage.namespace),
        )
        divergence, reason = await self._follow(line)
        while divergence is not None:
            move, last = await host.read(lambda: next_move(line, self._state))
            if move is None:
                break
            self._unchecked[EARLIER] = None
            divergence, reason = await self._follow(line := chain((move,), line))
        else:
            last = await host.read(lambda: last_of(line, self._state))
        return Found(divergence, reason, last.status, self._steps, self._ran, tuple(self._unchecked))

    async def _follow(self, line: Iterator[Told]) -> tuple[Divergence | None, str]:
        """Go along the line; the first difference, and why it cannot be followed to its end."""
        divergence, reason, place = None, "", (0, 0)
        thread, ns = self._stage.options.thread, self._stage.namespace
        try:
            while (told := await self._stage.host.read(lambda: next(line, None))) is not None:
                record, event, after = told
                place = (record.version, record.position)
                if record.type in IMPORTS and not isinstance(event, CheckpointsForgotten):
                    reason = (
                        "It was put in by hand or imported, and so it has no record of what its nodes wrote."
                    )
                    break
                self._arrive(record, event, thread, ns)
                await self._take(event, after)
                self._state = after
            else:
                self._end()
        except _Differs as found:
            divergence = self._placed(found.difference, place)
        except ValueCodecError as error:  # of the event behind the last one
            divergence = self._placed(unknown_class(error), (place[0] + 1, place[1] + 1))
        except CorruptEventError as error:
            reason = f"Its events cannot be read: {error}"
        return divergence, reason

    def _placed(self, difference: Difference, place: tuple[int, int]) -> Divergence:
        state, stage = self._state, self._stage
        return Divergence(
            difference.kind,
            state.step + 1 if state.checkpoint else -1,
            stage.checkpoint_id if state.checkpoint else "",
            difference.task,
            difference.recorded,
            difference.present,
            difference.meaning,
            stage.namespace,
            *place,
        )

    # -- events -----------------------------------------------------------------------------------

    def _arrive(self, record: Record, event: Event, thread: str, ns: str) -> None:
        """Be where the event goes on; the first that is left of a thread may go on from what was dropped."""
        opens = isinstance(event, RunStarted | StateEdited | CheckpointsForgotten)
        if self._state is EMPTY and record.version > 1 and not opens:
            self._revive(self._reader.at(thread, record.version - 1, ns))
        self._stage.look_at(self._state)

    async def _take(self, event: Event, after: ThreadState) -> None:
        match event:
            case RunStarted():
                limit = event.options.get("limit", self._stage.options.recursion_limit)
                self._stop = self._state.step + 2 + limit
                self._answers.update(event.answers)
                self._revive(after)
            case StateEdited() | CheckpointsForgotten():
                self._revive(after)
            case StepCompleted():
                await self._step(event, after)
            case TaskInterrupted():
                self._answers.update(event.answers)
                self._meet(event.key, event.name)
                self._check_question(event)
            case TaskFailed():
                self._meet(event.key, event.name)
                self._check_handler(event)
            case TaskCompleted():
                self._meet(event.key, event.name)
            case RunFinished():
                self._check_finished()
            case RunPaused():
                self._paused = event.reason
            case _:
                return

    def _revive(self, state: ThreadState) -> None:
        """Let the channels be what they are at a state, as a run that begins there does."""
        self._state, self._due = state, None
        self._stage.look_at(state)
        if (lost := lost_channel(self._plan, state.values)) is not None:
            raise _Differs(lost)
        own = self._reader.own(state)
        try:
            self._stage.live = live_of(self._plan, own)
        except Exception as error:
            raise _Differs(unfit(error)) from error
        self._changes = Changes(self._plan, own.values)

    def _tasks(self) -> list[Task]:
        """The tasks of the present step, as the graph sees it now."""
        if self._due is None:
            try:
                self._due = next_tasks(self._plan, self._stage.live)
            except Exception as error:
                raise _Differs(refused(self._plan, self._stage.live, error)) from error
        return self._due

    def _meet(self, key: str, name: str) -> None:
        """A task that something was recorded of must be due."""
        due = {task.key: task.name for task in self._tasks()}
        root = next((one for one in due if key == one or key.startswith((f"{one}>", f"{one}|"))), "")
        if not root or (root == key and due[root] != name):
            odd = name if ">" not in key and "|" not in key else re.split("[>|]", key)[0]
            if not odd.startswith("#") and odd not in self._plan.nodes:
                raise _Differs(Difference("node", odd, f"{odd!r} ran", "there is no such node", gone(odd)))
            meaning = f"A thread at this point does not come to {odd!r} any more."
            raise _Differs(Difference("tasks", odd, [name], list(due.values()), meaning))

    def _check_question(self, event: TaskInterrupted) -> None:
        """A question whose id follows from its task's must still have that id."""
        task = next((task for task in self._tasks() if task.key == event.key), None)
        if task is None or not event.questions:
            return
        asked = {question.first or question.id for question in event.questions}
        live, triggers = self._stage.live, task.triggers
        if interrupt_id(Scope(self._stage, task).namespace) in asked:
            return
        own = (f"{BRANCH_TO}{task.name}",)
        joins = [name for name in live.versions if name.startswith(JOIN) and name.endswith(f":{task.name}")]
        for others in ((), *((one,) for one in joins), tuple(joins)):
            then = tuple(sorted((*own, *others)))
            was = Task(task.key, task.node, task.path, then, task.input)
            if then != triggers and interrupt_id(Scope(self._stage, was).namespace) in asked:
                meaning = other_triggers(task.name)
                raise _Differs(Difference("question", task.name, list(then), list(triggers), meaning))

    def _check_handler(self, event: TaskFailed) -> None:
        node = self._plan.nodes.get(event.name)
        if node is None or not event.handler or node.policies.handler == event.handler:
            return
        meaning = (
            f"A failure of {event.name!r} is met otherwise: a thread that crashed while {event.handler!r} "
            f"was at work runs {event.name!r} again."
        )
        raise _Differs(
            Difference("handler", event.name, event.handler, node.policies.handler or "none", meaning)
        )

    def _check_finished(self) -> None:
        # A command for the graph around ends a run in the middle of a step. Where nodes know their edges, it
        # was seen before if they lead elsewhere.
        if names := [task.name for task in self._tasks() if not hasattr(task.node.body, "ways")]:
            meaning = f"Threads do not end here any more, but go on with {', '.join(names)}."
            raise _Differs(Difference("end", names[0], "the run was finished", names, meaning))

    def _end(self) -> None:
        """What a thread waits for must be there still."""
        state = self._state
        failed = state.status == "failed" and not state.names  # before any task began: it may fail again
        if state.checkpoint and not failed and state.status not in ("finished", "dead"):
            due = self._tasks()
            if not due and state.status == "paused" and self._paused in ("interrupt", "before"):
                meaning = "Threads that wait here do nothing more when they are gone on with."
                raise _Differs(Difference("end", "", "the run was paused", "nothing comes next", meaning))

    # -- supersteps -------------------------------------------------------------------------------

    async def _step(self, event: StepCompleted, after: ThreadState) -> None:
        plan, state, live = self._plan, self._state, self._stage.live
        due = self._tasks()
        if (other := compare_tasks(plan, event.ran, due)) is not None:
            raise _Differs(other)
        tasks = self._with_handlers(due, state)
        alone = len(tasks) == 1 and tasks[0].key not in state.done
        for task in tasks:
            task.writes = self._writes(task, event, after, alone)
            if alone:
                self._check_edges(live, task, *self._reached(task, event, after))
            elif task.key in state.done:
                self._check_edges(live, task, _went(task), None)
        wrote = {chan for task in tasks for chan, _ in task.writes or ()}
        if (other := lost_channel(plan, wrote | touched(event.change))) is not None:
            raise _Differs(other if other.task else msgspec.structs.replace(other, task=_names(tasks)))
        if self._wanted.routes or any(self._wanted.runs(task.name) for task in tasks):
            await self._run_again(tasks, alone)
        try:
            bumped = apply(plan, live, tasks)
        except Exception as error:
            raise _Differs(unappliable(_names(tasks), error)) from error
        if alone:
            self._adopt(live, event, after, bumped)
        writes = [write for task in tasks for write in task.writes or ()]
        present = self._changes.take(live, bumped, writes)
        found = compare_changes(plan, event.change, present, (after.values, live.value_of), encode)
        if isinstance(found, Difference):
            raise _Differs(found if found.task else msgspec.structs.replace(found, task=_names(tasks)))
        self._take_over(live, found, after)
        live.versions, live.top = dict(after.versions), max(after.versions.values(), default=0)
        live.step += 1
        self._steps += 1
        self._due = None

    def _with_handlers(self, due: Sequence[Task], state: ThreadState) -> list[Task]:
        """The tasks, and the handlers that took over from some of them."""
        tasks = list(due)
        for task in due:
            if task.key in state.handled and task.key not in state.done:
                handler = resumed(self._plan, task, state.handled[task.key], state.done)
                if handler is not None:
                    tasks.append(handler)
        return tasks

    def _writes(self, task: Task, event: StepCompleted, after: ThreadState, alone: bool) -> Writes:
        """What a task wrote, as far as it was recorded. Of the only task of a step, where it went is told by
        the channels that changed; where its node's edges lead it went anyway."""
        writes: Writes
        if not alone:
            writes = self._reader.copied(self._state.done.get(task.key, []))
            return writes
        told = [write for write in wrote_of(after).get(task.key, ()) if write[0] != TASKS]
        writes = self._reader.copied(told)
        fixed = self._ways_of(task).fixed
        writes.extend(fixed)
        known = {chan for chan, _ in fixed}
        for chan in sorted(self._reached(task, event, after)[0] - known):
            if chan.startswith(BRANCH_TO):
                writes.append((chan, None))
        if TASKS in touched(event.change) and TASKS in after.values:
            writes.extend((TASKS, packet) for packet in self._reader.copied(after.values[TASKS]))
        return writes

    def _adopt(self, live: Live, event: StepCompleted, after: ThreadState, bumped: set[str]) -> None:
        """Channels that are shown to nobody: not what was written to them is recorded, but what they hold."""
        plan = self._plan
        hidden: list[str] = []
        for chan in touched(event.change) - bumped - (plan.told if event.wrote else frozenset()):
            if chan in plan.channels and chan != TASKS and not is_control(chan) and chan in after.values:
                hidden.append(chan)
                bumped.add(chan)
                live.updated = {*(live.updated or ()), chan}
                if chan in plan.volatile:
                    live.warm.add(chan)
                self._note(f"what is written to {chan!r}, which the log does not show")
        self._take_over(live, hidden, after)

    def _take_over(self, live: Live, channels: Sequence[str], after: ThreadState) -> None:
        """Let channels hold what was recorded."""
        for chan in channels:
            value = self._reader.copied(after.values[chan])
            live.channels[chan] = self._plan.channels[chan].from_checkpoint(value)
        if channels:
            held = {chan: live.value_of(chan) for chan in after.values}
            self._changes = Changes(self._plan, held)

    def _note(self, what: str) -> None:
        self._unchecked[what] = None

    # -- edges ------------------------------------------------------------------------------------

    def _ways_of(self, task: Task) -> Ways:
        ways = self._ways.get(task.name)
        if ways is None:
            tell = getattr(task.node.body, "ways", None)  # only a builder's nodes know their edges
            ways = ANYWHERE if tell is None else tell()
            if getattr(task.node.source, "subgraphs", None):
                ways = Ways(ways.fixed)  # a command for this graph may come from inside
            self._ways[task.name] = ways
        return ways

    def _reached(self, task: Task, event: StepCompleted, after: ThreadState) -> tuple[set[str], set[str]]:
        return reached(self._plan, task, event.change, self._state.values, after.values)

    def _check_edges(self, live: Live, task: Task, went: set[str], unsure: set[str] | None) -> None:
        if not hasattr(task.node.body, "ways"):
            return
        ways = self._ways_of(task)
        if (other := compare_edges(self._plan, live, task.name, ways, went, unsure)) is not None:
            raise _Differs(other)
        free = went - {chan for chan, _ in ways.fixed}
        if free and not (self._wanted.routes or self._wanted.runs(task.name)):
            self._note(f"where {task.name!r} itself or its conditional edges lead")

    # -- running again ----------------------------------------------------------------------------

    async def _run_again(self, tasks: Sequence[Task], alone: bool) -> None:
        """Run the step's tasks on values of their own, or ask their conditional edges; compare."""
        stage, state, live = self._stage, self._state, self._stage.live
        stage.set_scene(state, self._answers)
        try:
            stage.live = live_of(self._plan, self._reader.own(state))
            stage.live.stop = self._stop
            twins = {task.key: task for task in next_tasks(self._plan, stage.live)}
            for task in self._with_handlers(list(twins.values()), state):
                twins[task.key] = task
            for task in tasks:
                if task.key in twins and (alone or task.key in state.done):
                    await self._again(twins[task.key], self._reader.copied(task.writes or []), alone)
        finally:
            stage.live = live

    async def _again(self, task: Task, recorded: Writes, alone: bool) -> None:
        name = task.name
        runs = self._wanted.runs(name) and not task.node.body.inline
        if runs and (why := self._not_runnable(task)):
            self._note(why)
            runs = False
        if not runs and not (self._wanted.routes and task.node.body.routes):
            return
        try:
            if runs:
                present = await self._stage.perform(task)
                self._ran += 1
            else:
                present = await self._stage.ask_edges(task, recorded)
        except Exception as error:
            if isinstance(error, GraphInterrupt) and self._stage.namespace:
                self._note(f"{name!r}, whose answer is not found in the graph around")
                return
            raise _Differs(raised(name, error)) from error
        present = storable(present, self._plan.untracked)
        fixed = {chan for chan, _ in self._ways_of(task).fixed}
        if not runs:
            recorded = [(c, v) for c, v in recorded if c == TASKS or (is_control(c) and c not in fixed)]
            present = [(c, v) for c, v in present if c == TASKS or c not in fixed]
        elif alone:
            seen = self._plan.told
            recorded = [(c, v) for c, v in recorded if c in seen or c == TASKS or is_control(c)]
            present = [(c, v) for c, v in present if c in seen or c == TASKS or is_control(c)]
        if (other := compare_results(name, recorded, present, encode, routed=not runs)) is not None:
            raise _Differs(other)

    def _not_runnable(self, task: Task) -> str:
        """Why a task cannot be run again; "" when it can."""
        name = task.name
        if getattr(task.node.source, "subgraphs", None):
            return f"what {name!r} makes of the graph inside of it, which is replayed by itself"
        if isinstance(task, HandlerTask):
            return f"{name!r}: of the errors that it is told, only their texts are recorded"
        if self._state.answer and self._state.answers:
            return f"{name!r}, of which is not recorded which of several answers it took"
        reads = {task.node.reads} if isinstance(task.node.reads, str) else set(task.node.reads)
        leased = {name for name, one in self._plan.managed.items() if one in self._plan.resources}
        if hidden := sorted(reads & (self._plan.untracked | leased)):
            return f"{name!r}, which reads {', '.join(hidden)}: that is not in the log"
        return ""


def _names(tasks: Sequence[Task]) -> str:
    return ", ".join(task.name for task in tasks)


def _went(task: Task) -> set[str]:
    """Where a task went on to, of whose writes all are known."""
    return {chan for chan, _ in task.writes or () if is_control(chan)}
