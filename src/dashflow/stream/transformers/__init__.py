"""The built-in transformers: values, messages, lifecycle, subgraphs in every run; the others on demand."""

from __future__ import annotations

from dashflow.stream.payload import LifecyclePayload, SubgraphStatus
from dashflow.stream.transformers.lifecycle import LifecycleTransformer
from dashflow.stream.transformers.messages import MessagesTransformer
from dashflow.stream.transformers.modes import (
    CheckpointsTransformer,
    CustomTransformer,
    DebugTransformer,
    TasksTransformer,
    UpdatesTransformer,
    ValuesTransformer,
)
from dashflow.stream.transformers.subgraphs import SubgraphTransformer
from dashflow.stream.transformers.tracker import SubgraphTracker

__all__ = (
    "CheckpointsTransformer",
    "CustomTransformer",
    "DebugTransformer",
    "LifecyclePayload",
    "LifecycleTransformer",
    "MessagesTransformer",
    "SubgraphStatus",
    "SubgraphTracker",
    "SubgraphTransformer",
    "TasksTransformer",
    "UpdatesTransformer",
    "ValuesTransformer",
)

_TasksLifecycleBase = SubgraphTracker
"""The name under which other packages inherit from it."""
