"""How far plans are, from the log alone: a projection with a row per plan.

The row is the plan's state as ``fold`` makes it, without results and context: what a list shows, and
nothing that grows with what tasks found.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from dashflow.log.base import Record
from dashflow.log.projections import Projection, View
from dashflow.planner.core import codec
from dashflow.planner.core.events import ContextCompacted, TaskStatusUpdated
from dashflow.planner.core.fold import fold
from dashflow.planner.core.state import PlannerState


class PlanOverview(Projection):
    """Rows are ``PlannerState`` without results and context, by run."""

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
            event = msgspec.structs.replace(event, result=None)
        elif isinstance(event, ContextCompacted):
            event = msgspec.structs.replace(event, summary="", dropped=())
        return {run: fold(state, event)}

    def dump(self, value: Any) -> bytes:
        """See ``Projection.dump``."""
        return codec.state_bytes(value)

    def load(self, data: bytes) -> PlannerState:
        """See ``Projection.load``."""
        return self._decoder.decode(data)
