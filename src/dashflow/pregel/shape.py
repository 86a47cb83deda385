"""What a compiled graph is made of: constructor, attributes and checks. ``Pregel`` adds what it can do."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Self

from dashflow._util.reserved import TASKS
from dashflow.channels.base import BaseChannel
from dashflow.channels.topic import Topic
from dashflow.core.plan import FIRST, UNNAMED, GraphPlan
from dashflow.engine.ports import Host
from dashflow.engine.timeout import check_timeout
from dashflow.pregel.layout import PURE_REDUCERS, plan_of
from dashflow.pregel.node import NodeBuilder, PregelNode
from dashflow.pregel.validate import validate_graph
from dashflow.pregel.write import ChannelWrite
from dashflow.types.breakpoints import Breakpoints
from dashflow.types.budget import Budget
from dashflow.types.checkpointer import ensure_valid_checkpointer
from dashflow.types.commands import Send
from dashflow.types.policies import CachePolicy, RetryPolicy
from dashflow.types.streaming import StreamMode
from dashflow.warnings import LangGraphDeprecatedSinceV10, renamed, warn_of_unknown

Config = Mapping[str, Any]


class GraphShape:
    """A compiled graph.

    Args:
        nodes: Nodes, or builders of such, by name.
        channels: Channels and managed values, by key.
        auto_validate: Check the graph now.
        stream_mode: What ``stream`` yields unless told otherwise.
        stream_eager: Accepted; parts are always shown as soon as they are there.
        output_channels: Which channel or channels a run returns.
        stream_channels: Which ones streams and snapshots show; None: all.
        interrupt_after_nodes: Static breakpoints after these nodes, or ``"*"``.
        interrupt_before_nodes: The same before them.
        input_channels: Which channel takes the input, or which ones take their key of it.
        step_timeout: Seconds that a step may take.
        debug: Print every part.
        checkpointer: Keeps its threads; None: those of the graph it is used in; False: never.
        store: Lent to nodes.
        cache: Keeps results of nodes that have a cache policy.
        retry_policy: For nodes that have none of their own.
        cache_policy: The same for caching.
        context_schema: A dataclass or model that a dict given as ``context`` is made into.
        config: Defaults for every run's config.
        trigger_to_nodes: Accepted; it follows from the nodes.
        node_error_handler_map: Which node runs in the place of which other one that failed.
        name: For people.
        stream_transformers: See ``dashflow.stream``.
        deprecated_kwargs: ``config_type``, now ``context_schema``.

    Raises:
        TypeError: ``checkpointer`` is no saver; a node is none.
        ValueError: A name that means nothing, or is reserved.
    """

    _pure_reducers: ClassVar[tuple[Callable[..., Any], ...]] = PURE_REDUCERS
    _shape: ClassVar[frozenset[str]] = frozenset(
        {
            "nodes",
            "channels",
            "input_channels",
            "output_channels",
            "stream_channels",
            "retry_policy",
            "cache_policy",
            "node_error_handler_map",
            "release",
        }
    )
    """Attributes that the plan is made of."""

    def __init__(
        self,
        *,
        nodes: Mapping[str, PregelNode | NodeBuilder],
        channels: Mapping[str, Any] | None,
        auto_validate: bool = True,
        stream_mode: StreamMode = "values",
        stream_eager: bool = False,
        output_channels: str | Sequence[str],
        stream_channels: str | Sequence[str] | None = None,
        interrupt_after_nodes: Breakpoints = (),
        interrupt_before_nodes: Breakpoints = (),
        input_channels: str | Sequence[str],
        step_timeout: float | None = None,
        debug: bool | None = None,
        checkpointer: Any = None,
        store: Any = None,
        cache: Any = None,
        retry_policy: RetryPolicy | Sequence[RetryPolicy] = (),
        cache_policy: CachePolicy[Any] | None = None,
        context_schema: Any = None,
        config: Config | None = None,
        trigger_to_nodes: Mapping[str, Sequence[str]] | None = None,
        node_error_handler_map: Mapping[str, str] | None = None,
        name: str = UNNAMED,
        stream_transformers: Sequence[Any] | None = None,
        **deprecated_kwargs: Any,
    ) -> None:
        self.context_schema = renamed(
            deprecated_kwargs, "config_type", "context_schema", context_schema, LangGraphDeprecatedSinceV10
        )
        warn_of_unknown("Pregel", deprecated_kwargs)
        self.nodes = {key: n.build() if isinstance(n, NodeBuilder) else n for key, n in nodes.items()}
        self.channels = _with_packets(channels or {})
        self.stream_mode: StreamMode = stream_mode
        self.stream_eager = stream_eager
        self.output_channels = output_channels
        self.stream_channels = stream_channels
        self.interrupt_after_nodes = interrupt_after_nodes
        self.interrupt_before_nodes = interrupt_before_nodes
        self.input_channels = input_channels
        self.step_timeout = step_timeout
        self.debug = bool(debug)
        self.checkpointer = ensure_valid_checkpointer(checkpointer)
        self.store = store
        self.cache = cache
        self.retry_policy = (retry_policy,) if isinstance(retry_policy, RetryPolicy) else tuple(retry_policy)
        self.cache_policy = cache_policy
        self.config = dict(config or {})
        self.node_error_handler_map = dict(node_error_handler_map or {})
        self.name = name
        self.stream_transformers = tuple(stream_transformers or ())
        self.output_mapper: Callable[[Any], Any] | None = None
        self.state_mapper: Callable[[Any], Any] | None = None
        self._host: Host | None = None
        self.budget: Budget | None = None
        self.kinds: tuple[Any, ...] = ()
        self.release = FIRST
        if auto_validate:
            self.validate()

    @cached_property
    def plan(self) -> GraphPlan:
        """The graph as the engine follows it; made when it is first asked for."""
        return plan_of(
            self.name,
            self.nodes,
            self.channels,
            inputs=self.input_channels,
            outputs=self.output_channels,
            shown=self.stream_channels_asis,
            retry=self.retry_policy,
            cache=self.cache_policy,
            pure_reducers=self._pure_reducers,
            follows=self._follows(),
            handlers=self.node_error_handler_map,
            release=self.release,
            rules=self._rules(),
        )

    @cached_property
    def context_check(self) -> Any:
        """What the context's schema asks of a context; None: nothing."""
        from dashflow.core.constraints import check_of  # few graphs have a context with rules

        return check_of(self.context_schema)

    def _rules(self) -> Any:
        """What the state's schemas ask of values; None: nothing. Only ``StateGraph`` knows schemas."""
        return None

    def _follows(self) -> dict[str, list[str]]:
        """For each node, those that an edge leads to from it; only ``StateGraph`` knows edges."""
        return {}

    def _forget_plan(self) -> None:
        self.__dict__.pop("plan", None)

    @property
    def stream_channels_asis(self) -> str | Sequence[str]:
        """What streams show: one channel's value, or a dict of several."""
        if self.stream_channels is not None:
            return self.stream_channels
        return [key for key, one in self.channels.items() if isinstance(one, BaseChannel) and key != TASKS]

    @property
    def stream_channels_list(self) -> Sequence[str]:
        """Names of the channels that streams show."""
        names = self.stream_channels_asis
        return [names] if isinstance(names, str) else names

    @property
    def trigger_to_nodes(self) -> Mapping[str, Sequence[str]]:
        """For each channel the nodes that run when it was written to."""
        return self.plan.triggered_by

    def validate(self) -> Self:
        """Check that every name means something, and take changes of nodes and channels into account.

        Raises:
            ValueError: Names what is wrong; or a time limit on a node that is not async.
            TypeError: A node is none.
        """
        self._forget_plan()
        for name, node in self.nodes.items():
            if isinstance(node, PregelNode) and node.timeout is not None:
                check_timeout(name, node.action, [w for w in node.writers if not isinstance(w, ChannelWrite)])
        stored = {key: one for key, one in self.channels.items() if isinstance(one, BaseChannel)}
        shown = (self.output_channels, self.stream_channels or ())
        breakpoints = (self.interrupt_after_nodes, self.interrupt_before_nodes)
        validate_graph(
            self.nodes,
            {key: one for key, one in stored.items() if key != TASKS},
            {key: one for key, one in self.channels.items() if key not in stored},
            inputs=self.input_channels,
            outputs=[key for keys in shown for key in ((keys,) if isinstance(keys, str) else keys)],
            breakpoints=[node for nodes in breakpoints if nodes != "*" for node in nodes if node != "*"],
        )
        return self

    def _kinds(self) -> Iterable[Any]:
        """Schemas whose classes stored values may be revived as."""
        return self.kinds

    def _introduce(self) -> None:
        """Tell the saver of those classes, if it wants to know."""
        registry = getattr(self.checkpointer, "registry", None)
        if registry is not None:
            for kind in self._kinds():
                registry.register_schema(kind)

    def with_checkpointer(self, checkpointer: Any) -> Self:
        """A copy that keeps its threads elsewhere.

        Raises:
            TypeError: ``checkpointer`` is no saver.
        """
        twin = self.copy({"checkpointer": ensure_valid_checkpointer(checkpointer)})
        twin._introduce()
        return twin

    def copy(self, update: Mapping[str, Any] | None = None) -> Self:
        """A copy with some attributes changed."""
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin.__dict__.update(update or {})
        if not twin._shape.isdisjoint(update or ()):
            twin._forget_plan()
        return twin


def _with_packets(channels: Mapping[str, Any]) -> dict[str, Any]:
    """The channels, and the one that ``Send`` writes to."""
    if not isinstance(channels.get(TASKS, _NO_PACKETS), Topic):
        raise ValueError(f"Channel '{TASKS}' is reserved and cannot be used in the graph.")
    return {**channels, TASKS: Topic(Send, accumulate=False)}


_NO_PACKETS: Topic[Send] = Topic(Send)
