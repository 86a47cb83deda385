"""Accepting a run: from what the caller gave and the thread's state to the run's first event.

Pure but for the channels of the run, which it brings to where the first superstep starts. What is
accepted here is durable before any node runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from dashflow._util.reserved import BRANCH_TO, NULL_TASK_ID, RESUME, TASKS
from dashflow.constants import END, START
from dashflow.core.events import Change, Ran, RunStarted
from dashflow.core.fold import ThreadState
from dashflow.core.plan import GraphPlan
from dashflow.core.superstep import Live, Task, apply, next_tasks, pass_breakpoints
from dashflow.engine.journal import Changes
from dashflow.errors import AmbiguousAnswerError, EmptyInputError, InvalidUpdateError, UnknownInterruptError
from dashflow.types.commands import Command, Send

_HEX = frozenset("0123456789abcdef")
_NOTHING = Change()

Writes = list[tuple[str, Any]]


class Terms(msgspec.Struct):
    """How a run begins.

    Attributes:
        resumes: It goes on from earlier work; else it begins with an input.
        forks: It goes on beside what was done since: with a checkpoint of its own.
        strict: Answers must be for questions that are pending.
        optional: There may be no input (a graph inside a task that runs again).
        again: The questions at the checkpoint may be asked anew, under other ids.
        now: Nanoseconds since the Unix epoch, where there are questions.
        thread: Id of the thread.
        unseen: Nobody has looked since it stopped: breakpoints that are due are not passed.
        travels: It goes back to a checkpoint that its caller named: an input that waited there is given up.
    """

    resumes: bool
    forks: bool = False
    strict: bool = False
    optional: bool = False
    again: bool = False
    unseen: bool = False
    now: int = 0
    thread: str = ""
    travels: bool = False


class Accepted(msgspec.Struct):
    """The run's first event (to be recorded), and what the input or a command wrote."""

    started: RunStarted
    writes: Writes


def accept(
    plan: GraphPlan,
    live: Live,
    state: ThreadState,
    given: Any,
    terms: Terms,
    *,
    changes: Changes | None,
    base: RunStarted,
) -> Accepted:
    """Take an input, a ``Command`` or None.

    Args:
        plan: The graph.
        live: The thread's channels; brought up to date in place.
        state: The thread as read.
        given: What the caller passed as input.
        terms: How the run begins.
        changes: To learn what changed, where there is a log.
        base: The event to complete: run id, base, durability, metadata, whether it is a replay.

    Raises:
        EmptyInputError: There is nothing to start from and nothing to go on with.
        InvalidUpdateError: A ``Command`` that cannot be followed.
        AmbiguousAnswerError: An answer that does not say which of several questions it is for.
        InterruptExpiredError: An answer that comes after its question's time.
        UnknownInterruptError: The same, or an answer to no pending question, where that is asked for.
    """
    command = given if isinstance(given, Command) else None
    answers: dict[str, Any] = {}
    answer: list[Any] = []
    writes: Writes = []
    if command is not None:
        if command.resume is not None:
            answers, answer = _match(state, command.resume, terms)
        writes = command_writes(command)
        if plan.rules is not None:
            plan.rules.given(live.channels, writes)
        if not writes and command.resume is None:
            raise EmptyInputError("Received empty Command input")
    if terms.resumes:
        if terms.now:
            from dashflow.engine.expiry import in_time  # only threads with open questions need it

            answers, answer = in_time(state, answers, answer, terms.now, terms.thread)
        base = msgspec.structs.replace(
            base, kind="resume" if answers or answer else "continue", answers=answers, answer=answer
        )
        return _go_on(plan, live, state, command, writes, terms, changes, base)
    base = msgspec.structs.replace(base, answer=answer)
    return _take_in(plan, live, state, given, terms, changes, base)


def _go_on(
    plan: GraphPlan,
    live: Live,
    state: ThreadState,
    command: Command[Any] | None,
    writes: Writes,
    terms: Terms,
    changes: Changes | None,
    base: RunStarted,
) -> Accepted:
    """From where the thread is, with what a command writes."""
    change = _take(plan, live, changes, [*_loose(state), *writes])
    if not terms.unseen:
        pass_breakpoints(live)
    live.updated = None
    started = msgspec.structs.replace(base, change=change, shown=not terms.unseen)
    if terms.forks:
        started = msgspec.structs.replace(started, kind="fork", step=live.step, change=change or _NOTHING)
        live.step += 1
    if command is not None and command.resume is not None and not _is_map(command.resume):
        writes = [*writes, (RESUME, command.resume)]
    return Accepted(started, writes)


