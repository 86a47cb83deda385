"""fold(state, event) -> state: what a thread's events mean. Pure, total, and without the graph's code.

Any prefix of a thread's lineage folds to a valid state; the same events give the same state. Events are
applied to a copy of the parts they touch, so earlier states stay good (history is a list of them).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from dashflow._util.reserved import BRANCH_TO
from dashflow._util.reserved import INTERRUPT as SHOWN
from dashflow.core import endings
from dashflow.core.bindings import bindings, loosened, of_first, root_name
from dashflow.core.cadence import counted, joined, overwritten
from dashflow.core.delta import patch
from dashflow.core.events import (
    BranchStarted,
    BudgetChanged,
    CancelRequested,
    Change,
    CheckpointImported,
    CheckpointsForgotten,
    Event,
    EventSetAside,
    HistoryForgotten,
    Question,
    Ran,
    RunCancelled,
    RunDeadLettered,
    RunFailed,
    RunFinished,
    RunPaused,
    RunRequeued,
    RunStarted,
    StateEdited,
    StepCompleted,
    TaskCompleted,
    TaskFailed,
    TaskInterrupted,
    UsageRecorded,
    ValuesImported,
    WritesImported,
)
from dashflow.core.importing import checkpoint_imported, values_imported, writes_imported
from dashflow.core.kept import Kept, Owned, Values
from dashflow.core.moved import Moved
from dashflow.core.written import Told, told_fields, values_told, wrote_of


class ThreadState(msgspec.Struct, frozen=True):
    """A thread at one version of its stream.

    Attributes:
        version: The last event folded.
        checkpoint: Version of the event that made the present checkpoint; 0 before the first.
        parent: Version of the checkpoint before it; 0 for none.
        parent_at: When that one was made, nanoseconds.
        at: When the checkpoint was made, nanoseconds.
        step: The checkpoint's number: -1 for the first input.
        source: ``input``, ``loop``, ``update``, ``fork`` or ``merge``.
        meta: Metadata given by the caller of the run or edit.
        values: Channels that hold something, as their ``checkpoint()`` said.
        versions: Version of every channel ever written.
        seen: Per node, the versions of its triggers when it last ran.
        updated: Channels written by the last step.
        done: Writes of tasks of the present step that are finished, by task key.
        questions: What tasks of the present step ask, by task key.
        answers: What was answered in the present step so far, by question id.
        answer: [value] for whichever task asks first.
        bound: What answers given at the present step are bound to, by question id: [site, payload, expires],
            see ``dashflow.core.bindings``.
        errors: Errors of tasks of the present step, by task key.
        handled: Those of them that a handler takes over from the task, which does not run again.
        run: Id of the last run; "" for none.
        status: ``idle``, ``running``, ``paused``, ``failed``, ``finished``, ``cancelling`` (its work has not
            stopped yet), ``cancelled`` or ``dead`` (a dead letter).
        durability: Of the last run.
        graph: Name of its graph; "" when it was given none.
        attempt: How often the run was taken over since anything was last completed.
        options: What its caller asked for, see ``RunStarted``.
        replay: Whether results recorded for the present step are to be made again.
        names: Nodes of the tasks above, by task key.
        id: The checkpoint's id if it was imported; "" when it follows from ``checkpoint`` and ``at``.
        parent_id: The same of the checkpoint before it.
        labels: Per channel, a version's number and how an import calls it.
        layout: Number of the imported checkpoint's layout; below 4, names of channels may be old ones.
        loose: Imported writes: [index, channel, value], by checkpoint id, then (task path, task id).
        parents: For a graph inside others: the checkpoints that those were at, by namespace.
        wrote: What tasks of the step before the checkpoint wrote, by task key, told as in
            ``dashflow.core.written``: for who looks at that step.
        wrote_names: Nodes of those, by task key.
        deltas: Counters of delta channels, see ``dashflow.core.cadence``.
        later: Delta channels' values at the next checkpoint, where nothing else tells them: for who looks.
        home: In a branch, the stream in which the checkpoint was made; "" when that is the branch itself.
        parent_home: The same of the checkpoint before it.
        print: Digest of the shape of the graph that ran last; "" where nothing tells.
        shape: That shape.
        release: The version of it.
        pinned: Whether the last run goes on with that version only.
        former: Names of nodes and channels that are other ones since the present checkpoint, and what they
            were there: ids of tasks are made of these.
        budget: The limits of the last run, by name.
        spent: What it has used.
        exceeded: Which of them it waits for, see ``RunPaused``; empty for none.
        root: Names the input, fork or edit that led here, by the place of its checkpoint; "" in states that
            older programs snapshotted.
    """

    version: int = 0
    checkpoint: int = 0
    parent: int = 0
    parent_at: int = 0
    at: int = 0
    step: int = -2
    source: str = "input"
    meta: dict[str, Any] = {}
    values: dict[str, Any] = {}
    versions: dict[str, int] = {}
    seen: dict[str, dict[str, int]] = {}
    updated: frozenset[str] = frozenset()
    done: dict[str, list[tuple[str, Any]]] = {}
    questions: dict[str, list[Question]] = {}
    answers: dict[str, Any] = {}
    answer: list[Any] = []
    bound: dict[str, list[Any]] = {}
    errors: dict[str, Any] = {}
    handled: dict[str, Any] = {}
    run: str = ""
    status: str = "idle"
    durability: str = "async"
    graph: str = ""
    attempt: int = 0
    options: dict[str, Any] = {}
    replay: bool = False
    names: dict[str, str] = {}
    id: str = ""
    parent_id: str = ""
    labels: dict[str, tuple[int, Any]] = {}
    layout: int = 4
    loose: dict[str, dict[tuple[str, str], list[list[Any]]]] = {}
    parents: dict[str, str] = {}
    wrote: dict[str, list[Told]] = {}
    wrote_names: dict[str, str] = {}
    deltas: dict[str, tuple[int, int, int]] = {}
    later: dict[str, Any] = {}
    home: str = ""
    parent_home: str = ""
    print: str = ""
    shape: str = ""
    release: str = ""
    pinned: bool = False
    former: dict[str, str] = {}
    budget: dict[str, float] = {}
    spent: dict[str, float] = {}
    exceeded: dict[str, Any] = {}
    root: str = ""


EMPTY = ThreadState()


replace = msgspec.structs.replace


def _triggers(ran: Ran) -> tuple[str, list[str]]:
    """A task's node and the channels that woke it."""
    if isinstance(ran, str):
        return ran, [f"{BRANCH_TO}{ran}"]
    return ran[0], ran[1]


