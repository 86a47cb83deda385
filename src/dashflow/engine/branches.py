"""Branches of threads on any host: where they begin, how two of them differ, merging one into another.

A branch is a thread of its own that began at a checkpoint of another. What is kept where is a port
(``Branches``) with two implementations: the event log, and any LangGraph saver.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from dashflow._util.reserved import BRANCH_TO
from dashflow._util.sentinel import MISSING
from dashflow.checkpoint.imported_layout import upcast
from dashflow.checkpoint.lines import MARK
from dashflow.checkpoint.view import naming
from dashflow.core.compare import compare as difference
from dashflow.core.delta import diff, shade
from dashflow.core.events import Change, StateEdited
from dashflow.core.fold import ThreadState
from dashflow.core.merge import Contribution, Merged, Resolve, merge
from dashflow.core.plan import GraphPlan
from dashflow.core.superstep import Live, read
from dashflow.engine.history import History, Place
from dashflow.engine.setting import Setting
from dashflow.engine.sight import live_of
from dashflow.errors import (
    MergeConflictError,
    UnknownBranchError,
    UnrelatedThreadsError,
    UsageError,
    ValueCodecError,
)
from dashflow.log.codec import encode
from dashflow.types.branches import BranchMerge, StateDiff, ThreadBranch

_NAME = re.compile(r"\w[\w.-]*")
_LONGEST = 100


class LineStep(msgspec.Struct):
    """One step of what led to a state.

    Attributes:
        order: Sorts by time.
        thread: Where it was made.
        at: Its version there, or its checkpoint's id.
        contribution: What it did.
    """

    order: Any
    thread: str
    at: Any
    contribution: Contribution


class Line(msgspec.Struct):
    """What led to a thread's state.

    Attributes:
        thread: Its id.
        checkpoint: Id of the checkpoint it is at.
        place: The state.
        history: The thread, to be written to.
        steps: All that is part of it, also through merges; the same step has the same key in every thread.
    """

    thread: str
    checkpoint: str
    place: Place
    history: History
    steps: dict[Hashable, LineStep]


class Branches(Protocol):
    """Where branches are kept."""

    async def begin(self, thread: str, checkpoint: str | None, name: str) -> ThreadBranch:
        """Begin a branch at a checkpoint; None: where the thread is.

        Raises:
            BranchExistsError: There is one of that name.
            UnknownCheckpointError: There is no such checkpoint.
            UsageError: The thread has none at all.
        """
        ...

    async def all_of(self, thread: str) -> list[ThreadBranch]:
        """The branches that began in the thread, each followed by those that began in it."""
        ...

    async def delete(self, thread: str) -> None:
        """Forget a branch's thread.

        Raises:
            OwnershipConflictError: A run of it is going on.
        """
        ...

    async def line(self, thread: str, checkpoint: str | None) -> Line:
        """What led to a checkpoint; None: to where the thread is.

        Raises:
            UnknownCheckpointError: There is no such checkpoint.
        """
        ...

    async def state(self, step: LineStep) -> tuple[str, ThreadState]:
        """The state after a step, and its checkpoint's id."""
        ...

    async def edit(
        self, line: Line, source: Line, plan: GraphPlan | None, event: StateEdited, live: Live
    ) -> dict[str, Any]:
        """Record a merge of ``source`` into ``line``; see ``History.edit``."""
        ...


def check_name(name: str) -> str:
    """A branch's name.

    Raises:
        UsageError: It cannot be one.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or len(name) > _LONGEST:
        raise UsageError(
            f"{name!r} cannot be a branch's name: at most {_LONGEST} letters, digits, '.', '-' and '_', of "
            "which the first is no '.' and no '-'."
        )
    return name


def thread_names(thread: str, name: str) -> Iterable[str]:
    """Ids that a branch's thread may have; the first is taken unless it was used before."""
    yield f"{thread}{MARK}{name}"
    number = 2
    while True:
        yield f"{thread}{MARK}{name}.{number}"
        number += 1


async def find(branches: Branches, thread: str, name: str) -> ThreadBranch:
    """The branch of that name that began in a thread, else the only one that began in one of its branches.

    Raises:
        UnknownBranchError: There is none, or several.
    """
    known = await branches.all_of(thread)
    found = [branch for branch in known if branch.name == name]
    direct = [branch for branch in found if branch.parent == thread]
    if len(direct or found) != 1:
        raise UnknownBranchError(thread, name, [branch.thread_id for branch in known])
    return (direct or found)[0]


# -- comparing --------------------------------------------------------------------------------------


async def compare(branches: Branches, plan: GraphPlan | None, one: Line, other: Line) -> StateDiff:
    """How two states differ.

    Args:
        branches: Where they are.
        plan: The graph; None: whatever is in the states is compared.
        one: What led to the one.
        other: What led to the other.
    """
    base = _common(one, other)
    name = None if base is None else (base.thread, (await branches.state(base))[0])
    before, after = (_shown(plan, line.place.state) for line in (one, other))
    keys = _keys(plan, before, after)
    return StateDiff(
        _config(one.thread, one.checkpoint),
        _config(other.thread, other.checkpoint),
        None if name is None else _config(*name),
        difference(before, after, keys, _encoded),
    )


def _config(thread: str, checkpoint: str) -> Any:
    return naming(thread, "", checkpoint)


def _shown(plan: GraphPlan | None, state: ThreadState) -> Mapping[str, Any]:
    """A state's values as snapshots show them."""
    if plan is None:
        return state.values
    channels = live_of(plan, upcast(state, plan.nodes, plan.follows)).channels
    shown: dict[str, Any] = read(channels, _keys(plan))
    return shown


