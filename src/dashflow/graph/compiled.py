"""CompiledStateGraph: a ``StateGraph`` that can be run. All behaviour is ``Pregel``'s."""

from __future__ import annotations

from typing import Any, Generic

from dashflow.core.plan import GraphPlan
from dashflow.pregel.main import Pregel
from dashflow.typing import ContextT, InputT, OutputT, StateT


class CompiledStateGraph(Pregel, Generic[StateT, ContextT, InputT, OutputT]):
    """What ``StateGraph.compile()`` returns; ``builder`` is the graph it was made from."""

    def __init__(self, builder: Any, plan: GraphPlan, **options: Any) -> None:
        super().__init__(plan, **options)
        self.builder = builder
        self.stream_mode = "updates"
        self.output_mapper = builder.schemas[builder.output_schema].coerce
        self.state_mapper = builder.schemas[builder.state_schema].coerce
        registry = getattr(self.checkpointer, "registry", None)
        if registry is not None:
            for schema in builder.schemas:
                registry.register_schema(schema)