def _take_in(
    plan: GraphPlan,
    live: Live,
    state: ThreadState,
    given: Any,
    terms: Terms,
    changes: Changes | None,
    base: RunStarted,
) -> Accepted:
    """From an input; tasks that were waiting are given up for it."""
    writes = _loose(state)
    if isinstance(given, Command):  # its update is the input
        writes += command_writes(Command(goto=given.goto))
        given = Command(update=given.update) if given.update else None
    if given is not None:
        writes += plan.input_writes(given)
    if plan.rules is not None:
        plan.rules.given(live.channels, writes)
    if not writes:
        if terms.optional:
            return Accepted(msgspec.structs.replace(base, kind="continue"), [])
        raise EmptyInputError(f"Received no input for {plan.input_channel}")
    waiting = next_tasks(plan, live)
    for task in waiting:
        task.writes = () if terms.travels else _input_of(plan, task)
    bumped = apply(plan, live, waiting, writes)
    wrote = [*writes, *(write for task in waiting for write in task.writes or ())]
    change = changes.take(live, bumped, wrote) if changes else None
    ran = [told(task) for task in waiting]
    started = msgspec.structs.replace(
        base, kind="input", step=live.step, change=change, ran=ran, replay=False
    )
    live.step += 1
    return Accepted(started, writes)


def _input_of(plan: GraphPlan, task: Task) -> Writes:
    """What an earlier input writes whose run ended before its first step, by a crash or a newer input: it was
    accepted, so it is part of the state. Nothing else that was waiting is."""
    if task.name != START:
        return []
    return [write for write in task.node.body.writes(task.input) if write[0] not in plan.triggers]


def _loose(state: ThreadState) -> Writes:
    """Writes put in by hand for the checkpoint itself, without answers."""
    return [(chan, value) for chan, value in loose_writes(state) if chan != RESUME]


def _take(plan: GraphPlan, live: Live, changes: Changes | None, writes: Writes) -> Change | None:
    if not writes:
        return None
    bumped = apply(plan, live, (), writes)
    return changes.take(live, bumped, writes) if changes else None


def loose_writes(state: ThreadState) -> Writes:
    """Writes that were put in by hand for the checkpoint itself, and not for a task of the step after it."""
    found = state.loose.get(state.id, {}) if state.id else {}
    return [
        (channel, value)
        for (_, task), writes in found.items()
        if task == NULL_TASK_ID
        for _, channel, value in sorted(writes, key=_index)
    ]


def _index(write: list[Any]) -> int:
    index: int = write[0]
    return index


def _match(state: ThreadState, resume: Any, terms: Terms) -> tuple[dict[str, Any], list[Any]]:
    """Answers by question id; or the answer for whoever asks first."""
    from dashflow.engine.expiry import pending_questions  # only those who answer need it

    pending = pending_questions(state)
    if _is_map(resume):
        if terms.strict:
            _refuse_unknown(resume, [question.id for question in pending])
        answers = dict(resume)
        open_ids = {question.id for question in pending}
        for question in pending:
            if question.first in answers and not open_ids & {question.first, *resume}:
                answers[question.id] = answers.pop(question.first)
        return answers, []
    if len(pending) > 1:
        message = (
            "When there are multiple pending interrupts, you must specify the interrupt id when resuming. "
            f"Pending: {', '.join(question.id for question in pending)}. "
            "Pass Command(resume={id: answer, ...})."
        )
        if terms.strict:
            ids = sorted(question.id for question in pending)
            raise UnknownInterruptError(message, reason="ambiguous", pending_ids=ids)
        raise AmbiguousAnswerError(message, [question.id for question in pending])
    return ({pending[0].id: resume}, []) if pending and not terms.again else ({}, [resume])


def _refuse_unknown(resume: dict[str, Any], pending: Sequence[str]) -> None:
    if not resume:
        raise UnknownInterruptError(
            "The resume map names no interrupt", reason="empty_map", pending_ids=sorted(pending)
        )
    if unknown := sorted(resume.keys() - set(pending)):
        raise UnknownInterruptError(
            f"Unknown or already-consumed interrupt: {unknown[0]}",
            reason="not_pending",
            interrupt_ids=unknown,
            pending_ids=sorted(pending),
        )


def _is_map(resume: Any) -> bool:
    """Whether answers come by question id."""
    return isinstance(resume, dict) and all(_is_interrupt_id(key) for key in resume)


def _is_interrupt_id(key: Any) -> bool:
    return isinstance(key, str) and len(key) == 32 and _HEX.issuperset(key)


def command_writes(command: Command[Any]) -> Writes:
    """What a ``Command`` given as input writes before the first step.

    Raises:
        InvalidUpdateError: It addresses a parent graph; there is none.
        TypeError: ``goto`` is neither a name nor a ``Send``.
    """
    if command.graph == Command.PARENT:
        raise InvalidUpdateError("There is no parent graph")
    goto = command.goto
    targets: Sequence[Any] = goto if isinstance(goto, list | tuple) else [goto] if goto else []
    writes: Writes = []
    for target in targets:
        if isinstance(target, Send):
            writes.append((TASKS, target))
        elif isinstance(target, str):
            if target != END:
                writes.append((f"{BRANCH_TO}{target}", START))
        else:
            raise TypeError(f"In Command.goto, expected Send/str, got {type(target).__name__}")
    if command.update:
        writes.extend(command.update_as_tuples())
    return writes


def told(task: Task) -> Ran:
    """A task that ran, as events tell it."""
    if task.triggers == (f"{BRANCH_TO}{task.name}",):
        return task.name
    return [task.name, list(task.triggers)]
