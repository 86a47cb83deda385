"""Looking at a thread and changing it from outside: snapshots, history, ``update_state``; on any host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dashflow._util.reserved import INPUT, INTERRUPT, PULL
from dashflow.checkpoint.events import to_new
from dashflow.checkpoint.imported_layout import upcast
from dashflow.checkpoint.thread import ThreadReader, stream_of
from dashflow.checkpoint.view import (
    as_shown,
    checkpoints,
    config_at,
    config_of,
    metadata_of,
    parent_of,
    timestamp,
)
from dashflow.constants import END
from dashflow.core.events import Change, StateEdited
from dashflow.core.fold import ThreadState
from dashflow.core.plan import GraphPlan
from dashflow.core.superstep import Live, Task, apply, next_tasks, read, revive
from dashflow.engine.accept import told
from dashflow.engine.imported import adopt
from dashflow.engine.journal import Changes, give_back
from dashflow.engine.locate import find
from dashflow.engine.ports import Host
from dashflow.engine.run import GraphRun
from dashflow.engine.task import Scope
from dashflow.errors import InvalidUpdateError
from dashflow.log.base import Append
from dashflow.log.ids import EventIds
from dashflow.types.interrupts import Interrupt
from dashflow.types.snapshots import PregelTask, StateSnapshot


def live_of(plan: GraphPlan, state: ThreadState) -> Live:
    """The channels of a thread as they are at ``state``."""
    seen = {name: dict(versions) for name, versions in state.seen.items()}
    live = Live({}, dict(state.versions), seen, None, state.step + 1)
    revive(plan, state.values, live)
    return live


def snapshot(
    run: GraphRun, plan: GraphPlan, thread: str, state: ThreadState, *, latest: bool = False
) -> StateSnapshot:
    """A thread at a checkpoint, as LangGraph shows it; ``run`` only lends its way of naming tasks.

    Args:
        run: See above.
        plan: The graph.
        thread: Its id.
        state: What to show; its values are handed out.
        latest: Show where the thread stands now: with the results of tasks that are done already, and
            only the others as next. Else show the step as a record: as it began, with all its tasks.
    """
    state = upcast(state, plan.nodes, {})
    live = run.live = live_of(plan, state)
    run.look_at(state)
    due = next_tasks(plan, live)
    if state.loose:
        state = adopt(state, run.checkpoint_id, due, lambda task: Scope(run, task))
    tasks: list[PregelTask] = []
    for task in due:
        asked = tuple(
            Interrupt(q.value, q.id, response_schema=q.schema) for q in state.questions.get(task.key, ())
        )
        task.writes = state.done.get(task.key)
        result = None if task.writes is None else _result(plan, task.writes)
        error = state.errors.get(task.key)
        identity = (Scope(run, task).id, task.name, task.path)
        tasks.append(PregelTask(*identity, error, asked, None, result))  # type: ignore[arg-type]  # its text
    waiting = [task for task in due if not latest or task.writes is None]
    if latest and len(waiting) < len(due):
        live, joined = _with_results(plan, live, state, due)
        if not waiting:  # all are done, and whoever wrote that did not come to complete the step
            waiting = next_tasks(plan, live) if joined else due
    return StateSnapshot(
        read(live.channels, plan.stream),
        tuple(task.name for task in waiting),
        config_at(thread, state),  # type: ignore[arg-type]  # a config, by its keys
        metadata_of(state),
        timestamp(state.at),
        parent_of(thread, state),  # type: ignore[arg-type]  # as above
        tuple(tasks),
        tuple(question for task in tasks for question in task.interrupts),
    )


def _with_results(plan: GraphPlan, live: Live, state: ThreadState, due: Sequence[Task]) -> tuple[Live, bool]:
    """The channels with the writes of the tasks that are done; and whether those can be joined."""
    try:
        apply(plan, live, [task for task in due if task.writes is not None])
    except Exception:  # such writes fail the run; who looks sees the state before them
        return live_of(plan, state), False
    return live, True


def _result(plan: GraphPlan, writes: Sequence[tuple[str, Any]]) -> Any:
    keys = (plan.stream,) if isinstance(plan.stream, str) else plan.stream
    return {chan: value for chan, value in writes if chan in keys}


def empty_snapshot(config: Mapping[str, Any]) -> StateSnapshot:
    """What there is to see of a thread that has no checkpoint."""
    return StateSnapshot({}, (), dict(config), None, None, None, (), ())  # type: ignore[arg-type]  # as LangGraph


def current(run: GraphRun, plan: GraphPlan, reader: ThreadReader) -> StateSnapshot:
    """The snapshot that the run's options name: at a checkpoint, else the thread's latest."""
    options = run.options
    thread = options.thread
    if options.checkpoint is None:
        head = reader.head(thread)
        if not head.checkpoint:
            return empty_snapshot({"configurable": dict(options.config["configurable"])})
        return snapshot(run, plan, thread, reader.own(as_shown(reader, thread, head)), latest=True)
    wanted = find(reader, thread, options.checkpoint)
    state = next((s for s in checkpoints(reader, thread) if s.checkpoint == wanted.checkpoint), wanted)
    return snapshot(run, plan, thread, state)


def history(
    run: GraphRun,
    plan: GraphPlan,
    reader: ThreadReader,
    *,
    matching: Mapping[str, Any] | None,
    before: str | None,
    limit: int | None,
) -> Iterator[StateSnapshot]:
    """The thread's snapshots, newest first."""
    thread = run.options.thread
    for state in checkpoints(reader, thread, before=before, filter=matching, limit=limit):
        yield snapshot(run, plan, thread, reader.own(state))


