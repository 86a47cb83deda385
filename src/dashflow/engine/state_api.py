"""Looking at a thread and changing it from outside: snapshots, history, ``update_state``; on any host."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dashflow._util.ids import path_text
from dashflow._util.reserved import INPUT, INTERRUPT
from dashflow.checkpoint.thread import stream_of
from dashflow.checkpoint.view import mapped, metadata_of, name_of, naming, parent_name, timestamp
from dashflow.constants import END
from dashflow.core.bumps import really_seen
from dashflow.core.events import Change, StateEdited
from dashflow.core.fold import ThreadState
from dashflow.core.plan import GraphPlan
from dashflow.core.superstep import Task, apply
from dashflow.core.written import tell
from dashflow.engine.accept import loose_writes, told
from dashflow.engine.history import History, Place, Worker, Writes
from dashflow.engine.journal import Changes
from dashflow.engine.setting import Setting
from dashflow.engine.sight import Sight, due_at
from dashflow.engine.task import Scope
from dashflow.errors import CorruptLogError, InvalidUpdateError
from dashflow.types.commands import StateUpdate
from dashflow.types.looked import looked
from dashflow.types.snapshots import StateSnapshot


def snapshot(setting: Setting, state: ThreadState, *, latest: bool = False) -> StateSnapshot:
    """A thread at a checkpoint, as LangGraph shows it; see ``Sight``."""
    thread, ns = setting.options.thread, setting.namespace
    stream = stream_of(thread, ns)
    parent = parent_name(stream, state)
    return looked(
        Sight(setting, state, latest),
        mapped(naming(thread, ns, name_of(stream, state)), state.parents),
        metadata_of(state),
        timestamp(state.at),
        None if parent is None else mapped(naming(thread, ns, parent), state.parents),
    )


def empty_snapshot(config: Mapping[str, Any]) -> StateSnapshot:
    """What there is to see of a thread that has no checkpoint."""
    return StateSnapshot({}, (), dict(config), None, None, None, (), ())  # type: ignore[arg-type]  # as LangGraph


async def current(setting: Setting, history: History, checkpoint: str | None) -> StateSnapshot | None:
    """The snapshot at a checkpoint, else the thread's latest; None when there is none.

    Raises:
        CorruptLogError: The thread cannot be read to its end; ``last_good`` is what it was before.
    """
    try:
        place = await history.locate(checkpoint, looking=True)
    except CorruptLogError as error:
        if error.last_good is not None:
            error.last_good = snapshot(setting, error.last_good)
        raise
    if not place.state.checkpoint:
        return None
    return snapshot(setting, place.state, latest=checkpoint is None)


async def history_of(
    setting: Setting,
    history: History,
    *,
    matching: Mapping[str, Any] | None,
    before: str | None,
    limit: int | None,
) -> list[StateSnapshot]:
    """The thread's snapshots, newest first."""
    found = await history.list(before=before, matching=matching, limit=limit)
    return [snapshot(setting, state) for state in found]


# -- editing ---------------------------------------------------------------------------------------


async def update(
    setting: Setting, history: History, checkpoint: str | None, supersteps: Sequence[Sequence[StateUpdate]]
) -> dict[str, Any]:
    """Write to a thread as if nodes had returned values; each superstep makes a checkpoint.

    Args:
        setting: Of no run: lends names and options.
        history: The thread.
        checkpoint: Where to start from; None: the latest.
        supersteps: Updates that belong together: values, and which node is taken to have returned them (None:
            the one that ran last, when that is clear). ``END`` with no values: give up what is waiting.
            ``__input__``: as a new input. ``__copy__``: only make a checkpoint, or with values, one to edit.

    Returns:
        The config of the last checkpoint.

    Raises:
        ValueError: There is nothing to do.
        InvalidUpdateError: Unknown or ambiguous node, or an update the channels cannot take.
        OwnershipConflictError: A run of this thread is going on.
        VersionConflictError: Somebody else wrote at the same moment; look again.
    """
    if not supersteps:
        raise ValueError("No supersteps provided")
    if any(not updates for updates in supersteps):
        raise ValueError("No updates provided")
    config: dict[str, Any] = {}
    for updates in supersteps:
        config = await _superstep(setting, history, checkpoint, updates)
        checkpoint = config["configurable"]["checkpoint_id"]
    return config


async def _superstep(
    setting: Setting, history: History, checkpoint: str | None, updates: Sequence[StateUpdate]
) -> dict[str, Any]:
    place = await history.locate(checkpoint)
    state, due = due_at(setting, place.state)
    place = place._replace(state=state)
    values, as_node = updates[0][:2]
    if as_node == END and values is None:
        _only(updates, "Cannot apply multiple updates when clearing state")
        for task in due:
            task.writes = state.done.get(task.key, ())
        return await _edited(setting, history, place, "update", due, [])
    if as_node == INPUT:
        _only(updates, "Cannot apply multiple updates when updating as input")
        if values is None:
            raise InvalidUpdateError(f"Received no input writes for {setting.plan.input_channel}")
        return await _edited(setting, history, place, "input", [], setting.plan.input_writes(values))
    if as_node == "__copy__":
        _only(updates, "Cannot copy checkpoint with multiple updates")
        return await _copied(setting, history, place, values)
    tasks = [
        await _as_task(setting, due, state, number, update, len(updates))
        for number, update in enumerate(updates)
    ]
    return await _edited(setting, history, place, "update", tasks, [])