def _keys(plan: GraphPlan | None, *values: Mapping[str, Any]) -> list[str]:
    """The keys of the state that are the user's."""
    if plan is not None:
        shown = [plan.stream] if isinstance(plan.stream, str) else plan.stream
        return [key for key in shown if key in plan.channels and key not in plan.untracked]
    found = {key: None for one in values for key in one}
    return [key for key in found if key == "__root__" or not key.startswith((BRANCH_TO, "join:", "__"))]


def _encoded(value: Any) -> Any:
    """Something that is equal for equal values."""
    try:
        return encode(value)
    except ValueCodecError:  # a saver of somebody else may hold anything
        return repr(value)


def _same(one: Any, other: Any) -> bool:
    return one is other or _encoded(one) == _encoded(other)


def _common(one: Line, other: Line) -> LineStep | None:
    """The newest step that both have."""
    common = one.steps.keys() & other.steps.keys()
    return max((other.steps[key] for key in common), key=lambda step: step.order, default=None)


# -- merging ----------------------------------------------------------------------------------------


async def merge_into(
    branches: Branches, setting: Setting | None, ours: Line, theirs: Line, resolve: Resolve | None
) -> BranchMerge:
    """Merge one thread into another: one checkpoint of the target, or none where nothing is to be done.

    Args:
        branches: Where they are.
        setting: Of no run of the target: lends the graph and the caller's options; None: the graph is not
            known, so that nothing can be told of reducers.
        ours: What led to the target.
        theirs: What led to the state that is merged.
        resolve: Decides on keys that both changed.

    Raises:
        UnrelatedThreadsError: They have nothing in common.
        MergeConflictError: Both changed keys, and nothing says how to join them.
        OwnershipConflictError: A run of the target is going on.
        VersionConflictError: Somebody else wrote at the same moment; merge again.
    """
    base = _common(ours, theirs)
    if base is None:
        raise UnrelatedThreadsError(ours.thread, theirs.thread)
    plan = setting.plan if setting is not None else None
    if setting is not None and plan is not None:
        setting.look_at(ours.place.state)
        ours.place = ours.place._replace(state=upcast(ours.place.state, plan.nodes, plan.follows))
    state = ours.place.state
    was = (await branches.state(base))[1]
    new = sorted((theirs.steps[key] for key in theirs.steps.keys() - ours.steps.keys()), key=_order)
    merged = merge(
        _keys(plan, was.values, state.values, theirs.place.state.values),
        was.values,
        state.values,
        theirs.place.state.values,
        steps=[step.contribution for step in new],
        channels=plan.channels if plan is not None else {},
        same=_same,
        resolve=resolve,
    )
    if merged.conflicts:
        raise MergeConflictError(ours.thread, theirs.thread, merged.conflicts, _remedy(plan))
    config: Any = _config(ours.thread, ours.checkpoint)
    if merged.values:
        live = _changed(plan, state, merged)
        event = _event(setting, ours, theirs, merged)
        config = await branches.edit(ours, theirs, plan, event, live)
    return BranchMerge(config, tuple(merged.taken), tuple(merged.reduced), tuple(merged.resolved))


def _order(step: LineStep) -> Any:
    return step.order


def _remedy(plan: GraphPlan | None) -> str:
    if plan is None:
        return "Name the graph, so that its reducers can join them, or say whose values to take."
    return "Give `resolve=`, a function of key, base, ours and theirs that returns the value to have."


def _changed(plan: GraphPlan | None, state: ThreadState, merged: Merged) -> Live:
    """The channels with the merged values."""
    if plan is None:
        return Live({}, {}, {}, None, -1)
    live = live_of(plan, state)
    live.top += 1
    for key, value in merged.values.items():
        live.channels[key] = plan.channels[key].from_checkpoint(value)
        live.versions[key] = live.top
    live.updated = set(merged.values)
    return live


def _event(setting: Setting | None, ours: Line, theirs: Line, merged: Merged) -> StateEdited:
    state = ours.place.state
    meta = {"merged_from": theirs.thread, "merged_checkpoint": theirs.checkpoint}
    return StateEdited(
        state.version,
        state.step + 1,
        "merge",
        _told(state.values, merged.values),
        meta={**(setting.options.metadata if setting is not None else {}), **meta},
        parents=dict(state.parents),
        deltas=setting.plan.deltas if setting is not None else {},
        merged=[theirs.thread, theirs.place.state.version, theirs.checkpoint],
    )


def _told(before: Mapping[str, Any], after: Mapping[str, Any]) -> Change:
    """What became of the channels, as the log tells it."""
    put: dict[str, Any] = {}
    ops: dict[str, list[Any]] = {}
    cleared: list[str] = []
    for key, value in after.items():
        if value is MISSING:
            cleared.append(key)
            continue
        op = None
        if key in before and isinstance(value, list | dict | set | str | bytes):
            op, _ = diff(shade(before[key], _encoded), value, _encoded, None)
        if op is None or len(op) == 1:
            put[key] = value
        else:
            ops[key] = op
    return Change(put, ops, cleared)


def side(which: str) -> Resolve:
    """Takes ``ours`` or ``theirs`` for every key that both changed."""
    choose: Callable[..., Any] = (lambda k, b, o, t: t) if which == "theirs" else (lambda k, b, o, t: o)
    return choose


def ordered(found: Sequence[ThreadBranch], thread: str) -> list[ThreadBranch]:
    """Each branch followed by those that began in it; those whose beginning is gone come last."""
    left = sorted(found, key=lambda branch: (branch.created_at, branch.name))
    shown: list[ThreadBranch] = []

    def add(parent: str) -> None:
        for branch in left:
            if branch.parent == parent and branch not in shown:
                shown.append(branch)
                add(branch.thread_id)

    add(thread)
    for branch in left:
        if branch not in shown:
            shown.append(branch)
            add(branch.thread_id)
    return shown
