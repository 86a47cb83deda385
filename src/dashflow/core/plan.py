"""GraphPlan: a compiled graph as data. Made once by ``compile()``; the hot loop only follows it.

Nothing here runs a node: a node's code sits in ``NodePlan.body``, which only the engine calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from dashflow._util.reserved import PULL, RETURN
from dashflow.channels.base import BaseChannel
from dashflow.channels.binop import BinaryOperatorAggregate
from dashflow.channels.delta import DeltaChannel
from dashflow.channels.last_value import LastValue
from dashflow.channels.untracked_value import UntrackedValue
from dashflow.managed.base import Progress
from dashflow.types.migrations import Release
from dashflow.types.policies import CachePolicy, RetryPolicy, TimeoutPolicy, TracePolicy
from dashflow.types.resilience import Bulkhead, CircuitBreaker

Channels = Mapping[str, BaseChannel[Any, Any, Any]]
Reader = Callable[[Channels, Progress], Any]
"""Builds a node's input from the channels (and how far the run is); an empty channel is left out."""


UNNAMED = "LangGraph"
"""Name of a graph that was given none."""

FIRST = Release()
"""Of a graph whose author says nothing of versions."""


class NodePolicies(msgspec.Struct, frozen=True):
    """How the engine treats a node: see the classes of its attributes.

    Attributes:
        retry: When to try again; of several policies, the first that fits an error.
        timeout: Limits of one attempt.
        cache: Whether results are kept and used again.
        handler: The node that runs in the place of this one when it failed; "" when that ends the run.
        trace: What traces show of the node.
        identity: Names the node's code, for the cache.
        breaker: Stops calling it when it fails again and again.
        bulkhead: How often it runs at a time.
    """

    retry: Sequence[RetryPolicy] = ()
    timeout: TimeoutPolicy | None = None
    cache: CachePolicy[Any] | None = None
    handler: str = ""
    trace: TracePolicy | None = None
    identity: str = ""
    breaker: CircuitBreaker | None = None
    bulkhead: Bulkhead | None = None


PLAIN = NodePolicies()
"""A node without policies."""


class NodePlan:
    """One node: what wakes it, what it reads, and its code as an opaque ``body``.

    ``source`` is what it was made of, which knows the graphs inside (``subgraphs``).
    """

    __slots__ = (
        "body",
        "hidden",
        "metadata",
        "name",
        "path",
        "policies",
        "read",
        "reads",
        "source",
        "tags",
        "total",
        "triggers",
    )

    def __init__(
        self,
        name: str,
        *,
        triggers: Sequence[str],
        reads: Sequence[str] | str,
        read: Reader,
        body: Any,
        hidden: bool = False,
        tags: Sequence[str] = (),
        metadata: Mapping[str, Any] | None = None,
        policies: NodePolicies = PLAIN,
        source: Any = None,
    ) -> None:
        self.name = name
        self.path = (PULL, name)
        self.triggers = tuple(sorted(triggers))
        self.reads = reads
        self.read = read
        # Whether there always is an input, which no code of the user's has to make.
        self.total = bool(getattr(read, "total", False))
        self.body = body
        self.hidden = hidden
        self.tags = tuple(tags)
        self.metadata = dict(metadata) if metadata else {}
        self.policies = policies
        self.source = source


def _triggered(nodes: Iterable[NodePlan]) -> dict[str, tuple[str, ...]]:
    """For each channel the nodes that it wakes, sorted."""
    triggered: dict[str, list[str]] = {}
    for node in nodes:
        for trigger in node.triggers:
            triggered.setdefault(trigger, []).append(node.name)
    return {chan: tuple(sorted(names)) for chan, names in triggered.items()}


