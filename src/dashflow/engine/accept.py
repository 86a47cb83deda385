"""Accepting a run: from what the caller gave and the thread's state to the run's first event.

Pure but for the channels of the run, which it brings to where the first superstep starts. What is
accepted here is durable before any node runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from dashflow._util.reserved import TASKS
from dashflow.constants import END, START
from dashflow.core.events import Change, Ran, RunStarted
from dashflow.core.fold import ThreadState
from dashflow.core.plan import GraphPlan
from dashflow.core.superstep import Live, Task, apply, next_tasks, pass_breakpoints
from dashflow.engine.journal import Changes
from dashflow.errors import EmptyInputError, InvalidUpdateError
from dashflow.types.commands import Command, Send

_HEX = frozenset("0123456789abcdef")
_NOTHING = Change()


class Accepted(msgspec.Struct):
    """How a run begins: its first event (to be recorded), and whether it goes on from earlier work."""

    started: RunStarted
    resumes: bool


def accept(
    plan: GraphPlan, live: Live, state: ThreadState, given: Any, *, changes: Changes | None, base: RunStarted
) -> Accepted:
    """Take an input, a ``Command`` or None.

    Args:
        plan: The graph.
        live: The thread's channels; brought up to date in place.
        state: The thread as read from the log.
        given: What the caller passed as input.
        changes: To learn what changed, where there is a log.
        base: The event to complete: run id, base, durability, metadata, whether it is a replay.

    Raises:
        EmptyInputError: There is nothing to start from and nothing to go on with.
        InvalidUpdateError: A ``Command`` that cannot be followed.
        RuntimeError: An answer that does not say which of several questions it is for.
    """
    command = given if isinstance(given, Command) else None
    if state.checkpoint and (given is None or command is not None):
        return _go_on(plan, live, state, command, changes, base)
    if given is None:
        raise EmptyInputError(f"Received no input for {plan.input_channel}")
    writes = plan.input_writes(given)
    if not writes:
        raise EmptyInputError(f"Received no input for {plan.input_channel}")
    waiting = next_tasks(plan, live)
    for task in waiting:
        task.writes = ()
    bumped = apply(plan, live, waiting, writes)
    change = changes.take(live, bumped, writes) if changes else None
    started = msgspec.structs.replace(
        base, kind="input", step=live.step, change=change, ran=[told(task) for task in waiting], replay=False
    )
    live.step += 1
    return Accepted(started, False)


def _go_on(
    plan: GraphPlan,
    live: Live,
    state: ThreadState,
    command: Command[Any] | None,
    changes: Changes | None,
    base: RunStarted,
) -> Accepted:
    answers: dict[str, Any] = {}
    answer: list[Any] = []
    change = None
    if command is not None:
        if command.resume is not None:
            answers, answer = _match(state, command.resume)
        writes = command_writes(command)
        if not writes and command.resume is None and not command.goto:
            raise EmptyInputError("Received empty Command input")
        if writes:
            bumped = apply(plan, live, (), writes)
            change = changes.take(live, bumped, writes) if changes else None
    replay = base.replay and not (command is not None and command.resume is not None)
    pass_breakpoints(live)
    live.updated = None
    started = msgspec.structs.replace(
        base,
        kind="resume" if answers or answer else "continue",
        change=change,
        shown=True,
        answers=answers,
        answer=answer,
        replay=replay,
    )
    if replay and state.source not in ("update", "fork"):
        started = msgspec.structs.replace(started, kind="fork", step=live.step, change=change or _NOTHING)
        live.step += 1
    return Accepted(started, True)


def _match(state: ThreadState, resume: Any) -> tuple[dict[str, Any], list[Any]]:
    """Answers by question id; or the answer for whoever asks first."""
    pending = [question for questions in state.questions.values() for question in questions]
    if isinstance(resume, dict) and all(_is_interrupt_id(key) for key in resume):
        answers = dict(resume)
        for question in pending:
            if question.first in resume and question.id not in resume:
                answers[question.id] = answers.pop(question.first)
        return answers, []
    if len(pending) > 1:
        raise RuntimeError(
            "When there are multiple pending interrupts, you must specify the interrupt id when resuming. "
            f"Pending: {', '.join(question.id for question in pending)}. "
            "Pass Command(resume={id: answer, ...})."
        )
    return ({pending[0].id: resume}, []) if pending else ({}, [resume])


def _is_interrupt_id(key: Any) -> bool:
    return isinstance(key, str) and len(key) == 32 and _HEX.issuperset(key)


def command_writes(command: Command[Any]) -> list[tuple[str, Any]]:
    """What a ``Command`` given as input writes before the first step.

    Raises:
        InvalidUpdateError: It addresses a parent graph; there is none.
        TypeError: ``goto`` is neither a name nor a ``Send``.
    """
    if command.graph == Command.PARENT:
        raise InvalidUpdateError("There is no parent graph")
    goto = command.goto
    targets: Sequence[Any] = goto if isinstance(goto, list | tuple) else [goto] if goto else []
    writes: list[tuple[str, Any]] = []
    for target in targets:
        if isinstance(target, Send):
            writes.append((TASKS, target))
        elif isinstance(target, str):
            if target != END:
                writes.append((f"branch:to:{target}", START))
        else:
            raise TypeError(f"In Command.goto, expected Send/str, got {type(target).__name__}")
    if command.update:
        writes.extend(command.update_as_tuples())
    return writes


def told(task: Task) -> Ran:
    """A task that ran, as events tell it."""
    if task.triggers == (f"branch:to:{task.name}",):
        return task.name
    return [task.name, list(task.triggers)]
