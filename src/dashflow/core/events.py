"""What can happen to a thread, as events: past tense, plain, versioned, complete without the graph.

A thread's stream is a tree of checkpoints written down one after another: an *opener* (``RunStarted``,
``StateEdited``) says in ``base`` at which version of the stream it goes on; the events behind it belong
to it until the next opener. An event that carries a ``Change`` makes a checkpoint.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec


class Change(msgspec.Struct, frozen=True, omit_defaults=True):
    """What became of the channels: the new values whole, or as ops (see ``dashflow.core.delta``).

    Attributes:
        put: Channels and their whole new value.
        ops: Channels and how their value changed.
        cleared: Channels that are empty now.
        kept: Channels written again with nothing changed but their version.
    """

    put: dict[str, Any] = {}
    ops: dict[str, list[Any]] = {}
    cleared: list[str] = []
    kept: list[str] = []


class Question(msgspec.Struct, frozen=True, omit_defaults=True):
    """One pending ``interrupt()``.

    Attributes:
        id: As LangGraph computes it: from the task's namespace and the number of the question in it.
        value: What is asked.
        schema: JSON Schema of the answer, if the node gave one.
        first: Id of the task's first question, by which an answer may come too; "" when this is it.
        site: Name of the function that asks; "" where older programs did not tell.
        payload: Fingerprint of what an answer is bound to; "": of nothing.
        expires: When its time is over, nanoseconds since the Unix epoch; 0: never.
        default: [value] that is the answer when its time is over; [] for none.
    """

    id: str
    value: Any
    schema: Any = None
    first: str = ""
    site: str = ""
    payload: str = ""
    expires: int = 0
    default: list[Any] = []


Ran = str | list[Any]
"""A task that ran: its node's name when its trigger is ``branch:to:<name>``, else [name, [triggers]]."""


class RunStarted(msgspec.Struct, frozen=True, omit_defaults=True):
    """A run was accepted: with an input (a checkpoint of its own), as an answer, or to go on.

    Attributes:
        run: Id of the run.
        base: Version of the stream that it goes on from; 0 for nothing.
        kind: ``input`` (makes a checkpoint), ``fork`` (goes on from an old checkpoint, and makes one),
            ``resume`` (brings answers) or ``continue``.
        step: Number of the checkpoint that an input or fork makes, -1 on a new thread.
        durability: ``sync``, ``async`` or ``exit``.
        change: What the input, or the update of a ``Command``, did to the channels.
        ran: Tasks that were waiting and were given up for the new input.
        shown: Whether static breakpoints reached so far count as passed.
        answers: Answers by question id.
        answer: [value] for whichever task asks first, when no question was pending.
        meta: Metadata of the caller's config, plain values.
        ns: Namespace of the graph in the thread; "" is the outermost.
        replay: Whether results recorded after the base are to be made again.
        parents: For a graph inside others: the checkpoints that those are at, by namespace.
        deltas: The graph's delta channels, and after how many updates savers show their whole value.
        graph: The graph's name; "" when it was given none.
        attempt: How often the run was taken over from an owner that died, since it last completed anything.
        ticket: Id of the input in the thread's inbox; "" when it did not wait there.
        options: What the caller asked for and the graph does not say by itself: ``before`` and ``after``
            (breakpoints), ``limit`` (of steps), ``concurrency``.
    """

    type: ClassVar[str] = "RunStarted"
    run: str
    base: int = 0
    kind: str = "input"
    step: int = -1
    durability: str = "async"
    change: Change | None = None
    ran: list[Ran] = []
    shown: bool = False
    answers: dict[str, Any] = {}
    answer: list[Any] = []
    meta: dict[str, Any] = {}
    ns: str = ""
    replay: bool = False
    parents: dict[str, str] = {}
    deltas: dict[str, int] = {}
    graph: str = ""
    attempt: int = 0
    ticket: str = ""
    options: dict[str, Any] = {}


class StepCompleted(msgspec.Struct, frozen=True, omit_defaults=True):
    """All tasks of a superstep are done and their writes are part of the channels.

    Attributes:
        step: Number of the checkpoint that this makes.
        ran: The tasks.
        change: What became of the channels.
        wrote: What the only task wrote, where that is shown: [key, name, writes], writes as
            ``dashflow.core.written`` tells them.
    """

    type: ClassVar[str] = "StepCompleted"
    step: int
    ran: list[Ran]
    change: Change
    wrote: list[Any] = []


class TaskCompleted(msgspec.Struct, frozen=True, omit_defaults=True):
    """One of several tasks of a step is done; its writes wait for the others."""

    type: ClassVar[str] = "TaskCompleted"
    key: str
    name: str
    writes: list[list[Any]] = []