def _advance(state: ThreadState, change: Change, ran: list[Ran], **fields: Any) -> ThreadState:
    """The next checkpoint: seen versions, then the changed channels with one new version."""
    seen = state.seen
    if ran:
        owned = type(state.values) is Owned
        seen = seen if owned else dict(seen)
        see(seen, state.versions, ran, owned=owned)
    values, versions = _alter(state, change)
    if state.done or state.questions or state.answers or state.answer or state.errors or state.names:
        state = replace(
            state, done={}, questions={}, answers={}, answer=[], bound={}, errors={}, handled={}, names={}
        )
    if state.id or state.parent_id or state.loose:
        state = replace(state, id="", parent_id=state.id, loose={}, layout=4)
    if state.home or state.parent_home:
        state = replace(state, home="", parent_home=state.home)
    if state.former:
        state = replace(state, former={})
    return replace(
        state,
        values=values,
        versions=versions,
        seen=seen,
        updated=frozenset((*change.put, *change.ops, *change.kept)),
        replay=False,
        attempt=0,
        **(_UNTOLD if state.wrote and "wrote" not in fields else {}),
        **fields,
    )


_UNTOLD: dict[str, Any] = {"wrote": {}, "wrote_names": {}}


def see(
    seen: dict[str, dict[str, int]], versions: Mapping[str, int], ran: Sequence[Ran], *, owned: bool
) -> None:
    """Let tasks that ran have seen what woke them; ``owned``: nobody else has the dicts in ``seen``."""
    for one in ran:
        name, triggers = _triggers(one)
        known = seen.get(name)
        if known is None or not owned:
            known = seen[name] = {**known} if known else {}
        for trigger in triggers:
            if trigger in versions:
                known[trigger] = versions[trigger]


def _alter(state: ThreadState, change: Change) -> tuple[dict[str, Any], dict[str, int]]:
    """Values and versions after a change; all changed channels get the same new version."""
    owned = type(state.values) is Owned
    values = state.values if owned else Values(state.values)
    versions = state.versions if owned else dict(state.versions)
    change_in_place(values, versions, change, owned=owned)
    return values, versions


