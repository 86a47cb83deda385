"""StateGraph: the builder. Nodes and edges by name over one state; ``compile()`` makes it runnable.

Checks what it can as soon as it is told; ``validate`` checks the rest. Runs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Generic, Literal, Self, get_args, get_origin

from dashflow._util.reserved import NS_END, NS_SEP, RESERVED
from dashflow.channels.last_value import LastValue
from dashflow.constants import END, START
from dashflow.graph.branch import Branch
from dashflow.graph.compiled import CompiledStateGraph
from dashflow.graph.layout import plan_of
from dashflow.graph.policies import DEFAULT_HANDLER, HANDLER, NOTHING, Retry, Wishes, handler_name, wishes
from dashflow.graph.schema import Schema
from dashflow.graph.signature import first_parameter_hint, hints_of
from dashflow.types.checkpointer import Checkpointer
from dashflow.types.commands import Command
from dashflow.types.policies import CachePolicy, TimeoutPolicy, TracePolicy
from dashflow.typing import ContextT, InputT, OutputT, StateT

__all__ = ("StateGraph",)


class NodeSpec:
    """A node as the builder keeps it."""

    __slots__ = ("action", "defer", "ends", "metadata", "schema", "wishes")

    def __init__(
        self,
        action: Any,
        schema: Schema,
        *,
        ends: Mapping[str, str] | tuple[str, ...] = (),
        metadata: Mapping[str, Any] | None = None,
        wishes: Wishes = NOTHING,
        defer: bool = False,
    ) -> None:
        self.action = action
        self.schema = schema
        self.ends = ends
        self.metadata = metadata
        self.wishes = wishes
        self.defer = defer


class StateGraph(Generic[StateT, ContextT, InputT, OutputT]):
    """A graph whose nodes read and write one shared state.

    A node is a function of the state that returns an update: a dict with some of the state's keys, a
    ``Command``, or None. A key annotated with a reducer, ``Annotated[list, operator.add]``, joins updates
    of one step; any other key takes one update per step.

    Args:
        state_schema: TypedDict, dataclass or pydantic model; or a plain type for a state without keys.
        context_schema: Type of what ``invoke(..., context=...)`` hands to the nodes.
        input_schema: What ``invoke`` takes, when it is not the whole state.
        output_schema: What ``invoke`` returns, when it is not the whole state.

    Raises:
        ValueError: A reducer that does not take two values.
    """

    def __init__(
        self,
        state_schema: type[StateT],
        context_schema: type[ContextT] | None = None,
        *,
        input_schema: type[InputT] | None = None,
        output_schema: type[OutputT] | None = None,
    ) -> None:
        self.nodes: dict[str, NodeSpec] = {}
        self.node_defaults = NOTHING
        self.default_handler: NodeSpec | None = None
        self.edges: set[tuple[str, str]] = set()
        self.waiting_edges: set[tuple[tuple[str, ...], str]] = set()
        self.branches: dict[str, dict[str, Branch]] = {}
        self.schemas: dict[Any, Schema] = {}
        self.channels: dict[str, Any] = {}
        self.managed: dict[str, Any] = {}
        self.state_schema = state_schema
        self.context_schema = context_schema
        self.input_schema: Any = input_schema or state_schema
        self.output_schema: Any = output_schema or state_schema
        for kind in (self.state_schema, self.input_schema, self.output_schema):
            self.add_schema(kind)

    def add_schema(self, kind: Any) -> Schema:
        """Take the keys of another schema into the state (private state of nodes, input, output).

        Raises:
            ValueError: It declares a key of the state as another kind of channel.
        """
        known = self.schemas.get(kind)
        if known is not None:
            return known
        schema = Schema(kind)
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
        node: Any,
        action: Any = None,
        *,
        defer: bool = False,
        metadata: Mapping[str, Any] | None = None,
        input_schema: Any = None,
        retry_policy: Retry | None = None,
        cache_policy: CachePolicy[Any] | None = None,
        error_handler: Any = None,
        destinations: Mapping[str, str] | tuple[str, ...] | None = None,
        timeout: float | timedelta | TimeoutPolicy | None = None,
        trace_policy: TracePolicy | None = None,
    ) -> Self:
        """Add a node.

        Args:
            node: Its name; or the function, whose name is used.
            action: The function: sync or async, of the state and, by name, of ``config``, ``runtime``,
                ``writer`` and ``store``. Anything with ``invoke`` will do, a compiled graph for example.
            defer: Run it only when nothing else is left to run.
            metadata: Plain values, shown in configs and drawings.
            input_schema: What the node reads, when it is not the annotation of its first parameter.
            retry_policy: When and how often to try again; of several, the first that fits an error.
            cache_policy: Keep its results in the graph's cache, and use them again for the same input.
            error_handler: Runs in its place, in the same step and with its input, when it has failed for
                good; a parameter ``error: NodeError`` tells it what happened.
            destinations: Where its commands may go, for drawings.
            timeout: Limits of each attempt of an async node; a number is seconds in all.
            trace_policy: What traces show of it.

        Raises:
            ValueError: The name is taken, reserved, or has ``|`` or ``:`` in it.
            RuntimeError: ``action`` is missing.
            TypeError: ``action`` cannot be called.
        """
        if not isinstance(node, str):
            action = node
            node = getattr(action, "__name__", None) or getattr(action, "name", None) or type(action).__name__
        elif action is None:
            raise RuntimeError("Expected a function or Runnable action in add_node.")
        if not callable(action) and not hasattr(action, "invoke"):
            raise TypeError(
                f"Node {node!r} must be a function or have invoke(); {type(action).__name__} is neither."
            )
        self._check_name(node)
        schema = self.add_schema(input_schema or self._input_of(action))
        asked = wishes(retry=retry_policy, timeout=timeout, cache=cache_policy, trace=trace_policy)
        if error_handler is not None:
            handler = handler_name(node)
            if handler in self.nodes:
                raise ValueError(f"Auto-generated error handler node `{handler}` already exists.")
            self.nodes[handler] = NodeSpec(error_handler, schema, wishes=HANDLER)
            asked = asked._replace(handler=handler)
        self.nodes[node] = NodeSpec(
            action,
            schema,
            ends=_destinations(action) if destinations is None else destinations,
            metadata=metadata,
            wishes=asked,
            defer=defer,
        )
        return self

    def set_node_defaults(
        self,
        *,
        retry_policy: Retry | None = None,
        cache_policy: CachePolicy[Any] | None = None,
        error_handler: Any = None,
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
        """
        asked = wishes(retry=retry_policy, timeout=timeout, cache=cache_policy)
        if error_handler is not None:
            asked = asked._replace(handler=DEFAULT_HANDLER)
            schema = self.add_schema(self.state_schema)
            self.default_handler = NodeSpec(error_handler, schema, wishes=HANDLER)
        given = {name: wish for name, wish in asked._asdict().items() if wish}
        self.node_defaults = self.node_defaults._replace(**given)
        return self

    def _check_name(self, name: str) -> None:
        if name in self.nodes:
            raise ValueError(f"Node `{name}` already present.")
        if name in (END, START) or name in RESERVED:
            raise ValueError(f"Node `{name}` is reserved.")
        for character in (NS_SEP, NS_END):
            if character in name:
                raise ValueError(
                    f"'{character}' is a reserved character and is not allowed in the node names."
                )

    def _input_of(self, action: Any) -> Any:
        """The schema that a node's first parameter names, if it is one; else the state's."""
        if hasattr(action, "invoke"):
            return self.state_schema
        hint = first_parameter_hint(action)
        if isinstance(hint, type) and getattr(hint, "__annotations__", None):
            return hint
        return self.state_schema

    def add_edge(self, start_key: str | list[str], end_key: str) -> Self:
        """Go from one node to another; from a list of nodes, when all of them are done.

        Raises:
            ValueError: From the end, to the start, or from or to a node that is not there.
        """
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
        branch = Branch(path, path_map)
        mine = self.branches.setdefault(source, {})
        if branch.name in mine:
            raise ValueError(f"Branch with name `{branch.name}` already exists for node `{source}`")
        mine[branch.name] = branch
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
            known = set(self.nodes)
            if isinstance(node, tuple):
                self.add_node(node[0], node[1])
            else:
                self.add_node(node)
            (name,) = set(self.nodes) - known
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
        sources = {start for start, _ in self.edges} | set(self.branches)
        sources.update(start for starts, _ in self.waiting_edges for start in starts)
        for source in sorted(sources):
            if source not in self.nodes and source != START:
                raise ValueError(f"Found edge starting at unknown node '{source}'")
        if START not in sources:
            raise ValueError(
                "Graph must have an entrypoint: add at least one edge from START to another node"
            )
        targets = {end for _, end in self.edges} | {end for _, end in self.waiting_edges}
        for target in sorted(targets):
            if target not in self.nodes and target != END:
                raise ValueError(f"Found edge ending at unknown node `{target}`")
        self._validate_branches()
        for node in interrupt or ():
            if node not in self.nodes:
                raise ValueError(f"Interrupt node `{node}` not found")
        return self

    def _validate_branches(self) -> None:
        for start, branches in self.branches.items():
            for branch in branches.values():
                for end in (branch.ends or {}).values():
                    if end not in self.nodes and end != END:
                        raise ValueError(
                            f"At '{start}' node, '{branch.name}' branch found unknown target '{end}'"
                        )

    def compile(
        self,
        checkpointer: Checkpointer = None,
        *,
        cache: Any = None,
        store: Any = None,
        interrupt_before: Literal["*"] | list[str] | None = None,
        interrupt_after: Literal["*"] | list[str] | None = None,
        debug: bool = False,
        name: str | None = None,
    ) -> CompiledStateGraph[StateT, ContextT, InputT, OutputT]:
        """Make the graph runnable.

        Args:
            checkpointer: Where threads are kept; without one nothing is recorded.
            cache: A ``BaseCache`` for the results of nodes that have a cache policy.
            store: Lent to nodes as ``store``.
            interrupt_before: Stop before these nodes (``"*"``: all) until the run is continued.
            interrupt_after: The same after them.
            debug: Print the parts of every run.
            name: For traces and for use as a node.

        Raises:
            ValueError: See ``validate``.
            TypeError: ``checkpointer`` is no saver.
        """
        named = [
            n for group in (interrupt_before, interrupt_after) if group not in (None, "*") for n in group
        ]
        self.validate(named)
        return CompiledStateGraph(
            self,
            plan_of(self, name or "LangGraph"),
            checkpointer=checkpointer,
            store=store,
            cache=cache,
            context_schema=self.context_schema,
            interrupt_before=interrupt_before or (),
            interrupt_after=interrupt_after or (),
            name=name or "LangGraph",
            debug=debug,
        )


def _is_last_value(channel: Any) -> bool:
    return type(channel) is LastValue


def _destinations(action: Any) -> tuple[str, ...]:
    """Where ``-> Command[Literal["a", "b"]]`` says that a node may go."""
    answer = hints_of(action).get("return") if not hasattr(action, "invoke") else None
    if get_origin(answer) is Command and get_args(answer):
        inner = get_args(answer)[0]
        if get_origin(inner) is Literal:
            return tuple(get_args(inner))
    return ()
