"""A thread beside a graph that is not the one it ran on: what would be silently wrong. Pure.

A change that cannot hurt the thread is no obstacle. Where nothing tells which graph the thread ran on, only
what its state itself shows is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dashflow._util.reserved import BRANCH_TO, TASKS
from dashflow.channels.last_value import LastValueAfterFinish
from dashflow.channels.named_barrier_value import NamedBarrierValue, NamedBarrierValueAfterFinish
from dashflow.channels.topic import Topic
from dashflow.core.fingerprint import (
    JOIN,
    ChannelShape,
    GraphFingerprint,
    is_control,
    parsed,
    shape_of,
    type_text,
)
from dashflow.core.fitting import fits
from dashflow.core.fold import ThreadState
from dashflow.core.plan import GraphPlan
from dashflow.core.superstep import Live, next_tasks
from dashflow.errors import Obstacle
from dashflow.types.commands import Send

_OWN_FORM: dict[type, type] = {
    Topic: list,
    NamedBarrierValue: set,
    NamedBarrierValueAfterFinish: tuple,
    LastValueAfterFinish: tuple,
}
"""Channels that store something else than their value, and its type."""
_CLOSED = frozenset(kind.__name__ for kind, form in _OWN_FORM.items() if form is not list)
"""Those of them whose form means nothing to any other channel."""


def values_at_stake(plan: GraphPlan, state: ThreadState) -> Iterator[Obstacle]:
    """Values that the graph would lose or misread."""
    yield from _other_waits(plan, state)
    was = parsed(state.shape) if state.shape else None
    if was is None:
        return
    fresh = [name for name in plan.channels if not is_control(name) and name not in was.channels]
    for name in state.values:
        if is_control(name):
            continue
        if name not in plan.channels:
            yield from _lost(plan, was, name, fresh)
        else:
            yield from _misfit(plan, was, name, state.values)


def _other_waits(plan: GraphPlan, state: ThreadState) -> Iterator[Obstacle]:
    """Nodes that were woken and waited, or did not wait, for the end of the run, and now do otherwise."""
    for name in state.values:
        if name in plan.channels and name.startswith((BRANCH_TO, JOIN)):
            value = state.values[name]
            waits = type(plan.channels[name]) in (LastValueAfterFinish, NamedBarrierValueAfterFinish)
            if waits != _is_pair(value):
                node = name.rpartition(":")[2]
                yield Obstacle(
                    "node",
                    node,
                    f"node {node!r} is to run next, and defer=... of it is another one now",
                    "leave that as it was until the threads are through",
                )


def _is_pair(value: Any) -> bool:
    """Whether a value has beside it whether the end of the run was reached; a saver may keep it as a list."""
    return isinstance(value, tuple | list) and len(value) == 2 and isinstance(value[1], bool)


def _lost(plan: GraphPlan, was: GraphFingerprint, name: str, fresh: list[str]) -> Iterator[Obstacle]:
    """A key that holds a value is gone; where one that may be the same under another name is new."""
    old = was.channels.get(name)
    for new in fresh:
        typ = getattr(plan.channels[new], "typ", Any)
        if old is None or typ is Any or old.type in ("Any", type_text(typ)):
            yield Obstacle(
                "key",
                name,
                f"key {name!r} is gone while it holds a value, and {new!r} is new: if that is its new name, "
                "the value would be lost",
                f"say Migration(keys={{{name!r}: {new!r}}}) or Migration(dropped=[{name!r}])",
            )
            return


def _misfit(
    plan: GraphPlan, was: GraphFingerprint, name: str, values: Mapping[str, Any]
) -> Iterator[Obstacle]:
    """A channel that is another one, and does not take what it holds."""
    channel, old = plan.channels[name], was.channels.get(name)
    now = shape_of(channel)
    if old is None or old == now:
        return
    value = values[name]
    if _takes(channel, old, now, value):
        return
    before, after = (" ".join(filter(None, (s.kind, s.type, s.reducer))) for s in (old, now))
    yield Obstacle(
        "value",
        name,
        f"key {name!r} was {before} and is {after}, which does not take the value that it holds, a "
        f"{type(value).__name__}",
        f"say Migration(since=..., upcasts={{{name!r}: function}}), or give the key another name",
    )


def _takes(channel: Any, old: ChannelShape, now: ChannelShape, value: Any) -> bool:
    """Whether a channel takes a value that another one stored."""
    form = _OWN_FORM.get(type(channel))
    if form is None:
        return old.kind not in _CLOSED and fits(value, getattr(channel, "typ", Any))
    return old.kind == now.kind or (form is list and isinstance(value, list))


def nodes_at_stake(
    plan: GraphPlan, live: Live, state: ThreadState, *, fresh: bool = False
) -> Iterator[Obstacle]:
    """Work that waits in a thread and that the graph does not know.

    Args:
        plan: The graph.
        live: The thread's channels, as the graph revived them.
        state: The thread.
        fresh: Whether the step begins anew: what was done and asked in it does not count.
    """
    found = [*_gone(plan, state)]
    yield from found
    if found or not state.print:
        return
    try:
        due = {task.key: task.name for task in next_tasks(plan, live)}
    except Exception as error:
        yield Obstacle(
            "state",
            "",
            f"a node that is to run next cannot read the state: {type(error).__name__}: {error}",
            "give new fields a default, or say Migration(since=..., fill=function)",
        )
        return
    if not fresh:
        yield from _unfinished(plan, state, due)


def _gone(plan: GraphPlan, state: ThreadState) -> Iterator[Obstacle]:
    """Nodes that were woken, and joins that wait."""
    for name in state.values:
        if not is_control(name):
            continue
        value = state.values[name]
        if name.startswith(BRANCH_TO):
            node = name.removeprefix(BRANCH_TO)
            seen = state.seen.get(node, {}).get(name, 0)
            if node not in plan.nodes and state.versions.get(name, 1) > seen:
                yield _node_gone(node, "is to run next")
        elif name == TASKS and isinstance(value, list | tuple):
            for node in {one.node for one in value if isinstance(one, Send)} - plan.nodes.keys():
                yield _node_gone(node, "was sent work")
        elif name.startswith(JOIN) and name not in plan.channels and _waits(value):
            starts, _, end = name.removeprefix(JOIN).rpartition(":")
            yield Obstacle(
                "edge",
                end,
                f"node {end!r} waits for {starts.replace('+', ' and ')}, some of which are done, and no edge "
                "waits for just these any more",
                "keep that edge until the threads are through",
            )


def _waits(value: Any) -> bool:
    return bool(value[0] if _is_pair(value) else value)


def _node_gone(node: str, what: str) -> Obstacle:
    return Obstacle(
        "node",
        node,
        f"node {node!r} {what} and is gone",
        f"say Migration(nodes={{{node!r}: its new name}}), or keep a node of that name until the threads are "
        "through",
    )


def _unfinished(plan: GraphPlan, state: ThreadState, due: Mapping[str, str]) -> Iterator[Obstacle]:
    """Results, questions and failures of the present step that belong to nothing that runs now."""
    was = parsed(state.shape) if state.shape else None
    for key, name in state.names.items():
        root = next((one for one in due if key == one or key.startswith((f"{one}>", f"{one}|"))), None)
        if root is None and key not in state.handled:
            yield Obstacle(
                "task",
                name,
                f"node {name!r} has begun, and would not run next any more",
                "let what wakes it be what it was until the threads are through",
            )
        elif root is not None and key in state.questions and was is not None and "|" not in key:
            yield from _other_kind(plan, was, state, due[root])
    for key, writes in state.done.items():
        for name in {chan for chan, _ in writes}:
            if name not in plan.channels and _is_state(name):
                yield Obstacle(
                    "key",
                    name,
                    f"node {state.names.get(key, key)!r} is done and wrote to {name!r}, which is gone",
                    f"say Migration(dropped=[{name!r}]), or Migration(keys={{{name!r}: its new name}})",
                )


def _is_state(channel: str) -> bool:
    return not channel.startswith("__") or channel == "__root__"


def _other_kind(plan: GraphPlan, was: GraphFingerprint, state: ThreadState, node: str) -> Iterator[Obstacle]:
    """A node that asks is no graph any more, or is one now: the question would be at another place."""
    old_name = state.former.get(node, node)
    before = was.nodes.get(node, was.nodes.get(old_name, ""))
    inside = bool(getattr(plan.nodes[node].source, "subgraphs", None))
    if before and before.startswith("graph") != inside:
        yield Obstacle(
            "question",
            node,
            f"node {node!r} asks something, and "
            + ("has a graph inside now" if inside else "has no graph inside any more"),
            "keep the node as it was until it is answered",
        )