def change_in_place(values: dict[str, Any], versions: dict[str, int], change: Change, *, owned: bool) -> None:
    """Make a change, in place."""
    top = (max(versions.values()) if versions else 0) + 1
    there = dict.get
    for chan, value in change.put.items():
        values[chan] = value
        versions[chan] = top
    for chan, op in change.ops.items():
        old = there(values, chan)
        values[chan] = old.patched(op, owned=owned) if isinstance(old, Kept) else patch(old, op, owned=owned)
        versions[chan] = top
    for chan in change.cleared:
        values.pop(chan, None)
        versions[chan] = top
    for chan in change.kept:
        versions[chan] = top


def _counted(state: ThreadState, change: Change, writes: Iterable[list[tuple[str, Any]]]) -> ThreadState:
    """The state with the counters of its delta channels after these writes."""
    changed = {*change.put, *change.ops, *change.cleared, *change.kept}
    replaced = overwritten(write for one in writes for write in one)
    once = state.durability == "exit"
    return replace(state, deltas=counted(state.deltas, changed, replaced, once=once))


def move(state: ThreadState, event: Moved) -> ThreadState:
    """The thread at another version of its graph: names, values, and what the old names were."""
    from dashflow.core.moving import renamed  # threads that never moved need not load it

    moved: ThreadState = renamed(state, event)
    return moved


def _run_started(state: ThreadState, event: RunStarted, version: int, at: int) -> ThreadState:
    if event.moved is not None:
        state = move(state, event.moved)
    if event.deltas or state.deltas:
        state = replace(state, deltas=joined(state.deltas, event.deltas), durability=event.durability)
    if event.change is not None and event.kind in ("resume", "continue"):
        state = _updated(state, event, event.change)
    elif event.change is not None:
        state = _advance(
            state,
            event.change,
            event.ran,
            checkpoint=version,
            parent=state.checkpoint,
            parent_at=state.at,
            at=at,
            step=event.step,
            source="fork" if event.kind == "fork" else "input",
            root=root_name(version, at),
        )
        if state.deltas:
            state = _counted(state, event.change, ())
    if event.shown:
        state = replace(state, seen={**state.seen, SHOWN: dict(state.versions)})
    questions = _unanswered(state, event)
    if event.answer:
        state = replace(state, bound={**state.bound, **of_first(state.questions)})
    if event.replay:  # what was done and answered before is done and asked anew
        bound = of_first(state.questions) if event.answer else {}
        state = replace(
            state, answers={}, answer=[], bound=bound, done={}, handled={}, root=root_name(version, at)
        )
        questions = {}
    return replace(
        state,
        version=version,
        run=event.run,
        status="running",
        durability=event.durability,
        graph=event.graph,
        attempt=event.attempt,
        options=event.options,
        meta=event.meta,
        answers={**state.answers, **event.answers},
        answer=event.answer or state.answer,
        questions=questions,
        errors=state.handled,
        replay=event.replay,
        parents=event.parents,
        budget=event.budget,
        spent=event.spent,
        exceeded={},
        **_graph_of(state, event),
    )


def _updated(state: ThreadState, event: RunStarted, change: Change) -> ThreadState:
    """The same checkpoint with an update that came with an answer."""
    if state.wrote:  # told by what channels hold, which they do not from now on
        wrote = {key: [list(write) for write in writes] for key, writes in wrote_of(state).items()}
        state = replace(state, wrote=wrote)
    values, versions = _alter(state, change)
    return replace(state, values=values, versions=versions, bound=loosened(state.bound, event.answers))


def _unanswered(state: ThreadState, event: RunStarted) -> dict[str, list[Question]]:
    """Questions that stay open."""
    return {
        key: left
        for key, asked in state.questions.items()
        if (left := [question for question in asked if question.id not in event.answers])
    }


def _graph_of(state: ThreadState, event: RunStarted) -> dict[str, Any]:
    """Fields of a state that say which graph runs."""
    shape = event.shape or (state.shape if event.print == state.print else "")
    return {"print": event.print, "shape": shape, "release": event.release, "pinned": event.pinned}


def _step_completed(state: ThreadState, event: StepCompleted, version: int, at: int) -> ThreadState:
    done = state.done
    state = _advance(
        state,
        event.change,
        event.ran,
        version=version,
        checkpoint=version,
        parent=state.checkpoint,
        parent_at=state.at,
        at=at,
        step=event.step,
        source="loop",
        **told_fields([event.wrote] if event.wrote else []),
    )
    if state.deltas:
        state = _counted(state, event.change, [*done.values(), *values_told(state)])
    return state


