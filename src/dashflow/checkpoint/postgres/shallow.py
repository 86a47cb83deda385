"""Savers that keep only the latest checkpoint of a thread. LangGraph's, deprecated there and here.

``durability="exit"`` on the other savers does the same for less: a run then keeps only its end.
"""

from __future__ import annotations

import warnings
from typing import Any

from dashflow._util.langchain import RunnableConfig
from dashflow.checkpoint.base.checkpoint import ChannelVersions, Checkpoint, CheckpointMetadata
from dashflow.checkpoint.postgres.async_saver import AsyncPostgresSaver
from dashflow.checkpoint.postgres.base import BasePostgresSaver
from dashflow.checkpoint.postgres.saver import PostgresSaver
from dashflow.checkpoint.thread import stream_of
from dashflow.checkpoint.view import places

__all__ = ("AsyncShallowPostgresSaver", "ShallowPostgresSaver")


class _Shallow(BasePostgresSaver):
    """Forgets what a new checkpoint follows. Graphs run through its methods: it has no ``drives_log``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        name = type(self).__name__
        warnings.warn(
            f"{name} is deprecated. Use {name.replace('Shallow', '')} instead, and invoke the graph with "
            "`graph.invoke(..., durability='exit')`.",
            DeprecationWarning,
            stacklevel=2,
        )
        super().__init__(*args, **kwargs)

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Put a checkpoint in, and forget those before it in its thread and namespace."""
        put = super().put(config, checkpoint, metadata, new_versions)
        place = put["configurable"]
        stream = stream_of(str(place["thread_id"]), place.get("checkpoint_ns") or "")
        self.forget(stream, [*places(self.reader, stream)][1:])
        return put


class ShallowPostgresSaver(_Shallow, PostgresSaver):
    """``PostgresSaver`` that keeps only the latest checkpoint of a thread."""


class AsyncShallowPostgresSaver(_Shallow, AsyncPostgresSaver):
    """``AsyncPostgresSaver`` that keeps only the latest checkpoint of a thread."""