class TaskInterrupted(msgspec.Struct, frozen=True, omit_defaults=True):
    """A task asks a person and waits; it runs again from its top when answered.

    Attributes:
        key: Of the task.
        name: Its node.
        questions: What it asks.
        answers: Those it used of what was meant for whoever asks first, by question id.
        refused: Ids of questions whose answer did not fit; they are open again.
        changed: Those of them whose answer was given to another question than the one that is asked now.
    """

    type: ClassVar[str] = "TaskInterrupted"
    key: str
    name: str
    questions: list[Question]
    answers: dict[str, Any] = {}
    refused: list[str] = []
    changed: list[str] = []


class TaskFailed(msgspec.Struct, frozen=True, omit_defaults=True):
    """A task raised.

    Attributes:
        key: Of the task.
        name: Its node.
        kind: The error's class.
        error: Its repr.
        handler: The node that takes over, in the same step; "": none does.
    """

    type: ClassVar[str] = "TaskFailed"
    key: str
    name: str
    kind: str
    error: str
    handler: str = ""


class RunPaused(msgspec.Struct, frozen=True, omit_defaults=True):
    """The run waits for somebody: ``reason`` is ``interrupt``, ``before`` or ``after`` (breakpoints),
    ``drain`` or ``superseded`` (a new input took its place)."""

    type: ClassVar[str] = "RunPaused"
    run: str
    reason: str
    nodes: list[str] = []


class RunFinished(msgspec.Struct, frozen=True, omit_defaults=True):
    """The graph came to its end."""

    type: ClassVar[str] = "RunFinished"
    run: str


class RunFailed(msgspec.Struct, frozen=True, omit_defaults=True):
    """The run ended with an error, or was given up by its caller; it can be continued."""

    type: ClassVar[str] = "RunFailed"
    run: str
    kind: str
    error: str = ""


class RunDeadLettered(msgspec.Struct, frozen=True, omit_defaults=True):
    """Nobody takes the run over any more: again and again its process died before anything was completed.

    Attributes:
        run: Id of the run.
        attempts: How often it was tried.
        reason: For people.
    """

    type: ClassVar[str] = "RunDeadLettered"
    run: str
    attempts: int
    reason: str


class RunRequeued(msgspec.Struct, frozen=True, omit_defaults=True):
    """Somebody gave a dead letter new attempts, or put back a run that could not be finished here.

    Attributes:
        run: Its id.
        attempt: How many takeovers count against it.
    """

    type: ClassVar[str] = "RunRequeued"
    run: str
    attempt: int = 0


class StateEdited(msgspec.Struct, frozen=True, omit_defaults=True):
    """Somebody changed the state from outside (``update_state``): a checkpoint without a run.

    Attributes:
        base: Version of the stream that it goes on from.
        step: Number of the checkpoint that this makes.
        source: ``update``, ``input``, ``fork`` or ``merge``.
        change: What became of the channels.
        ran: The nodes that count as run.
        meta: Metadata of the caller's config, plain values.
        ns: Namespace of the graph in the thread.
        wrote: Per update, what was written as which task: [key, name, writes], as in ``StepCompleted``.
        copied: Whether it stands for the checkpoint it goes on from: beside it, with the same parent.
        parents: As in ``RunStarted``.
        deltas: As in ``RunStarted``.
        merged: What was merged into the thread, for ``source`` "merge": [thread, version of its stream, id of
            its checkpoint].
    """

    type: ClassVar[str] = "StateEdited"
    base: int
    step: int
    source: str
    change: Change
    ran: list[Ran] = []
    meta: dict[str, Any] = {}
    ns: str = ""
    wrote: list[list[Any]] = []
    copied: bool = False
    parents: dict[str, str] = {}
    deltas: dict[str, int] = {}
    merged: list[Any] = []


class BranchStarted(msgspec.Struct, frozen=True, omit_defaults=True):
    """The first event of a branch: its stream goes on where another thread's was, and copies nothing.

    All that the other stream has up to ``version`` comes before this event, which is the next one: a branch's
    versions go on counting from there.

    Attributes:
        name: The branch's; no other living branch that began in this thread has it.
        thread: Id of the thread that it began in.
        version: Version of that thread's stream.
        checkpoint: Id of the checkpoint that the thread was at.
        step: Its number.
    """

    type: ClassVar[str] = "BranchStarted"
    name: str
    thread: str
    version: int
    checkpoint: str
    step: int


class Content(msgspec.Struct, frozen=True):
    """What an imported checkpoint says, once its bytes are read; never recorded.

    Attributes:
        at: Its time, nanoseconds.
        step: Its number.
        source: As in ``StateEdited``.
        meta: Its metadata.
        values: Its channels.
        versions: Their versions, numbered.
        seen: Per node, the versions it has seen, numbered.
        updated: Channels written by the step that made it.
        labels: Per channel, its version's number and how the import calls it.
        layout: Number of its layout: 1 to 4.
    """

    at: int
    step: int
    source: str
    meta: dict[str, Any]
    values: dict[str, Any]
    versions: dict[str, int]
    seen: dict[str, dict[str, int]]
    updated: frozenset[str]
    labels: dict[str, tuple[int, Any]]
    layout: int = 4


