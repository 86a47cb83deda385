"""StateGraph: the builder. Nodes and edges by name over one state; ``compile()`` makes it runnable.

Checks what it can as soon as it is told; ``validate`` checks the rest. Runs nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Generic, Literal, Self

from dashflow._util.reserved import NS_END, NS_SEP
from dashflow.channels.ephemeral_value import EphemeralValue
from dashflow.channels.last_value import LastValue
from dashflow.constants import END, START
from dashflow.core.plan import UNNAMED
from dashflow.graph.branch import Branch
from dashflow.graph.compiled import CompiledStateGraph, shown
from dashflow.graph.edges import check_edges
from dashflow.graph.policies import NodeDefaults, handler_name, with_defaults
from dashflow.graph.schema import Schema
from dashflow.graph.spec import NodeSpec, Retry, StateNode, node_name
from dashflow.graph.spec import destinations as _destinations
from dashflow.graph.typed import Typable
from dashflow.graph.usable import usable_channels
from dashflow.pregel.action import check_callable, is_runnable
from dashflow.pregel.signature import hints_of, input_schema_of
from dashflow.types.breakpoints import Breakpoints
from dashflow.types.budget import Budget
from dashflow.types.checkpointer import Checkpointer
from dashflow.types.migrations import Migration, Release
from dashflow.types.policies import CachePolicy, TimeoutPolicy, TracePolicy
from dashflow.types.resilience import Bulkhead, CircuitBreaker
from dashflow.typing import ContextT, InputT, OutputT, StateT
from dashflow.warnings import (
    LangGraphDeprecatedSinceV05,
    LangGraphDeprecatedSinceV10,
    renamed,
    warn_of_unknown,
)

__all__ = ("CompiledStateGraph", "StateGraph")


class StateGraph(Typable[StateT], Generic[StateT, ContextT, InputT, OutputT]):
    """A graph whose nodes read and write one shared state.

    A node is a function of the state that returns an update: a dict with some of the state's keys, a
    ``Command``, or None. A key annotated with a reducer, ``Annotated[list, operator.add]``, joins updates
    of one step; any other key takes one update per step.

    Args:
        state_schema: TypedDict, dataclass or pydantic model; or a plain type for a state without keys.
        context_schema: Type of what ``invoke(..., context=...)`` hands to the nodes.
        input_schema: What ``invoke`` takes, when it is not the whole state.
        output_schema: What ``invoke`` returns, when it is not the whole state.
        kwargs: Deprecated names: ``config_schema``, ``input``, ``output``.

    Attributes:
        nodes: By name.
        edges: Pairs of names.
        waiting_edges: Pairs of several names and the one that waits for all of them.
        branches: Conditional edges by source and name.
        channels: An empty channel per key of the state.
        managed: Managed values by key.
        schemas: What is read or written somewhere, taken apart, by class.
        compiled: Whether it was compiled or validated; what is added later does not change that graph.

    Raises:
        ValueError: A reducer that does not take two values; a managed value in the input or output.
    """

    def __init__(
        self,
        state_schema: type[StateT],
        context_schema: type[ContextT] | None = None,
        *,
        input_schema: type[InputT] | None = None,
        output_schema: type[OutputT] | None = None,
        **kwargs: Any,
    ) -> None:
        context_schema = renamed(
            kwargs, "config_schema", "context_schema", context_schema, LangGraphDeprecatedSinceV10
        )
        input_schema = renamed(kwargs, "input", "input_schema", input_schema, LangGraphDeprecatedSinceV05)
        output_schema = renamed(kwargs, "output", "output_schema", output_schema, LangGraphDeprecatedSinceV05)
        warn_of_unknown("StateGraph", kwargs)
        self.nodes: dict[str, NodeSpec[Any, ContextT]] = {}
        self.edges: set[tuple[str, str]] = set()
        self.waiting_edges: set[tuple[tuple[str, ...], str]] = set()
        self.branches: defaultdict[str, dict[str, Branch]] = defaultdict(dict)
        self.schemas: dict[Any, Schema] = {}
        self.channels: dict[str, Any] = {}
        self.managed: dict[str, Any] = {}
        self.state_schema = state_schema
        self.context_schema = context_schema
        self.input_schema: Any = input_schema or state_schema
        self.output_schema: Any = output_schema or state_schema
        self.compiled = False
        self.node_defaults = NodeDefaults()
        self.add_schema(self.state_schema)
        self.add_schema(self.input_schema, allow_managed=False)
        self.add_schema(self.output_schema, allow_managed=False)

    def add_schema(self, kind: Any, *, allow_managed: bool = True) -> Schema:
        """Take the keys of another schema into the state (private state of nodes, input, output).

        Raises:
            ValueError: It declares a key of the state as another kind of channel, or has a managed value
                where that is not allowed.
        """
        known = self.schemas.get(kind)
        if known is not None:
            return known
        schema = Schema(kind)
        if schema.managed and not allow_managed:
            raise ValueError(
                f"Invalid managed channels detected in {getattr(kind, '__name__', '')}: "
                f"{', '.join(schema.managed)}. Managed channels are not permitted in Input/Output schema."
            )
        for name, channel in schema.channels.items():
            mine = self.channels.get(name)
            if mine is None:
                self.channels[name] = channel
            elif mine != channel and not _is_last_value(channel):
                if not _is_last_value(mine):
                    raise ValueError(f"Channel '{name}' already exists with a different type")
                self.channels[name] = channel
        for name, source in schema.managed.items():
            if self.managed.setdefault(name, source) is not source:
                raise ValueError(f"Managed value '{name}' already exists with a different type")
        self.schemas[kind] = schema
        return schema

    def add_node(
        self,
        node: str | StateNode,
        action: StateNode | None = None,
        *,
        defer: bool = False,
        metadata: Mapping[str, Any] | None = None,
        input_schema: Any = None,
        retry_policy: Retry | None = None,
        cache_policy: CachePolicy[Any] | None = None,
        error_handler: StateNode | None = None,
        destinations: Mapping[str, str] | tuple[str, ...] | None = None,
        timeout: float | timedelta | TimeoutPolicy | None = None,
        trace_policy: TracePolicy | None = None,
        isolation: Literal["process"] | None = None,
        circuit_breaker: CircuitBreaker | None = None,
        bulkhead: Bulkhead | None = None,
        **kwargs: Any,
    ) -> Self:
        """Add a node.

        Args:
            node: Its name; or the function, whose name is used.
            action: The function: sync or async, of the state and, by name, of ``config``, ``runtime``,
                ``writer`` and ``store``. LangChain's ``Runnable`` will do, a compiled graph for example.
            defer: Run it only when nothing else is left to run.
            metadata: Plain values, shown in configs and drawings.
            input_schema: What the node reads, when it is not the annotation of its first parameter.
            retry_policy: When and how often to try again; of several, the first that fits an error.
            cache_policy: Keep its results in the graph's cache, and use them again for the same input.
            error_handler: Runs in its place, in the same step and with its input, when it has failed for
                good; a parameter ``error: NodeError`` tells it what happened.
            destinations: Where its commands may go, for drawings.
            timeout: Limits of each attempt of an async node; a number is seconds in all.
            trace_policy: What traces show of the node.
            isolation: ``process``: run the function in a process of its own, which is killed when the run is
                cancelled or its time is over (then ``timeout`` is for sync functions too). It must be found
                by its name in a module, and gets the state and nothing else.
            circuit_breaker: Do not call it for a while when it failed again and again; retries are around
                that.
            bulkhead: At most so many calls of that name at a time in this process.
            kwargs: Deprecated names: ``retry``, ``input``.

        Raises:
            ValueError: The name is taken, reserved, or has ``|`` or ``:`` in it.
            RuntimeError: ``action`` is missing.
            TypeError: ``action`` cannot be called.
        """
        retry_policy = renamed(kwargs, "retry", "retry_policy", retry_policy, LangGraphDeprecatedSinceV05)
        input_schema = renamed(kwargs, "input", "input_schema", input_schema, LangGraphDeprecatedSinceV05)
        warn_of_unknown("add_node", kwargs)
        timeout = TimeoutPolicy.coerce(timeout)
        if not isinstance(node, str):
            node, action = node_name(node), node
        self._warn_if_compiled("a node")
        if action is None:
            raise RuntimeError("Expected a function or Runnable action in add_node.")
        self._check_name(node)
        check_callable(node, action)
        reads = not input_schema and not is_runnable(action)  # what it reads is to be seen from its hints
        hints = hints_of(action) if reads or destinations is None else {}
        schema = input_schema_of(action, hints) if reads else input_schema or None
        if isolation is not None:
            from dashflow.graph.isolation import isolated

            action, timeout = isolated(node, action, isolation, timeout)
        handler = None
        if error_handler is not None:
            handler = self._add_handler(node, error_handler, schema or self.state_schema)
        self.nodes[node] = NodeSpec(
            action,
            metadata,
            schema or self.state_schema,
            retry_policy,
            cache_policy,
            error_handler_node=handler,
            ends=_destinations(hints) if destinations is None else destinations,
            defer=defer,
            timeout=timeout,
            trace_policy=trace_policy,
            circuit_breaker=circuit_breaker,
            bulkhead=bulkhead,
        )
        if schema is not None:
            self.add_schema(schema)
        return self

    def set_node_defaults(
        self,
        *,
        retry_policy: Retry | None = None,
        cache_policy: CachePolicy[Any] | None = None,
        error_handler: StateNode | None = None,
        timeout: float | timedelta | TimeoutPolicy | None = None,
    ) -> Self:
        """Set policies for all nodes that do not say otherwise, added before or after; not in subgraphs.

        Args:
            retry_policy: See ``add_node``; for error handlers too.
            cache_policy: See ``add_node``; not for error handlers.
            error_handler: See ``add_node``; not for error handlers: when one fails, the run fails.
            timeout: See ``add_node``; for error handlers too.

        Raises:
            ValueError: A time limit is not greater than 0.
            TypeError: The handler cannot be called.
        """
        handler: NodeSpec[Any, Any] | None = None
        if error_handler is not None:
            check_callable("error_handler", error_handler)
            handler = NodeSpec(error_handler, None, self.state_schema, is_error_handler=True)
        asked = NodeDefaults(retry_policy, TimeoutPolicy.coerce(timeout), cache_policy, handler)
        given = {name: wish for name, wish in asked._asdict().items() if wish is not None}
        self.node_defaults = self.node_defaults._replace(**given)
        return self

    def _add_handler(self, node: str, handler: StateNode, schema: Any) -> str:
        check_callable("error_handler", handler)
        name = handler_name(node)
        if name in self.nodes:
            raise ValueError(f"Auto-generated error handler node `{name}` already exists.")
        self.nodes[name] = NodeSpec(handler, None, schema, is_error_handler=True)
        return name

    def _warn_if_compiled(self, what: str) -> None:
        if self.compiled:
            import logging

            logging.getLogger(__name__).warning(
                "Adding %s to a graph that has already been compiled. "
                "This will not be reflected in the compiled graph.",
                what,
            )

    def _check_name(self, name: str) -> None:
        if name in self.nodes:
            raise ValueError(f"Node `{name}` already present.")
        if name in (END, START):
            raise ValueError(f"Node `{name}` is reserved.")
        for character in (NS_SEP, NS_END):
            if character in name:
                raise ValueError(
                    f"'{character}' is a reserved character and is not allowed in the node names."
                )

    def add_edge(self, start_key: str | list[str], end_key: str) -> Self:
        """Go from one node to another; from a list of nodes, when all of them are done.

        Raises:
            ValueError: From the end, to the start, or from or to a node that is not there.
        """
        self._warn_if_compiled("an edge")
        starts = (start_key,) if isinstance(start_key, str) else tuple(start_key)
        for start in starts:
            if start == END:
                raise ValueError("END cannot be a start node")
            if not isinstance(start_key, str) and start not in self.nodes:
                raise ValueError(f"Need to add_node `{start}` first")
        if end_key == START:
            raise ValueError("START cannot be an end node")
        if isinstance(start_key, str):
            self.edges.add((start_key, end_key))
        else:
            if end_key != END and end_key not in self.nodes:
                raise ValueError(f"Need to add_node `{end_key}` first")
            self.waiting_edges.add((starts, end_key))
        return self

    def add_conditional_edges(
        self,
        source: str,
        path: Callable[..., Any] | Any,
        path_map: Mapping[Hashable, str] | list[str] | None = None,
    ) -> Self:
        """After ``source``, go where ``path`` says: a name, a ``Send``, a list of these, or END.

        Args:
            source: A node, or START.
            path: A function of the state after the node, sync or async.
            path_map: Where its answers lead, when they are not names of nodes.

        Raises:
            ValueError: ``source`` has a conditional edge of that name already.
        """
        self._warn_if_compiled("an edge")
        branch = Branch(path, path_map)
        mine = self.branches[source]
        if branch.name in mine:
            raise ValueError(f"Branch with name `{branch.name}` already exists for node `{source}`")
        mine[branch.name] = branch
        if branch.input_schema is not None:
            self.add_schema(branch.input_schema)
        return self

    def add_sequence(self, nodes: Sequence[Any]) -> Self:
        """Add nodes (functions, or pairs of name and function) and an edge from each to the next.

        Raises:
            ValueError: The sequence is empty, or a name comes twice.
        """
        if not nodes:
            raise ValueError("Sequence requires at least one node.")
        previous: str | None = None
        for node in nodes:
            name, action = node if isinstance(node, tuple) and len(node) == 2 else (node_name(node), node)
            if name in self.nodes:
                raise ValueError(
                    f"Node names must be unique: node with the name '{name}' already exists. "
                    "If you need to use two different runnables/callables with the same name (for example, "
                    "using `lambda`), please provide them as tuples (name, runnable/callable)."
                )
            self.add_node(name, action)
            if previous is not None:
                self.add_edge(previous, name)
            previous = name
        return self

    def set_entry_point(self, key: str) -> Self:
        """Begin at this node."""
        return self.add_edge(START, key)

    def set_conditional_entry_point(
        self, path: Callable[..., Any] | Any, path_map: Mapping[Hashable, str] | list[str] | None = None
    ) -> Self:
        """Begin where ``path`` says."""
        return self.add_conditional_edges(START, path, path_map)

    def set_finish_point(self, key: str) -> Self:
        """End after this node."""
        return self.add_edge(key, END)

    def validate(self, interrupt: Sequence[str] | None = None) -> Self:
        """Check that every edge and breakpoint names a node, and that there is a way in.

        Raises:
            ValueError: Names what is wrong.
        """
        check_edges(self.nodes, self.edges, self.waiting_edges, self.branches, interrupt or ())
        self.compiled = True
        return self

    def compile(
        self,
        checkpointer: Checkpointer = None,
        *,
        cache: Any = None,
        store: Any = None,
        interrupt_before: Breakpoints | None = None,
        interrupt_after: Breakpoints | None = None,
        debug: bool = False,
        name: str | None = None,
        transformers: Sequence[Callable[[tuple[str, ...]], Any]] | None = None,
        version: str = "",
        pinned: bool = False,
        migrations: Sequence[Migration] = (),
        validate: bool = False,
        budget: Budget | None = None,
        keep_messages_usable: bool | None = None,
    ) -> CompiledStateGraph[StateT, ContextT, InputT, OutputT]:
        """Make the graph runnable.

        Args:
            checkpointer: Where threads are kept; without one nothing is recorded.
            cache: Keeps results of nodes that have a cache policy.
            store: Lent to nodes as ``store``.
            interrupt_before: Stop before these nodes (``"*"``: all) until the run is continued; a dict says
                for each on which condition, a function of the state's values (None: always).
            interrupt_after: The same after them.
            debug: Print the parts of every run.
            name: For traces and for use as a node.
            transformers: For ``stream_events``, see ``dashflow.stream``.
            version: Your name for this version of the graph; it is recorded with every run.
            pinned: Runs that begin with this version go on with it only.
            migrations: How threads of earlier versions go on with this one, in the order of the versions.
            validate: Check types of inputs and updates, too, and not only the rules in ``Annotated``.
            budget: What a run may use before it pauses; ``configurable["budget"]`` of a run's config takes
                its place. As a graph inside another one, what counts is that one's.
            keep_messages_usable: Let ``usable_messages`` be the reducer where ``add_messages`` is; None: only
                in agents of ``langchain.agents``.

        Raises:
            ValueError: See ``validate``; or a migration that cannot be followed.
            TypeError: ``checkpointer`` is no saver.
        """
        groups = (interrupt_before, interrupt_after)
        self.validate([n for group in groups if group != "*" for n in group or () if n != "*"])
        nodes = with_defaults(self.nodes, self.node_defaults)
        handlers = {key: spec.error_handler_node for key, spec in nodes.items() if spec.error_handler_node}
        graph: CompiledStateGraph[StateT, ContextT, InputT, OutputT] = CompiledStateGraph(
            builder=self,
            schema_to_mapper={},
            nodes={},
            channels={
                **usable_channels(self, keep_messages_usable),
                **self.managed,
                START: EphemeralValue(self.input_schema),
            },
            input_channels=START,
            stream_mode="updates",
            output_channels=shown(list(self.schemas[self.output_schema].channels)),
            stream_channels=shown(list(self.channels)),
            checkpointer=checkpointer,
            cache=cache,
            store=store,
            context_schema=self.context_schema,
            interrupt_before_nodes=interrupt_before or (),
            interrupt_after_nodes=interrupt_after or (),
            node_error_handler_map=handlers,
            auto_validate=False,
            debug=debug,
            name=name or UNNAMED,
            stream_transformers=transformers,
        )
        graph.release = Release(version, pinned, tuple(migrations)).check()
        graph.strict = validate
        graph.budget = budget
        self._attach(graph, nodes)
        return graph.validate()

    def _attach(
        self,
        graph: CompiledStateGraph[StateT, ContextT, InputT, OutputT],
        nodes: Mapping[str, NodeSpec[Any, ContextT]],
    ) -> None:
        graph.attach_node(START, None)
        for key, spec in nodes.items():
            graph.attach_node(key, spec)
        for start, end in sorted(self.edges):
            graph.attach_edge(start, end)
        for starts, end in sorted(self.waiting_edges):
            graph.attach_edge(starts, end)
        for start, branches in self.branches.items():
            for label, branch in branches.items():
                graph.attach_branch(start, label, branch)


def _is_last_value(channel: Any) -> bool:
    return type(channel) is LastValue
