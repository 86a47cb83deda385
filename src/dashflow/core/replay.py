"""What was recorded of a superstep beside what a graph makes of it now: the first difference. Pure.

Knows events, states and plans; no node is run here, and no log is read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from dashflow._util.reserved import BRANCH_TO, PUSH, TASKS
from dashflow._util.sentinel import MISSING
from dashflow.constants import END
from dashflow.core.events import Change, Ran
from dashflow.core.fingerprint import JOIN
from dashflow.core.plan import GraphPlan
from dashflow.core.superstep import Live, Task
from dashflow.core.untracked import storable_packet
from dashflow.types.commands import Overwrite, Send
from dashflow.types.replays import DivergenceKind

Encode = Callable[[Any], Any]
Writes = Sequence[tuple[str, Any]]


class Ways(msgspec.Struct, frozen=True):
    """Where a node's graph leads from it, as far as that is known without running anything.

    Attributes:
        fixed: What its edges write, whatever it returns.
        targets: Nodes that its conditional edges and commands may lead to; None: any.
    """

    fixed: tuple[tuple[str, Any], ...] = ()
    targets: frozenset[str] | None = None


ANYWHERE = Ways()
"""A node of which nothing is known."""


class Difference(msgspec.Struct, frozen=True):
    """A difference, before it is told where it is: see ``Divergence``."""

    kind: DivergenceKind
    task: str
    recorded: Any
    present: Any
    meaning: str


# -- which tasks -----------------------------------------------------------------------------------


def rows(ran: Iterable[Ran]) -> list[tuple[str, tuple[str, ...]]]:
    """Tasks that ran, with what woke each; without error handlers, which nothing wakes."""
    told = [(one, (f"{BRANCH_TO}{one}",)) if isinstance(one, str) else (one[0], tuple(one[1])) for one in ran]
    return [row for row in told if row[1] != (PUSH,)]


def compare_tasks(plan: GraphPlan, ran: Iterable[Ran], due: Sequence[Task]) -> Difference | None:
    """Whether the tasks of a step are those that ran: packets in their order, others by name."""
    recorded, present = rows(ran), [(task.name, task.triggers) for task in due]
    if _names(recorded) != _names(present):
        was, now = [name for name, _ in recorded], [name for name, _ in present]
        odd = _odd(was, now)
        return Difference("tasks", odd, was, now, _other_tasks(plan, odd, was))
    before, after = dict(_pulled(recorded)), dict(_pulled(present))
    for name, triggers in before.items():
        if after[name] != triggers:
            return Difference("triggers", name, list(triggers), list(after[name]), other_triggers(name))
    return None


def _is_packet(row: tuple[str, tuple[str, ...]]) -> bool:
    return row[1] == (TASKS,)


def _pulled(told: Iterable[tuple[str, tuple[str, ...]]]) -> list[tuple[str, tuple[str, ...]]]:
    return [row for row in told if not _is_packet(row)]


def _names(told: Sequence[tuple[str, tuple[str, ...]]]) -> tuple[list[str], list[str]]:
    return [row[0] for row in told if _is_packet(row)], sorted(row[0] for row in _pulled(told))


def _odd(was: Sequence[str], now: Sequence[str]) -> str:
    """The task that one has and the other has not; the first where only the order differs."""
    missing = [name for name in was if name not in now]
    return next(iter(missing or [name for name in now if name not in was] or was or now), "")


def _other_tasks(plan: GraphPlan, odd: str, was: Sequence[str]) -> str:
    if odd in was and odd not in plan.nodes:
        return gone(odd)
    if odd in was:
        return f"A thread at this point does not come to {odd!r} any more."
    return f"A thread at this point goes to {odd!r}, to which it did not go before."


def gone(node: str) -> str:
    """What it means that a node is gone."""
    return (
        f"Node {node!r} is gone: threads that wait at it, or were going to it, stop there without a word and "
        "do no more of their work. Keep a node of that name until they are through."
    )


def other_triggers(node: str) -> str:
    """What it means that a node is woken by something else."""
    return (
        f"What wakes {node!r} is part of its tasks' ids: a question that one of them asked has another id "
        "now, so answers by the old id are not found, and results put in for it are not used."
    )


# -- edges -----------------------------------------------------------------------------------------


def is_control(channel: str) -> bool:
    """Whether a channel only says where a run goes."""
    return channel.startswith((BRANCH_TO, JOIN))


def reached(
    plan: GraphPlan, task: Task, change: Change, before: Collection[str], after: Mapping[str, Any]
) -> tuple[set[str], set[str]]:
    """The channels through which the only task of a step went on, and those that cannot be told: the end of
    the run opened them, whether or not the task wrote to them, too.

    Args:
        plan: The graph.
        task: The task.
        change: What became of the channels.
        before: Those that held something before.
        after: Their values then.
    """
    found = {name for name in touched(change) - set(change.cleared) if is_control(name)}
    opened = {name for name in found & set(plan.finishing) & set(before) if _is_open(after.get(name))}
    consumed = {name for name in task.triggers if name.startswith(JOIN)}
    return found - opened - consumed, opened


def _is_open(value: Any) -> bool:
    """Whether a channel that waits for the end of the run was opened by it, and not written to."""
    return isinstance(value, tuple) and len(value) == 2 and value[1] is True


def compare_edges(
    plan: GraphPlan,
    live: Live,
    task: str,
    ways: Ways,
    recorded: Collection[str],
    unsure: Collection[str] | None,
) -> Difference | None:
    """Whether a task went where its node's edges lead.

    Args:
        plan: The graph.
        live: The channels before the step.
        task: Name of the node.
        ways: Its ways.
        recorded: Channels through which it went on.
        unsure: Channels through which it may have gone on, when ``recorded`` are only those whose value
            changed by it; None: ``recorded`` are all that it wrote to.
    """
    fixed = dict(ways.fixed)
    for channel in sorted(recorded):
        if channel in fixed:
            continue
        if channel not in plan.channels:
            return _no_way(plan, task, channel, recorded, fixed)
        target = channel.removeprefix(BRANCH_TO)
        if channel.startswith(JOIN) or (ways.targets is not None and target not in ways.targets):
            return _other_way(task, recorded, fixed, ways.targets)
    for channel, value in fixed.items():
        if channel in recorded or (unsure is not None and channel in unsure):
            continue
        if unsure is None or _changes(live, channel, value):
            return _other_way(task, recorded, fixed, ways.targets)
    return None


def _changes(live: Live, channel: str, value: Any) -> bool:
    return bool(live.channels[channel].copy().update([value]))


def _other_way(
    task: str, recorded: Collection[str], fixed: Collection[str], targets: Collection[str] | None
) -> Difference:
    now = targets_of([*fixed, *(f"{BRANCH_TO}{name}" for name in targets or ())])
    meaning = (
        f"After {task!r} threads go on elsewhere. One that has passed {task!r} goes on to where it was sent "
        "then; one that comes to it now takes the new way."
    )
    return Difference("edge", task, targets_of(recorded), now, meaning)


def _no_way(
    plan: GraphPlan, task: str, channel: str, recorded: Collection[str], fixed: Collection[str]
) -> Difference:
    targets = targets_of([channel])
    node = targets[0] if targets else ""
    if node not in plan.nodes:
        return Difference("node", task, targets_of(recorded), targets_of(fixed), gone(node))
    return _other_way(task, recorded, fixed, ())


def targets_of(channels: Iterable[str]) -> list[str]:
    """The nodes that control channels lead to, as people read them; ``__end__`` when there are none."""
    found = {
        name.removeprefix(BRANCH_TO) if name.startswith(BRANCH_TO) else name.rpartition(":")[2]
        for name in channels
        if is_control(name)
    }
    return sorted(found) or [END]


# -- channels --------------------------------------------------------------------------------------


def lost_channel(plan: GraphPlan, held: Iterable[str]) -> Difference | None:
    """Whether something is in a channel that the graph has not."""
    for name in sorted(held, key=lambda one: (not is_control(one), one)):
        if name in plan.channels:
            continue
        if name.startswith(BRANCH_TO) and (node := name.removeprefix(BRANCH_TO)) not in plan.nodes:
            return Difference("node", node, f"{node!r} is to run", "there is no such node", gone(node))
        if is_control(name):
            node = targets_of([name])[0]
            meaning = f"Threads that wait for the other nodes of that edge never come to {node!r}."
            return Difference("edge", node, f"waits in {name!r}", "there is no such edge", meaning)
        return Difference("channel", "", f"holds {name!r}", "there is no such channel", dropped(name))
    return None


def dropped(channel: str) -> str:
    """What it means that a channel is gone."""
    return (
        f"What threads in flight hold in {channel!r} is not seen by any node, and a node that still returns "
        "it writes nothing."
    )


def touched(change: Change) -> set[str]:
    """The channels that a change gave a new version."""
    return {*change.put, *change.ops, *change.cleared, *change.kept}


def compare_changes(
    plan: GraphPlan,
    recorded: Change,
    present: Change,
    values: tuple[Mapping[str, Any], Callable[[str], Any]],
    encode: Encode,
) -> Difference | list[str]:
    """Whether the writes of a step made of the channels what they made of them then.

    Returns:
        The first difference; without one, the channels in which only ids of messages differ, which a
        reducer draws.

    Args:
        plan: The graph.
        recorded: What became of the channels.
        present: What becomes of them now.
        values: The recorded values after the step, and the present value of a channel.
        encode: Equal results for equal values only.
    """
    was, now = touched(recorded) - plan.untracked, touched(present) - plan.untracked
    if (lost := lost_channel(plan, was)) is not None:
        return lost
    drawn: list[str] = []
    for name in sorted(was | now, key=lambda one: (not is_control(one), one)):
        if name in was and name in now and _same_op(name, recorded, present, encode):
            continue
        before, after = values[0].get(name, MISSING), values[1](name)
        if name == TASKS and after is not MISSING:
            after = [storable_packet(packet, plan.untracked) for packet in after]
        if name in was and name in now and same(before, after, encode):
            continue
        if name in was and name in now and alike(before, after, encode):
            drawn.append(name)
            continue
        return _other_value(name, _shown(before, name in was), _shown(after, name in now))
    return drawn


def _same_op(name: str, one: Change, other: Change, encode: Encode) -> bool:
    if name in one.ops and name in other.ops:
        return bool(encode(one.ops[name]) == encode(other.ops[name]))
    return (name in one.kept and name in other.kept) or (name in one.cleared and name in other.cleared)


def same(one: Any, other: Any, encode: Encode) -> bool:
    """Whether two values are the same; MISSING is only the same as itself."""
    if one is other:
        return True
    if one is MISSING or other is MISSING:
        return False
    return bool(encode(one) == encode(other))


def _shown(value: Any, changed: bool) -> Any:
    if not changed:
        return "unchanged"
    return "empty" if value is MISSING else value


def _other_value(name: str, before: Any, after: Any) -> Difference:
    if is_control(name):
        node = targets_of([name])[0]
        meaning = f"Whether {node!r} comes next is decided otherwise: threads go on another way."
        return Difference("edge", node, before, after, meaning)
    if name == TASKS:
        meaning = (
            "Other work is sent to nodes, or the same in another order: ids of its tasks change with it."
        )
        return Difference("value", "", _packets(before), _packets(after), meaning)
    meaning = (
        f"The same writes make another value of {name!r}: its reducer or channel is another one. Threads in "
        "flight keep the value they have, and it goes on by the new rule."
    )
    return Difference("value", "", {name: before}, {name: after}, meaning)


def _packets(value: Any) -> Any:
    if not isinstance(value, list):
        return value
    return [[one.node, one.arg] if isinstance(one, Send) else one for one in value]


# -- what a node wrote -----------------------------------------------------------------------------


def compare_results(
    name: str, recorded: Writes, present: Writes, encode: Encode, *, routed: bool = False
) -> Difference | None:
    """Whether a task that was run again wrote what it wrote then.

    Args:
        name: The node.
        recorded: What it wrote.
        present: What it writes now.
        encode: Equal results for equal values only.
        routed: Only its conditional edges were asked.
    """
    for channel in sorted(
        {chan for chan, _ in (*recorded, *present)}, key=lambda one: (is_control(one), one)
    ):
        before = [value for chan, value in recorded if chan == channel]
        after = [value for chan, value in present if chan == channel]
        if is_control(channel):
            if bool(before) == bool(after):
                continue
            was, now = (targets_of(chan for chan, _ in writes) for writes in (recorded, present))
            meaning = f"After {name!r} threads go on elsewhere than they did."
            return Difference("route" if routed else "result", name, was, now, meaning)
        if len(before) == len(after) and all(map(lambda a, b: alike(a, b, encode), before, after)):
            continue
        if channel == TASKS:
            meaning = f"After {name!r} other work is sent to nodes than was."
            kind: DivergenceKind = "route" if routed else "result"
            return Difference(kind, name, _packets(before), _packets(after), meaning)
        meaning = (
            f"Node {name!r} comes to something else for the same input. Threads that have passed it keep "
            "what it wrote then; those that come to it now get the new result."
        )
        return Difference("result", name, {channel: _one(before)}, {channel: _one(after)}, meaning)
    return None


def _one(values: list[Any]) -> Any:
    return values[0] if len(values) == 1 else values or "nothing"


def alike(one: Any, other: Any, encode: Encode) -> bool:
    """Whether two written values are the same; of messages, whatever their ids are, which may be drawn."""
    if same(one, other, encode):
        return True
    if type(one) is not type(other):
        return False
    if isinstance(one, Overwrite):
        return alike(one.value, other.value, encode)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(alike(a, b, encode) for a, b in zip(one, other, strict=True))
    if hasattr(one, "content") and hasattr(one, "id") and hasattr(one, "model_copy"):
        return same(one.model_copy(update={"id": None}), other.model_copy(update={"id": None}), encode)
    return False
