"""One superstep: which tasks run next, and what their writes make of the channels.

The algorithm is LangGraph's (Pregel's bulk-synchronous steps over channels with versions): a node runs
when a channel that triggers it has a version it has not seen; the writes of all tasks of a step are
applied together, ordered by task path; then channels that nobody wrote are told of the new step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from dashflow._util.reserved import BRANCH_TO, ERROR, ERROR_SOURCE_NODE, INPUT, PUSH, TASKS
from dashflow._util.reserved import INTERRUPT as SHOWN
from dashflow._util.sentinel import MISSING
from dashflow.channels.base import BaseChannel
from dashflow.core.plan import GraphPlan, NodePlan
from dashflow.errors import InvalidUpdateError
from dashflow.types.breakpoints import Breakpoints
from dashflow.types.commands import Send


class Live:
    """The channels of a run in progress, owned by that run and updated in place.

    Attributes:
        channels: By name.
        versions: Version of each channel that was ever written; 1 is the first.
        seen: For each node, the versions of its triggers when it last ran.
        updated: Channels written in the last step; None when not known (ask every node).
        resources: What each ``Context`` holds for the run.
        warm: Volatile channels that hold a value now.
        top: The highest version given so far.
        step: Number of the next superstep.
        stop: The superstep that the recursion limit does not let begin any more, less one.
    """

    __slots__ = ("channels", "resources", "seen", "step", "stop", "top", "updated", "versions", "warm")

    def __init__(
        self,
        channels: dict[str, BaseChannel[Any, Any, Any]],
        versions: dict[str, int],
        seen: dict[str, dict[str, int]],
        updated: set[str] | None,
        step: int,
    ) -> None:
        self.channels = channels
        self.versions = versions
        self.seen = seen
        self.updated = updated
        self.step = step
        self.stop = 0
        self.top = max(versions.values(), default=0)
        self.warm: set[str] = set()
        self.resources: Mapping[Any, Any] = {}

    def fork(self) -> Live:
        """The same, independent: what becomes of one is not seen in the other."""
        channels = {name: channel.copy() for name, channel in self.channels.items()}
        seen = {name: dict(known) for name, known in self.seen.items()}
        twin = Live(channels, dict(self.versions), seen, self.updated, self.step)
        twin.stop, twin.warm, twin.resources = self.stop, set(self.warm), self.resources
        return twin

    def value_of(self, name: str) -> Any:
        """What the log holds of a channel; MISSING: nothing."""
        channel = self.channels.get(name)
        return MISSING if channel is None else channel.snapshot()


class Task:
    """One node's run in one step. ``key`` is its name, or ``#n`` for the n-th packet sent to a node.

    ``scope`` is what its code can ask for, once somebody needed it; only the engine looks inside.
    """

    __slots__ = ("input", "key", "name", "node", "packet", "path", "scope", "triggers", "writes")

    def __init__(
        self, key: str, node: NodePlan, path: tuple[Any, ...], triggers: tuple[str, ...], value: Any
    ) -> None:
        self.key = key
        self.name = node.name
        self.node = node
        self.path = path
        self.triggers = triggers
        self.input = value
        self.packet: Send | None = None
        self.scope: Any = None
        self.writes: Sequence[tuple[str, Any]] | None = None


def revive(plan: GraphPlan, values: Mapping[str, Any], live: Live) -> None:
    """Fill ``live`` with channels that hold ``values`` (as their ``checkpoint()`` returned them)."""
    channels = live.channels
    for name, spec in plan.channels.items():
        channels[name] = spec.from_checkpoint(values.get(name, MISSING))
    live.warm = {n for n in plan.volatile if channels[n].is_available()}


def next_tasks(plan: GraphPlan, live: Live, *, unread: bool = False) -> list[Task]:
    """The tasks of the next superstep, packets first; an empty list when the graph is done.

    ``unread``: without the input of nodes for which there always is one.
    """
    tasks: list[Task] = []
    channels = live.channels
    if TASKS in live.warm:
        tasks.extend(_packets(plan, channels[TASKS].get()))
    updated = live.updated
    if updated is None:
        names: Iterable[str] = [name for name, node in plan.nodes.items() if _is_due(node, live)]
    else:  # a channel in ``updated`` is available, and newer than anything that was seen
        woken = updated & plan.triggers
        if len(woken) == 1:
            names = plan.triggered_by[woken.pop()]
        else:
            names = sorted({name for chan in woken for name in plan.triggered_by[chan]})
    for name in names:
        node = plan.nodes[name]
        if unread and node.total:
            tasks.append(Task(name, node, node.path, node.triggers, None))
            continue
        try:
            value = node.read(channels, live)
        except Exception as error:  # the user's own class refused its state
            error.add_note(f"Before task with name '{name}' and path '{node.path}'")
            raise
        if value is not MISSING:
            tasks.append(Task(name, node, node.path, node.triggers, value))
    return tasks


def _is_due(node: NodePlan, live: Live) -> bool:
    """Whether a trigger of the node has a value that the node has not seen."""
    seen, versions = live.seen.get(node.name, _NEVER), live.versions
    for chan in node.triggers:
        if versions.get(chan, 1) > seen.get(chan, 0) and live.channels[chan].is_available():
            return True
    return False


_NEVER: Mapping[str, int] = {}


def _packets(plan: GraphPlan, packets: Sequence[Any]) -> Iterable[Task]:
    for index, packet in enumerate(packets):
        node = _target(plan, packet)
        task = Task(f"#{index}", node, (PUSH, index, False), (TASKS,), packet.arg)
        task.packet = packet
        yield task


def _target(plan: GraphPlan, packet: Any) -> NodePlan:
    node = plan.nodes.get(packet.node) if isinstance(packet, Send) else None
    if node is None:
        target = packet.node if isinstance(packet, Send) else packet
        raise InvalidUpdateError(
            f"Work was sent to {target!r}, which is no node of graph {plan.name!r}. "
            f"Its nodes: {', '.join(sorted(plan.nodes))}."
        )
    return node


def _path_order(task: Task) -> tuple[str, Any]:
    return (task.path[0], task.path[1])


def apply(
    plan: GraphPlan, live: Live, tasks: Sequence[Task], extra: Sequence[tuple[str, Any]] = ()
) -> set[str]:
    """Make the writes of ``tasks`` (and ``extra``, of the input) part of the channels.

    Returns:
        The names of all channels whose version went up, those that became empty included.

    Raises:
        InvalidUpdateError: The writes cannot be joined; ``live`` must be thrown away then.
    """
    channels = live.channels
    by_channel = _gather(live, tasks)
    for chan, value in extra:
        by_channel.setdefault(chan, []).append(value)
    for packet in by_channel.get(TASKS, ()):
        _target(plan, packet)  # here and not when it is due, so that no such packet gets into the log
    bumped = _consume(plan, live, tasks) if plan.consuming else set()
    updated: set[str] = set()
    volatile = plan.volatile
    for chan, values in by_channel.items():
        if chan not in channels:
            _unknown(plan, chan, tasks)
        elif channels[chan].update(values):
            bumped.add(chan)
            if chan not in volatile or channels[chan].is_available():
                updated.add(chan)
    if tasks:
        _tell_others(plan, live, bumped, updated)
    if bumped:
        live.top += 1
        live.versions.update(dict.fromkeys(bumped, live.top))
        touched = bumped & volatile
        live.warm -= touched
        live.warm.update(chan for chan in touched if channels[chan].is_available())
    live.updated = updated
    return bumped


def _consume(plan: GraphPlan, live: Live, tasks: Sequence[Task]) -> set[str]:
    """Let channels that woke a task forget what woke it; those that did."""
    read_by = {chan for task in tasks for chan in task.triggers}
    return {chan for chan in plan.consuming & read_by if live.channels[chan].consume()}


def _gather(live: Live, tasks: Sequence[Task]) -> dict[str, list[Any]]:
    """The tasks' writes by channel, in task order; what woke the tasks counts as seen from now on."""
    versions = live.versions
    by_channel: dict[str, list[Any]] = {}
    for task in tasks if len(tasks) < 2 else sorted(tasks, key=_path_order):
        memory = live.seen.setdefault(task.name, {})
        for chan in task.triggers:
            if chan in versions:
                memory[chan] = versions[chan]
        for chan, value in task.writes or ():
            if chan in by_channel:
                by_channel[chan].append(value)
            else:
                by_channel[chan] = [value]
    return by_channel


