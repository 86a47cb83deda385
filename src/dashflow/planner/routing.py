"""Routing: which executor gets a task. By kind; knows neither the log nor hosts."""

from __future__ import annotations

from collections.abc import Iterable

from dashflow.planner.core.task import TaskKind
from dashflow.planner.executors.base import (
    Completed,
    Execution,
    Executor,
    Failed,
    NeedsClarification,
    Outcome,
)


class Routing:
    """A table kind -> executor.

    Args:
        executors: Where two take the same kind, the later one gets it, so that own executors can be
            put behind the default ones.
    """

    def __init__(self, executors: Iterable[Executor]) -> None:
        self._table: dict[TaskKind, Executor] = {
            kind: executor for executor in executors for kind in sorted(executor.kinds)
        }

    @property
    def kinds(self) -> frozenset[TaskKind]:
        """Kinds of tasks that somebody here takes."""
        return frozenset(self._table)

    def execute(self, execution: Execution) -> Outcome:
        """Have the task done. Raises what the executor raises."""
        kind = execution.task.kind
        executor = self._table.get(kind)
        if executor is None:
            known = ", ".join(sorted(one.value for one in self._table)) or "none"
            return Failed(
                f"No executor takes tasks of kind {kind.value!r} (there are executors for: {known}). "
                "Install or pass one, or say the goal without this step."
            )
        outcome = executor.execute(execution)
        if not isinstance(outcome, Completed | Failed | NeedsClarification):
            return Failed(
                f"{type(executor).__name__} returned {type(outcome).__name__} instead of "
                "Completed, Failed or NeedsClarification."
            )
        return outcome
