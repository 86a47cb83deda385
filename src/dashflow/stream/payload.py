"""What is said of subgraphs while they run. Types only."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypeAlias

from typing_extensions import TypedDict

__all__ = ("LifecyclePayload", "SubgraphStatus")

SubgraphStatus: TypeAlias = Literal["started", "completed", "failed", "interrupted", "drained"]
"""What became of a subgraph."""


class LifecyclePayload(TypedDict, total=False):
    """A subgraph started or ended; ``cause`` is the tool call that it was started by."""

    event: SubgraphStatus
    namespace: list[str]
    graph_name: NotRequired[str]
    trigger_call_id: NotRequired[str]
    cause: NotRequired[dict[str, Any]]
    error: NotRequired[str]