def _state_edited(state: ThreadState, event: StateEdited, version: int, at: int) -> ThreadState:
    if event.moved is not None:
        state = move(state, event.moved)
    if event.print:
        state = replace(state, print=event.print, shape=event.shape, release=event.release)
    if event.deltas or state.deltas:
        state = replace(state, deltas=joined(state.deltas, event.deltas))
    fresh = not state.checkpoint
    before = (state.parent, state.parent_at) if event.copied else (state.checkpoint, state.at)
    before_id = state.parent_id if event.copied else state.id
    before_home = state.parent_home if event.copied else state.home
    state = _advance(
        state,
        event.change,
        event.ran,
        version=version,
        checkpoint=version,
        parent=before[0],
        parent_at=before[1],
        at=at,
        step=event.step,
        source=event.source,
        meta=event.meta,
        status="idle",
        parents=event.parents,
        run="",
        durability="async",
        root=root_name(version, at),
        **told_fields(event.wrote),
    )
    state = replace(state, parent_id=before_id, parent_home=before_home)
    if not state.deltas or fresh or event.copied:  # a thread's first value is whole
        return state
    return _counted(state, event.change, values_told(state))


def _task_completed(state: ThreadState, event: TaskCompleted, version: int, at: int) -> ThreadState:
    writes = [(chan, value) for chan, value in event.writes]
    return replace(
        state,
        version=version,
        attempt=0,
        done={**state.done, event.key: writes},
        names={**state.names, event.key: event.name},
        questions={k: q for k, q in state.questions.items() if k != event.key},
    )


def _task_interrupted(state: ThreadState, event: TaskInterrupted, version: int, at: int) -> ThreadState:
    answers = {**state.answers, **event.answers}
    for refused in event.refused:
        answers.pop(refused, None)
    return replace(
        state,
        version=version,
        questions={**state.questions, event.key: event.questions},
        answers=answers,
        answer=[] if event.answers or event.refused else state.answer,
        bound={**state.bound, **bindings(event.questions)},
        names={**state.names, event.key: event.name},
    )


def _task_failed(state: ThreadState, event: TaskFailed, version: int, at: int) -> ThreadState:
    return replace(
        state,
        version=version,
        errors={**state.errors, event.key: event.error},
        handled={**state.handled, event.key: event.error} if event.handler else state.handled,
        names={**state.names, event.key: event.name},
    )


def _run_stopped(state: ThreadState, event: RunCancelled | RunFailed, version: int, at: int) -> ThreadState:
    if event.change is not None:
        values, versions = _alter(state, event.change)
        state = replace(state, values=values, versions=versions)
    return replace(state, version=version, status="failed" if isinstance(event, RunFailed) else "cancelled")


def _checkpoints_forgotten(
    state: ThreadState, event: CheckpointsForgotten, version: int, at: int
) -> ThreadState:
    return replace(EMPTY if event.all else state, version=version)


_TABLE: dict[type[Event], Callable[[ThreadState, Any, int, int], ThreadState]] = {
    RunStarted: _run_started,
    StepCompleted: _step_completed,
    StateEdited: _state_edited,
    BranchStarted: endings.branched,
    TaskCompleted: _task_completed,
    TaskInterrupted: _task_interrupted,
    TaskFailed: _task_failed,
    RunPaused: endings.paused,
    UsageRecorded: endings.used,
    BudgetChanged: endings.budget_changed,
    RunFinished: endings.ends("finished"),
    RunFailed: _run_stopped,
    CancelRequested: endings.cancel_requested,
    RunCancelled: _run_stopped,
    RunDeadLettered: endings.ends("dead"),
    RunRequeued: endings.requeued,
    CheckpointImported: checkpoint_imported,
    ValuesImported: values_imported,
    WritesImported: writes_imported,
    CheckpointsForgotten: _checkpoints_forgotten,
    HistoryForgotten: endings.noted,
    EventSetAside: endings.noted,
}


def fold(state: ThreadState, event: Event, version: int, at: int) -> ThreadState:
    """The thread after ``event``.

    Args:
        state: The thread before it: the state at the event's base for an opener, else at version - 1.
        event: What happened.
        version: The event's version in the stream.
        at: The event's time, nanoseconds.

    Raises:
        ValueError: An op does not fit the value it was recorded for: the stream is damaged.
    """
    return _TABLE[type(event)](state, event, version, at)