class CheckpointImported(msgspec.Struct, frozen=True, omit_defaults=True):
    """Somebody put a checkpoint into the thread as it is (``saver.put``): from elsewhere, or by hand.

    What it holds is as the saver's serialiser wrote it: [tag, bytes].

    Attributes:
        id: The checkpoint's id.
        parent: Id of the checkpoint before it; "" for none.
        latest: Whether its id was the thread's greatest, so that the thread goes on from it.
        checkpoint: The checkpoint without its channels' values.
        metadata: Its metadata.
        values: Values of channels: [channel, version, tag, bytes]; those of the same channel and version
            in earlier imports are not repeated, unless ``whole``.
        whole: Whether ``values`` and ``same`` say all: earlier imports do not count.
        same: Channels with the value that the import at a version of the stream has: [channel, version].
        content: What all that says; filled in when it is read.
    """

    type: ClassVar[str] = "CheckpointImported"
    id: str
    checkpoint: list[Any]
    metadata: list[Any]
    parent: str = ""
    latest: bool = True
    values: list[list[Any]] = []
    whole: bool = False
    same: list[list[Any]] = []
    content: Content | None = None


class ValuesImported(msgspec.Struct, frozen=True, omit_defaults=True):
    """Values of channels were put in without a checkpoint: [channel, version, tag, bytes]."""

    type: ClassVar[str] = "ValuesImported"
    values: list[list[Any]]


class WritesImported(msgspec.Struct, frozen=True, omit_defaults=True):
    """Somebody put writes of a task in by hand (``saver.put_writes``).

    Attributes:
        checkpoint: Id of the checkpoint that the task's step starts from; it may come later.
        task: Id of the task.
        path: Where the task stands.
        writes: [index, channel, tag, bytes].
        read: [index, channel, value]: what the bytes say; filled in when it is read.
    """

    type: ClassVar[str] = "WritesImported"
    checkpoint: str
    task: str
    writes: list[list[Any]]
    path: str = ""
    read: list[list[Any]] = []


class CheckpointsForgotten(msgspec.Struct, frozen=True, omit_defaults=True):
    """Checkpoints are not to be shown or used any more; of these ids, or all so far.

    Attributes:
        ids: Which.
        all: All, and everything else that the thread holds.
        base: Version of the stream that the thread goes on from; -1: where it is.
    """

    type: ClassVar[str] = "CheckpointsForgotten"
    ids: list[str] = []
    all: bool = False
    base: int = -1


class HistoryForgotten(msgspec.Struct, frozen=True, omit_defaults=True):
    """Events at the beginning of the stream were dropped for good, in the commit of this one.

    Attributes:
        upto: The last version that was dropped.
        bases: The states that what is left goes on from, by version: as ``dashflow.checkpoint.snapshots``
            tells them.
    """

    type: ClassVar[str] = "HistoryForgotten"
    upto: int
    bases: dict[int, dict[str, Any]] = {}


class EventSetAside(msgspec.Struct, frozen=True, omit_defaults=True):
    """What stood here could not be read, or followed on something that could not; the thread is what it was
    before. ``dashflow doctor --repair`` puts it in that event's place, at the same version.

    Attributes:
        why: What was wrong, in words.
        was: The type of the event that stood here; "" when that was not known.
        kept: Number of the row that keeps it as it was found; 0 when there was nothing to keep.
    """

    type: ClassVar[str] = "EventSetAside"
    why: str
    was: str = ""
    kept: int = 0


Event = (
    RunStarted
    | StepCompleted
    | TaskCompleted
    | TaskInterrupted
    | TaskFailed
    | RunPaused
    | RunFinished
    | RunFailed
    | RunDeadLettered
    | RunRequeued
    | StateEdited
    | BranchStarted
    | CheckpointImported
    | ValuesImported
    | WritesImported
    | CheckpointsForgotten
    | HistoryForgotten
    | EventSetAside
)

EVENTS: dict[str, type[Event]] = {
    kind.type: kind
    for kind in (
        RunStarted,
        StepCompleted,
        TaskCompleted,
        TaskInterrupted,
        TaskFailed,
        RunPaused,
        RunFinished,
        RunFailed,
        RunDeadLettered,
        RunRequeued,
        StateEdited,
        BranchStarted,
        CheckpointImported,
        ValuesImported,
        WritesImported,
        CheckpointsForgotten,
        HistoryForgotten,
        EventSetAside,
    )
}
OPENERS = frozenset({RunStarted.type, StateEdited.type, CheckpointsForgotten.type})
"""Types that may go on elsewhere than at the end of the stream."""
IMPORTS = frozenset(
    {CheckpointImported.type, ValuesImported.type, WritesImported.type, CheckpointsForgotten.type}
)
"""Types that savers record, not runs."""
SCHEMA = 1
"""Schema number of all these payloads."""
