"""CompiledStateGraph: a ``StateGraph`` that can be run. All behaviour is ``Pregel``'s.

The channel names are LangGraph's, since checkpoints show them: a channel per state key, ``__start__`` for
the input, ``branch:to:<node>`` for every node, ``join:<a>+<b>:<node>`` for an edge from several nodes,
``__pregel_tasks`` for packets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar, Self

from dashflow._util.reserved import branch_to
from dashflow.channels.ephemeral_value import EphemeralValue
from dashflow.channels.last_value import LastValueAfterFinish
from dashflow.channels.named_barrier_value import NamedBarrierValue, NamedBarrierValueAfterFinish
from dashflow.constants import END, START, TAG_HIDDEN
from dashflow.graph.branch import Branch, BranchRoute
from dashflow.graph.message import add_messages
from dashflow.graph.message_ids import stamps
from dashflow.graph.node import NodeBody, reader
from dashflow.graph.rules import has_rules, rules_of
from dashflow.graph.schema import ROOT, Schema
from dashflow.graph.spec import NodeSpec
from dashflow.graph.usable import usable_messages
from dashflow.pregel.layout import PURE_REDUCERS
from dashflow.pregel.main import Pregel
from dashflow.pregel.node import PregelNode
from dashflow.typing import ContextT, InputT, OutputT, StateT


def shown(keys: Sequence[str]) -> list[str] | str:
    """The keys of a state as ``Pregel`` wants them: one name for a state without keys."""
    return ROOT if list(keys) == [ROOT] else list(keys)


class CompiledStateGraph(Pregel[StateT, ContextT, InputT, OutputT]):
    """What ``StateGraph.compile()`` returns.

    Args:
        builder: The graph it is made from.
        schema_to_mapper: For each schema, what makes an object of it; filled as nodes are attached.
        kwargs: See ``Pregel``.
    """

    __module__ = "dashflow.graph.state"  # where users know it from; drawings name it

    _pure_reducers: ClassVar[tuple[Callable[..., Any], ...]] = (*PURE_REDUCERS, add_messages, usable_messages)

    def __init__(self, *, builder: Any, schema_to_mapper: dict[Any, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.builder = builder
        self.schema_to_mapper = schema_to_mapper
        self.output_mapper = builder.schemas[builder.output_schema].coerce
        self.state_mapper = builder.schemas[builder.state_schema].coerce
        self.strict = False
        self._look_at_keys()
        self._introduce()

    def _kinds(self) -> Iterable[Any]:
        """See ``GraphShape._kinds``."""
        return [*self.builder.schemas]

    def _look_at_keys(self) -> None:
        """Find out once for all nodes what they may write, and what needs stamps."""
        self._keys = frozenset((*self.builder.channels, *self.builder.managed))
        self._stamps = stamps(self.builder.channels)

    def get_input_jsonschema(self, config: Any = None) -> dict[str, Any]:
        """JSON Schema of its input."""
        return self._json_schema(self.builder.input_schema, "Input")

    def get_output_jsonschema(self, config: Any = None) -> dict[str, Any]:
        """JSON Schema of its output."""
        return self._json_schema(self.builder.output_schema, "Output")

    def get_state_jsonschema(self, config: Any = None) -> dict[str, Any]:
        """JSON Schema of its whole state."""
        return self._json_schema(self.builder.state_schema, "State")

    def _json_schema(self, kind: Any, suffix: str) -> dict[str, Any]:
        from dashflow.pregel.schemas import state_json_schema

        builder = self.builder
        return state_json_schema(kind, list(builder.schemas[kind]), builder.channels, self.get_name(suffix))

    def attach_node(self, key: str, node: NodeSpec[Any, ContextT] | None) -> None:
        """Add a node; with ``START`` and None, the one that takes the input.

        Raises:
            RuntimeError: Another name without a node.
        """
        self._forget_plan()
        builder, schemas = self.builder, self.builder.schemas
        if len(self._keys) != len(builder.channels) + len(builder.managed):  # it got more keys since
            self._look_at_keys()
        if key == START:
            schema: Schema = schemas[builder.input_schema]
            body = NodeBody(START, None, schema.channels, schema.aliases, self._stamps)
            self.nodes[START] = PregelNode(channels=START, triggers=[START], tags=[TAG_HIDDEN], body=body)
            return
        if node is None:
            raise RuntimeError(f"There is no node to attach as {key!r}.")
        schema = schemas[node.input_schema]
        self.schema_to_mapper.setdefault(node.input_schema, schema.coerce)
        self.channels[branch_to(key)] = (
            LastValueAfterFinish(Any) if node.defer else EphemeralValue(Any, guard=False)
        )
        self.nodes[key] = PregelNode(
            channels=ROOT if schema.is_root else list(schema),
            triggers=[branch_to(key)],
            mapper=schema.coerce,
            bound=node.action,
            body=NodeBody(key, node.action, self._keys, stamps=self._stamps),
            read=reader(schema),
            metadata=node.metadata,
            retry_policy=node.retry_policy,
            cache_policy=node.cache_policy,
            is_error_handler=node.is_error_handler,
            error_handler_node=node.error_handler_node,
            timeout=node.timeout,
            trace_policy=node.trace_policy,
            circuit_breaker=node.circuit_breaker,
            bulkhead=node.bulkhead,
        )

    def attach_edge(self, starts: str | Sequence[str], end: str) -> None:
        """Add an edge from a node, or from several that are waited for; edges to the end need nothing."""
        self._forget_plan()
        if end == END:
            return
        if isinstance(starts, str):
            self.nodes[starts].body.static.append((branch_to(end), None))
            return
        join = f"join:{'+'.join(starts)}:{end}"
        barrier = NamedBarrierValueAfterFinish if self.builder.nodes[end].defer else NamedBarrierValue
        self.channels[join] = barrier(str, set(starts))
        self.nodes[end].triggers.append(join)
        for start in starts:
            self.nodes[start].body.static.append((join, start))

    def attach_branch(self, start: str, name: str, branch: Branch, *, with_reader: bool = True) -> None:
        """Add a conditional edge; without a reader its path gets what the node returned."""
        self._forget_plan()
        builder = self.builder
        kind = branch.input_schema
        if kind is None:
            kind = builder.nodes[start].input_schema if start in builder.nodes else builder.state_schema
        schema = builder.schemas[kind]
        read = reader(schema) if with_reader else None
        self.nodes[start].body.routes.append(BranchRoute(branch, schema, read))

    def _rules(self) -> Any:
        """See ``GraphShape._rules``."""
        if not self.strict and not has_rules(self.builder.schemas):
            return None
        return rules_of(self.builder, self.nodes[START].body.writes, strict=self.strict)

    def _follows(self) -> dict[str, list[str]]:
        follows: dict[str, list[str]] = {}
        for start, end in sorted(self.builder.edges):
            follows.setdefault(start, []).append(end)
        return follows

    def validate(self) -> Self:
        """See ``Pregel.validate``."""
        start = self.nodes[START].body
        start.inline = not start.routes
        return super().validate()