class GraphPlan:
    """The whole graph: nodes, channels, and the tables that the superstep functions follow.

    Args:
        name: For people: traces, drawings.
        nodes: By name.
        channels: An empty channel of each name; never written to, only copied from.
        managed: Values computed per task instead of stored (``IsLastStep``), by key.
        input_channel: Where a run's input is written; several: each takes its key of a dict.
        output: The key or keys that ``values`` shows.
        stream: The key or keys that ``get_state`` shows.
        pure_reducers: Reducers that build a new value and leave the parts of the old one alone.
        follows: For each node, those that an edge leads to from it: to understand old checkpoints.
        release: Which version of the graph it is.
        rules: What its schemas ask of values, see ``dashflow.core.validation``; None: nothing.

    Attributes:
        recorded: The name as events have it: "" when it was given none.
        shape: The graph's shape as text, see ``dashflow.core.fingerprint``.
        print: Digest of that.
    """

    shape: str
    print: str

    __slots__ = (
        "channels",
        "consuming",
        "delta_channels",
        "deltas",
        "finishing",
        "follows",
        "input_channel",
        "managed",
        "name",
        "nodes",
        "output",
        "print",
        "recorded",
        "release",
        "resources",
        "rules",
        "shape",
        "stream",
        "told",
        "triggered_by",
        "triggers",
        "trusted",
        "untracked",
        "usable",
        "volatile",
    )

    def __init__(
        self,
        name: str,
        *,
        nodes: Mapping[str, NodePlan],
        channels: Mapping[str, BaseChannel[Any, Any, Any]],
        managed: Mapping[str, Any],
        input_channel: Sequence[str] | str,
        output: Sequence[str] | str,
        stream: Sequence[str] | str,
        pure_reducers: Sequence[Callable[..., Any]] = (),
        follows: Mapping[str, Sequence[str]] | None = None,
        release: Release = FIRST,
        rules: Any = None,
    ) -> None:
        self.name = name
        self.release = release
        self.rules = rules
        self.recorded = "" if name == UNNAMED else name
        self.nodes = dict(nodes)
        self.channels = dict(channels)
        self.managed = dict(managed)
        # Managed values that are opened for a run and closed after it.
        self.resources = tuple(dict.fromkeys(m for m in self.managed.values() if hasattr(m, "lease")))
        self.input_channel = input_channel
        self.output = output
        self.stream = stream
        # Values of these live in this process only: no record may hold what is written to them.
        self.untracked = frozenset(n for n, c in self.channels.items() if isinstance(c, UntrackedValue))
        self.delta_channels = {n: c for n, c in self.channels.items() if isinstance(c, DeltaChannel)}
        # After how many updates savers show their whole value.
        self.deltas = {n: c.snapshot_frequency for n, c in self.delta_channels.items()}
        self.told = frozenset((RETURN, *((stream,) if isinstance(stream, str) else stream))) - self.untracked
        self.follows = dict(follows or {})
        self.triggered_by = _triggered(self.nodes.values())
        self.triggers = frozenset(self.triggered_by)
        # Channels whose update([]) may change something; all others are left alone when nobody wrote.
        calm = (LastValue, BinaryOperatorAggregate)
        self.volatile = frozenset(n for n, c in self.channels.items() if type(c) not in calm)
        self.finishing = tuple(
            n for n, c in self.channels.items() if type(c).finish is not BaseChannel.finish
        )
        self.consuming = frozenset(
            n for n, c in self.channels.items() if type(c).consume is not BaseChannel.consume
        )
        reducing = {n: c.operator for n, c in self.channels.items() if type(c) is BinaryOperatorAggregate}
        # Reducers known to build a new value and leave the old one's parts alone.
        self.trusted = frozenset(n for n, by in reducing.items() if any(by is r for r in pure_reducers))
        # Channels of messages that a cancelled run leaves in a state that chat models take.
        self.usable = frozenset(n for n, by in reducing.items() if getattr(by, "keeps_usable", False))

    def __getattr__(self, name: str) -> Any:
        """Make the shape and its digest when they are first asked for."""
        if name not in ("print", "shape"):
            raise AttributeError(name)
        from dashflow.core.fingerprint import digest_of, fingerprint_of

        self.shape = fingerprint_of(self).text
        self.print = digest_of(self.shape)
        return getattr(self, name)

    def input_writes(self, given: Any) -> list[tuple[str, Any]]:
        """The writes that an input comes to; keys that are no input channel are left out.

        Raises:
            TypeError: There are several input channels, and the input is no dict.
        """
        if isinstance(self.input_channel, str):
            return [(self.input_channel, given)]
        if not isinstance(given, dict):
            raise TypeError(f"Expected chunk to be a dict, got {type(given).__name__}")
        return [(key, value) for key, value in given.items() if key in self.input_channel]
