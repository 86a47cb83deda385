"""The executor's port: what it is given, what it may answer. Knows nothing of the log or of hosts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import msgspec

from dashflow.planner.core.task import Task, TaskKind


class Execution(msgspec.Struct, frozen=True):
    """One attempt at one task.

    Attributes:
        run: Id of the plan's run.
        task: The task, as dispatched.
        folder: The folder looked at, absolute; None when the goal has none.
        out: Folder that receives what the run produces, absolute; created by who writes to it.
        inputs: Results of the tasks it depends on, by task id (failed optional ones are absent).
        tasks: All tasks of the plan by id, for a report that says what was and was not done.
        goal: The goal's words.
        idempotency_key: The same for every attempt at this task; hand it to receivers that deduplicate.
        progress: Call with a short text to show how far the work is; never fails.
        cancelled: Returns True when the result is no longer wanted; look at it in long loops.
    """

    run: str
    task: Task
    folder: Path | None
    out: Path
    inputs: Mapping[str, dict[str, Any]]
    tasks: Mapping[str, Task]
    goal: str
    idempotency_key: str
    progress: Callable[[str], None]
    cancelled: Callable[[], bool]


class Completed(msgspec.Struct, frozen=True):
    """The task is done; ``result`` is plain data (str, numbers, lists, dicts)."""

    result: dict[str, Any]


class Failed(msgspec.Struct, frozen=True):
    """The task could not be done; ``error`` says what, where and what to do."""

    error: str


class NeedsClarification(msgspec.Struct, frozen=True):
    """The task cannot go on without an answer; it runs again with ``task.answer`` set."""

    question: str


Outcome = Completed | Failed | NeedsClarification


class Executor(Protocol):
    """Does tasks of the kinds it names. ``execute`` blocks; it runs on a thread of the host's."""

    @property
    def kinds(self) -> frozenset[TaskKind]:
        """Kinds of tasks this executor takes."""
        ...

    def execute(self, execution: Execution) -> Outcome:
        """Do the task. An exception counts as ``Failed`` with its text."""
        ...
