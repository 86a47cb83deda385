"""What somebody approves when a task of a plan needs it: its words, parameters, and what it builds on. Pure.

Results of the tasks before it count by their hash: another result is another thing to approve.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from dashflow.errors import PlanError, UsageError
from dashflow.hitl.core import codec

if TYPE_CHECKING:
    from dashflow.planner.core.state import PlannerState
    from dashflow.planner.core.task import Task


def approval_id(run: str, task: str) -> str:
    """Id of the approval of a task."""
    return f"{run}.{task}"


def subject(state: PlannerState, task: Task) -> str:
    """What is to be approved, in a line."""
    return f"{task.id}: {' '.join(task.description.split())}"


def payload(state: PlannerState, task: Task) -> dict[str, Any]:
    """The very thing that is to be approved."""
    results = {one: state.tasks[one].result for one in (*task.dependencies, *task.optional_dependencies)}
    return {
        "run": state.run,
        "task": task.id,
        "kind": task.kind.value,
        "description": task.description,
        "params": codec.plain(task.params),
        "attachments": [[one.kind, one.value] for one in task.attachments],
        "inputs": {one: codec.hash_of(one, result) for one, result in results.items() if result is not None},
    }


def digest(state: PlannerState, task: Task) -> str:
    """Hash of it, which votes name."""
    return codec.hash_of(subject(state, task), payload(state, task))


def check_terms(tasks: Iterable[Task]) -> None:
    """Whether every task that needs an approval can get one.

    Raises:
        PlanError: Its terms cannot be.
    """
    for task in tasks:
        if task.approval is not None:
            try:
                task.approval.check()
            except UsageError as error:
                raise PlanError(f"Task {task.id!r} cannot be approved. {error}") from error