def _only(updates: Sequence[StateUpdate], message: str) -> None:
    if len(updates) > 1:
        raise InvalidUpdateError(message)


async def _copied(setting: Setting, history: History, place: Place, values: Any) -> dict[str, Any]:
    """A checkpoint like the one there is, beside it; with values, edited as the tasks of the step
    after it."""
    state = place.state
    if not state.checkpoint:
        raise InvalidUpdateError("Cannot copy a non-existent checkpoint")
    event = StateEdited(
        state.version, state.step + 1, "fork", Change(), meta=setting.options.metadata, copied=True,
        parents=dict(state.parents), deltas=setting.plan.deltas,
    )  # fmt: skip
    config = await history.edit(setting.plan, place, event, setting.live, ())
    if not isinstance(values, list) or not values:
        return config
    by_node: dict[Any, list[StateUpdate]] = {}
    for item in values:
        if not isinstance(item, Sequence):
            raise InvalidUpdateError(f"Invalid update item: {item} when copying checkpoint")
        by_node.setdefault(item[1], []).append(StateUpdate(item[0], item[1]))
    updates = [update for group in by_node.values() for update in group]
    return await _superstep(setting, history, config["configurable"]["checkpoint_id"], updates)


async def _as_task(
    setting: Setting,
    due: list[Task],
    state: ThreadState,
    number: int,
    update: StateUpdate,
    several: int,
) -> Task:
    """An update as a task that is done: one of those that are due, if its node is."""
    values, name, identifier = update[0], update[1], update[2] if len(update) > 2 else None
    plan = setting.plan
    if name is None and several > 1:
        raise InvalidUpdateError("as_node is required when applying multiple updates")
    name = name or _last_node(plan, state)
    node = plan.nodes.get(name)
    if node is None:
        raise InvalidUpdateError(f"Node {name} does not exist")
    stands_for = next((task for task in due if task.name == name), None)
    if stands_for is not None:
        due.remove(stands_for)
    task = Task(name, node, (INTERRUPT, number), (INTERRUPT,), values)
    scope = task.scope = Scope(setting, stands_for or task)
    if stands_for is not None:
        task.key = stands_for.key
    elif identifier is None and state.checkpoint:
        mark = INTERRUPT if number == 0 else f"{INTERRUPT}:{number}"
        identifier = str(uuid.uuid5(uuid.UUID(setting.checkpoint_id), mark))
    if identifier is not None:
        scope.call_it(identifier)
    task.writes = own = node.body.writes(values)
    for route in node.body.routes:
        free = route.asynchronous and setting.host.asynchronous
        decision = route.decide(route.read(setting.live, own), values, scope, free)
        own.extend(route.writes(await decision if free else decision))
    return task


async def _edited(
    setting: Setting, history: History, place: Place, source: str, tasks: Sequence[Task], extra: Writes
) -> dict[str, Any]:
    plan, state, live = setting.plan, place.state, setting.live
    changes = Changes(plan, state.values) if history.diffs else None
    null = [write for write in loose_writes(state) if write[0] in plan.channels]
    change = Change()
    if tasks or extra:
        bumped = apply(plan, live, tasks, extra)
        if changes is not None:
            writes = [*null, *extra, *(write for task in tasks for write in task.writes or ())]
            change = changes.take(live, bumped, writes)
    first = -1 if source == "input" else 0
    step = state.step + 1 if state.checkpoint else first
    wrote = [
        [task.key, task.name, tell(task.writes or (), plan.told, live.value_of)]
        for task in tasks
        if task.scope is not None
    ]
    event = StateEdited(
        state.version,
        step,
        source,
        change,
        [told(task) for task in tasks],
        setting.options.metadata,
        setting.namespace,
        wrote=wrote if history.diffs else [],
        parents=dict(state.parents),
        deltas=plan.deltas,
    )
    results: list[tuple[Worker, Writes]] = [
        (_Writer(task.scope.id, path_text(task.path)), task.writes or ())
        for task in tasks
        if task.scope is not None
    ]
    if extra and state.checkpoint and not history.diffs:
        from dashflow.engine.deltas import input_task_id  # only for savers of somebody else

        results.append((_Writer(input_task_id(setting.checkpoint_id)), extra))
    return await history.edit(plan, place, event, live, results)


class _Writer:
    """As what an edit's writes are stored: paths sort as the updates were given, which is how they count."""

    namespace = ""

    def __init__(self, identifier: str, path: str = "") -> None:
        self.id = identifier
        self.path = path
        self.asked = 0


def _last_node(plan: GraphPlan, state: ThreadState) -> str:
    """The node that ran last.

    Raises:
        InvalidUpdateError: Several ran last, or it cannot be told.
    """
    if len(plan.nodes) == 1:
        return next(iter(plan.nodes))
    seen = sorted(_seen(plan, really_seen(state.seen)))
    if not seen:
        if isinstance(plan.input_channel, str) and plan.input_channel in plan.nodes:
            return plan.input_channel
        raise InvalidUpdateError("Ambiguous update, specify as_node")
    if len(seen) == 1 or seen[-1][0] != seen[-2][0] or seen[-1][1] == seen[-2][1]:
        return seen[-1][1]
    raise InvalidUpdateError("Ambiguous update, specify as_node")


def _seen(plan: GraphPlan, seen: Mapping[str, Mapping[str, int]]) -> Iterable[tuple[int, str]]:
    return ((v, name) for name, memory in seen.items() if name in plan.nodes for v in memory.values())
