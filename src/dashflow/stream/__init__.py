"""Event streaming: what a run does, as projections that whoever reads them drives.

``graph.stream_events(..., version="v3")`` and ``astream_events`` give a run stream; transformers given to
them or to ``compile(transformers=...)`` add projections.
"""

from dashflow.stream.event import ProtocolEvent
from dashflow.stream.mux import StreamMux, TransformerFactory
from dashflow.stream.run_stream import (
    AsyncGraphRunStream,
    AsyncSubgraphRunStream,
    GraphRunStream,
    SubgraphRunStream,
)
from dashflow.stream.stream_channel import StreamChannel
from dashflow.stream.transformer import StreamTransformer
from dashflow.stream.transformers import (
    CheckpointsTransformer,
    CustomTransformer,
    DebugTransformer,
    LifecyclePayload,
    LifecycleTransformer,
    SubgraphStatus,
    SubgraphTransformer,
    TasksTransformer,
    UpdatesTransformer,
)

__all__ = (
    "AsyncGraphRunStream",
    "AsyncSubgraphRunStream",
    "CheckpointsTransformer",
    "CustomTransformer",
    "DebugTransformer",
    "GraphRunStream",
    "LifecyclePayload",
    "LifecycleTransformer",
    "ProtocolEvent",
    "StreamChannel",
    "StreamMux",
    "StreamTransformer",
    "SubgraphRunStream",
    "SubgraphStatus",
    "SubgraphTransformer",
    "TasksTransformer",
    "TransformerFactory",
    "UpdatesTransformer",
)
