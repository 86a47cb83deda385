"""How far plans are, from the log alone: a projection with a row per plan.

The row is the plan's state as ``fold`` makes it, without words, results and context: what a list shows, and
nothing that grows with what tasks found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
from msgspec.structs import replace

from dashflow.hitl.core.terms import Terms
from dashflow.log.base import Record
from dashflow.log.projections import Projection, View
from dashflow.planner.core import codec
from dashflow.planner.core.events import ContextCompacted, TasksPlanned, TaskStatusUpdated
from dashflow.planner.core.fold import fold
from dashflow.planner.core.state import PlannerState
from dashflow.planner.core.task import Task


class PlanOverview(Projection):
    """Rows are ``PlannerState`` without words, results and context, by run."""

    name: ClassVar[str] = "plans"
    category: ClassVar[str | None] = codec.CATEGORY
    types: ClassVar[tuple[str, ...]] = tuple(sorted(codec.EVENT_TYPES))
    frozen: ClassVar[bool] = True
    version: ClassVar[int] = 2
    _decoder = msgspec.msgpack.Decoder(PlannerState)

    def changes(self, record: Record, view: View) -> Mapping[str, Any]:
        """See ``Projection.changes``."""
        run = codec.run_of(record.stream)
        state = view.get(run, PlannerState())
        event = codec.decode(record)
        if isinstance(event, TaskStatusUpdated):
            event = replace(event, result=None)
        elif isinstance(event, ContextCompacted):
            event = replace(event, summary="", dropped=())
        elif isinstance(event, TasksPlanned):
            event = replace(event, tasks=tuple(map(_outline, event.tasks)))
        return {run: fold(state, event)}

    def dump(self, value: Any) -> bytes:
        """See ``Projection.dump``."""
        data = codec.state_bytes(value)
        self._last = (data, value)
        return data

    def load(self, data: bytes) -> PlannerState:
        """See ``Projection.load``. What was dumped last is at hand: a long plan goes through many batches."""
        if self._last is not None and self._last[0] == data:
            return self._last[1]
        return self._decoder.decode(data)

    _last: tuple[bytes, PlannerState] | None = None


def _outline(task: Task) -> Task:
    """What of a task tells how far it is."""
    approval = None if task.approval is None else Terms(())
    return Task(
        task.id,
        "",
        task.kind,
        dependencies=task.dependencies,
        optional_dependencies=task.optional_dependencies,
        approval=approval,
    )
