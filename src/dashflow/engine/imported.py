"""Work that was put in with a checkpoint: results, questions and answers of tasks, by the tasks' ids.

A saver's ``put_writes`` names tasks by LangGraph's ids; a run knows its tasks by keys. Pure but for asking
the graph's readers which tasks are due.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from dashflow._util.ids import interrupt_id
from dashflow._util.reserved import ERROR, ERROR_SOURCE_NODE, INTERRUPT, NO_WRITES, NULL_TASK_ID, RESUME
from dashflow.core.events import Question
from dashflow.core.fold import ThreadState
from dashflow.core.superstep import Task
from dashflow.engine.task import Scope


def adopt(
    state: ThreadState, name: str, due: Sequence[Task], scope_of: Callable[[Task], Scope]
) -> ThreadState:
    """The state with what was put in for the tasks that are due.

    Args:
        state: Where a run goes on, or what somebody looks at.
        name: The checkpoint's id.
        due: Tasks of the step after it.
        scope_of: A task's scope, which knows its id.
    """
    given = _by_task(state, name)
    if not given:
        return state
    done, questions, errors = dict(state.done), dict(state.questions), dict(state.errors)
    answers, names = dict(state.answers), dict(state.names)
    answer = [value for _, channel, value in given.pop(NULL_TASK_ID, []) if channel == RESUME]
    if any(channel == RESUME for writes in given.values() for _, channel, _ in writes):
        answer = []  # it was given to a task, which took it
    for task in due:
        scope = scope_of(task)
        writes = given.get(scope.id, [])
        if task.key in done or not writes:
            continue
        names[task.key] = task.name
        special = {channel: value for index, channel, value in writes if index < 0}
        for number, value in enumerate(special.get(RESUME, ())):
            answers[interrupt_id(scope.namespace, number)] = value
        if _is_done(writes):  # whatever it asked before, it came to its end
            done[task.key] = [(ch, v) for index, ch, v in sorted(writes, key=_index) if _counts(index, ch)]
        if INTERRUPT in special:
            questions[task.key] = _questions(special[INTERRUPT], {} if task.key in done else answers)
        elif ERROR in special and task.key not in done:
            errors[task.key] = special[ERROR]
    taken_over = {*state.handled, *(task.key for task in due if _handled(given.get(scope_of(task).id, ())))}
    return msgspec.structs.replace(
        state,
        done=done,
        questions=questions,
        errors=errors,
        handled={key: errors[key] for key in errors if key in taken_over},
        answers=answers,
        answer=state.answer or answer[-1:],
        names=names,
    )


def results(state: ThreadState, name: str) -> dict[str, list[tuple[str, Any]]]:
    """What tasks of the step after a checkpoint wrote, by their ids: also those that a task called.

    Args:
        state: Where a run goes on.
        name: The checkpoint's id.
    """
    return {
        task_id: [(ch, v) for index, ch, v in sorted(writes, key=_index) if _counts(index, ch)]
        for task_id, writes in _by_task(state, name).items()
        if _is_done(writes)
    }


def _by_task(state: ThreadState, name: str) -> dict[str, list[list[Any]]]:
    """What was put in with a checkpoint, by the ids of tasks."""
    found: dict[str, list[list[Any]]] = {}
    for (_, task_id), writes in state.loose.get(name, {}).items():
        found.setdefault(task_id, []).extend(writes)
    return found


def _index(write: list[Any]) -> int:
    index: int = write[0]
    return index


def _is_done(writes: Sequence[list[Any]]) -> bool:
    """Whether a task came to its end by itself."""
    return any(index >= 0 for index, _, _ in writes) and not _handled(writes)


def _handled(writes: Iterable[Sequence[Any]]) -> bool:
    """Whether a handler took over from a task that failed."""
    return any(channel == ERROR_SOURCE_NODE for _, channel, _ in writes)


def _counts(index: int, channel: str) -> bool:
    return index >= 0 and channel != NO_WRITES


def _questions(asked: Iterable[Any], answers: dict[str, Any]) -> list[Question]:
    """Those that are not answered yet."""
    return [
        Question(one.id, one.value, one.response_schema)
        for one in asked
        if hasattr(one, "response_schema") and one.id not in answers
    ]