async def update(
    host: Host, run: GraphRun, plan: GraphPlan, reader: ThreadReader, values: Any, as_node: str | None
) -> dict[str, Any]:
    """Write to a thread as if a node had returned ``values``; makes a checkpoint.

    Args:
        host: The world.
        run: Lends names and options; its thread and checkpoint say where.
        plan: The graph.
        reader: The log's threads.
        values: An update, as a node returns it.
        as_node: Which node; None: the one that ran last, when that is clear. ``END`` with no values:
            give up what is waiting. ``__input__``: as a new input. ``__copy__``: only make a checkpoint.

    Returns:
        The config of the new checkpoint.

    Raises:
        InvalidUpdateError: Unknown or ambiguous node, or an update the channels cannot take.
        OwnershipConflictError: A run of this thread is going on.
        VersionConflictError: Somebody else wrote at the same moment; look again.
    """
    options = run.options
    head = await host.read(lambda: reader.head(options.thread))
    state = head if options.checkpoint is None else find(reader, options.thread, options.checkpoint)
    state = reader.own(state)
    changes = Changes(plan, state.values)
    live = run.live = live_of(plan, state)
    run.look_at(state)
    source, ran, extra = await _edit(host, run, plan, state, values, as_node)
    change = Change()
    if ran or extra:
        bumped = apply(plan, live, ran, extra)
        change = changes.take(live, bumped, [*extra, *(write for task in ran for write in task.writes or ())])
    first = -1 if source == "input" else 0
    step = state.step + 1 if state.checkpoint else first
    event = StateEdited(state.version, step, source, change, list(map(told, ran)), options.metadata)
    at = host.now()
    new = to_new(event, EventIds(host.entropy(), at).next(), at, run.id, b"", "")
    stream = stream_of(options.thread)
    await give_back(host, reader, stream)
    appended = await host.append(reader.log, Append(stream, (new,), head.version, unowned=True))
    return config_of(options.thread, appended.version, at)


async def _edit(
    host: Host, run: GraphRun, plan: GraphPlan, state: ThreadState, values: Any, as_node: str | None
) -> tuple[str, list[Task], list[tuple[str, Any]]]:
    """What an edit comes to: its source, the tasks that count as run, and writes that belong to none."""
    if as_node == END and values is None:  # nothing is waiting any more
        waiting = next_tasks(plan, run.live)
        for task in waiting:
            task.writes = state.done.get(task.key, ())
        return "update", waiting, []
    if as_node == INPUT:
        if values is None:
            raise InvalidUpdateError(f"Received no input writes for {plan.input_channel}")
        return "input", [], plan.input_writes(values)
    if as_node == "__copy__":
        if not state.checkpoint:
            raise InvalidUpdateError("Cannot copy a non-existent checkpoint")
        return "fork", [], []
    name = as_node or _last_node(plan, state)
    node = plan.nodes.get(name)
    if node is None:
        raise InvalidUpdateError(f"Node {name} does not exist")
    task = Task(name, node, (PULL, name), (INTERRUPT,), values)
    scope = Scope(run, task)
    task.writes = own = node.body.writes(values)
    for route in node.body.routes:
        free = route.asynchronous and host.asynchronous
        decision = route.decide(route.read(run.live, own), values, scope, free)
        own.extend(route.writes(await decision if free else decision))
    return "update", [task], []


def _last_node(plan: GraphPlan, state: ThreadState) -> str:
    """The node that ran last.

    Raises:
        InvalidUpdateError: Several ran last, or it cannot be told.
    """
    seen = [(v, name) for name, memory in state.seen.items() if name in plan.nodes for v in memory.values()]
    if not seen:
        if isinstance(plan.input_channel, str) and plan.input_channel in plan.nodes:
            return plan.input_channel
        raise InvalidUpdateError("Ambiguous update, specify as_node")
    seen.sort()
    if len(seen) == 1 or seen[-1][0] != seen[-2][0] or seen[-1][1] == seen[-2][1]:
        return seen[-1][1]
    raise InvalidUpdateError("Ambiguous update, specify as_node")