def _tell_others(plan: GraphPlan, live: Live, bumped: set[str], updated: set[str]) -> None:
    """Channels that nobody wrote learn of the new step; when nothing is woken, all learn of the finish."""
    for chan in live.warm - updated if live.warm else ():
        if live.channels[chan].update(()):
            bumped.add(chan)
            if live.channels[chan].is_available():
                updated.add(chan)
    if plan.finishing and plan.triggers.isdisjoint(updated):
        for chan in plan.finishing:
            if live.channels[chan].finish():
                bumped.add(chan)
                if live.channels[chan].is_available():
                    updated.add(chan)


def _unknown(plan: GraphPlan, chan: str, tasks: Sequence[Task]) -> None:
    if chan in (ERROR, ERROR_SOURCE_NODE):  # says what became of the task, and is no update
        return
    writer = next((t.name for t in tasks if any(c == chan for c, _ in t.writes or ())), INPUT)
    if chan.startswith(BRANCH_TO):
        raise InvalidUpdateError(
            f"Node {writer!r} goes to unknown node {chan.removeprefix(BRANCH_TO)!r}. "
            f"Nodes of graph {plan.name!r}: {', '.join(sorted(plan.nodes))}."
        )
    raise InvalidUpdateError(
        f"Node {writer!r} wrote to unknown channel {chan!r}. "
        f"Channels of graph {plan.name!r}: {', '.join(sorted(plan.channels))}."
    )


