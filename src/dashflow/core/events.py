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


class Question(msgspec.Struct, frozen=True):
    """One pending ``interrupt()``.

    Attributes:
        id: As LangGraph computes it: from the task's namespace and the number of the question in it.
        value: What is asked.
        schema: JSON Schema of the answer, if the node gave one.
        first: Id of the task's first question, by which an answer may come too; "" when this is it.
    """

    id: str
    value: Any
    schema: Any = None
    first: str = ""


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


class StepCompleted(msgspec.Struct, frozen=True, omit_defaults=True):
    """All tasks of a superstep are done and their writes are part of the channels."""

    type: ClassVar[str] = "StepCompleted"
    step: int
    ran: list[Ran]
    change: Change


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
    """

    type: ClassVar[str] = "TaskInterrupted"
    key: str
    name: str
    questions: list[Question]
    answers: dict[str, Any] = {}
    refused: list[str] = []


class TaskFailed(msgspec.Struct, frozen=True, omit_defaults=True):
    """A task raised; ``kind`` is the error's class, ``error`` its repr."""

    type: ClassVar[str] = "TaskFailed"
    key: str
    name: str
    kind: str
    error: str


class RunPaused(msgspec.Struct, frozen=True, omit_defaults=True):
    """The run waits for somebody: ``reason`` is ``interrupt``, ``before`` or ``after`` (breakpoints)."""

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


class StateEdited(msgspec.Struct, frozen=True, omit_defaults=True):
    """Somebody changed the state from outside (``update_state``): a checkpoint without a run."""

    type: ClassVar[str] = "StateEdited"
    base: int
    step: int
    source: str
    change: Change
    ran: list[Ran] = []
    meta: dict[str, Any] = {}
    ns: str = ""


Event = (
    RunStarted
    | StepCompleted
    | TaskCompleted
    | TaskInterrupted
    | TaskFailed
    | RunPaused
    | RunFinished
    | RunFailed
    | StateEdited
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
        StateEdited,
    )
}
OPENERS = frozenset({RunStarted.type, StateEdited.type})
"""Types that may go on elsewhere than at the end of the stream."""
SCHEMA = 1
"""Schema number of all these payloads."""