def read(channels: Mapping[str, BaseChannel[Any, Any, Any]], keys: Sequence[str] | str) -> Any:
    """The values of ``keys`` that are there, as a dict; of one key given as text, the value or None."""
    if isinstance(keys, str):
        return channels[keys].get() if channels[keys].is_available() else None
    return {k: channels[k].get() for k in keys if channels[k].is_available()}


def written(
    channels: Mapping[str, BaseChannel[Any, Any, Any]], writes: Sequence[tuple[str, Any]]
) -> Mapping[str, BaseChannel[Any, Any, Any]]:
    """The channels as they would be with these writes; those that are written to are copies."""
    by_channel: dict[str, list[Any]] = {}
    for chan, value in writes:
        if chan in channels:
            by_channel.setdefault(chan, []).append(value)
    if not by_channel:
        return channels
    copies = {chan: channels[chan].copy() for chan in by_channel}
    for chan, values in by_channel.items():
        copies[chan].update(values)
    return {**channels, **copies}


def pass_breakpoints(live: Live) -> None:
    """Remember all present versions as shown to a person, so the same breakpoint does not stop again."""
    live.seen[SHOWN] = dict(live.versions)


def stops_at(plan: GraphPlan, live: Live, nodes: Breakpoints, tasks: Sequence[Task]) -> list[Task]:
    """The tasks that breakpoints on ``nodes`` hold up: by name or ``"*"``, perhaps on a condition.

    Raises:
        Whatever a condition raises, with a note that says which.
    """
    shown = live.seen.get(SHOWN, {})
    if not any(version > shown.get(chan, 0) for chan, version in live.versions.items()):
        return []
    if isinstance(nodes, Mapping):
        return [t for t in tasks if _holds(plan, live, nodes, t)]
    return [t for t in tasks if (not t.node.hidden if nodes == "*" else t.name in nodes)]


def _holds(
    plan: GraphPlan, live: Live, nodes: Mapping[str, Callable[[Any], bool] | None], task: Task
) -> bool:
    """Whether one of a task's breakpoints holds it up: its own, or that for all."""
    for name in (task.name,) if task.node.hidden else (task.name, "*"):
        if name not in nodes:
            continue
        when = nodes[name]
        try:
            if when is None or when(read(live.channels, plan.stream)):
                return True
        except Exception as error:
            error.add_note(f"In the condition of the breakpoint at node {task.name!r}")
            raise
    return False
