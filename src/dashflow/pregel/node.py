"""PregelNode: one node of a graph as data: what wakes it, what it reads, runs and writes; and its builder.

Graphs over a state are made of these, too. Nothing runs here; asking for ``bound`` loads LangChain.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Self

from dashflow.core.plan import Reader
from dashflow.pregel.action import check_callable
from dashflow.pregel.write import ChannelWrite, ChannelWriteEntry
from dashflow.types.policies import CachePolicy, RetryPolicy, TimeoutPolicy, TracePolicy
from dashflow.types.resilience import Bulkhead, CircuitBreaker

__all__ = ("NodeBuilder", "PregelNode")


class PregelNode:
    """One node.

    Args:
        channels: What it reads: the value of one channel, or a dict of several.
        triggers: It runs when one of these channels was written to.
        mapper: Makes of what was read what it is called with.
        writers: Write its result; others than ``ChannelWrite`` are ``Runnable`` that get the result.
        tags: For traces; ``langsmith:hidden`` hides it from streams.
        metadata: For traces.
        trace_policy: What traces show of it.
        bound: What it runs; None passes on what was read.
        retry_policy: When to try again.
        cache_policy: Whether results are used again.
        is_error_handler: Whether it runs in the place of nodes that failed.
        error_handler_node: The node that runs in its place when it failed.
        subgraphs: Graphs that it runs, where that cannot be seen.
        timeout: Limits of an attempt.
        circuit_breaker: Stops calling it when it fails again and again.
        bulkhead: How often it runs at a time.
        body: Its code, compiled by somebody else; replaces ``bound`` and ``writers``.
        read: The same for ``channels`` and ``mapper``.
    """

    def __init__(
        self,
        *,
        channels: Sequence[str] | str,
        triggers: Sequence[str],
        mapper: Callable[[Any], Any] | None = None,
        writers: Sequence[Any] | None = None,
        tags: Sequence[str] | None = None,
        metadata: Mapping[str, Any] | None = None,
        trace_policy: TracePolicy | None = None,
        bound: Any = None,
        retry_policy: RetryPolicy | Sequence[RetryPolicy] | None = None,
        cache_policy: CachePolicy[Any] | None = None,
        is_error_handler: bool = False,
        error_handler_node: str | None = None,
        subgraphs: Sequence[Any] | None = None,
        timeout: float | timedelta | TimeoutPolicy | None = None,
        circuit_breaker: CircuitBreaker | None = None,
        bulkhead: Bulkhead | None = None,
        body: Any = None,
        read: Reader | None = None,
    ) -> None:
        self.channels = channels if isinstance(channels, str) else list(channels)
        self.triggers = list(triggers)
        self.mapper = mapper
        self.writers = list(writers or ())
        self.tags = tags
        self.metadata = metadata
        self.trace_policy = trace_policy
        self.action = bound
        self.retry_policy = (retry_policy,) if isinstance(retry_policy, RetryPolicy) else retry_policy
        self.cache_policy = cache_policy
        self.is_error_handler = is_error_handler
        self.error_handler_node = error_handler_node
        self._subgraphs = None if subgraphs is None else list(subgraphs)
        self.timeout = TimeoutPolicy.coerce(timeout)
        self.circuit_breaker = circuit_breaker
        self.bulkhead = bulkhead
        self.body = body
        self.read = read
        self._bound: tuple[Any, Any] | None = None

    def __repr__(self) -> str:
        return f"PregelNode(channels={self.channels!r}, triggers={self.triggers!r}, bound={self.action!r})"

    @property
    def bound(self) -> Any:
        """What it runs, as a LangChain ``Runnable``."""
        from dashflow.pregel.callable import coerce_to_runnable

        if self._bound is None or self._bound[0] is not self.action:
            action = _same if self.action is None else self.action
            self._bound = (self.action, coerce_to_runnable(action, name=None, trace=False))
        return self._bound[1]

    @property
    def subgraphs(self) -> list[Any]:
        """Graphs that it runs: those it was told of, else the first that its action is or reaches."""
        if self._subgraphs is None:
            from dashflow.pregel.subgraphs import find_subgraph

            found = find_subgraph(self.action)
            self._subgraphs = [] if found is None else [found]
        return self._subgraphs

    def invoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:  # noqa: A002  # LangGraph's name
        """Run ``bound`` by itself, without a graph; what it returns is written nowhere."""
        return self.bound.invoke(input, self._config(config), **kwargs)

    async def ainvoke(self, input: Any, config: Any = None, **kwargs: Any) -> Any:  # noqa: A002
        """``invoke`` for asyncio callers."""
        return await self.bound.ainvoke(input, self._config(config), **kwargs)

    def _config(self, given: Any) -> Any:
        from langchain_core.runnables.config import merge_configs

        return merge_configs({"metadata": dict(self.metadata or {}), "tags": list(self.tags or ())}, given)

    def copy(self, update: Mapping[str, Any] | None = None) -> PregelNode:
        """A copy with some attributes changed, by the names of the constructor's arguments."""
        twin = object.__new__(type(self))
        changes = dict(update or {})
        if "bound" in changes:
            changes["action"] = changes.pop("bound")
        twin.__dict__.update(self.__dict__, **changes)
        return twin


def _same(value: Any) -> Any:
    return value


class NodeBuilder:
    """Describes a node step by step: subscribe, ``do``, ``write_to``. ``Pregel`` takes it as it is."""

    __slots__ = (
        "_action",
        "_cache_policy",
        "_channels",
        "_metadata",
        "_retry_policies",
        "_tags",
        "_timeout",
        "_triggers",
        "_writes",
    )

    def __init__(self) -> None:
        self._channels: list[str] | str = []
        self._triggers: list[str] = []
        self._tags: list[str] = []
        self._metadata: dict[str, Any] = {}
        self._writes: list[ChannelWriteEntry] = []
        self._action: Any = None
        self._retry_policies: list[RetryPolicy] = []
        self._cache_policy: CachePolicy[Any] | None = None
        self._timeout: TimeoutPolicy | None = None

    def subscribe_only(self, channel: str) -> Self:
        """Run when this channel is written to, with its value as input.

        Raises:
            ValueError: Other channels are read already.
        """
        if self._channels:
            raise ValueError(
                "Cannot subscribe to single channels when other channels are already subscribed to"
            )
        self._channels = channel
        self._triggers.append(channel)
        return self

    def subscribe_to(self, *channels: str, read: bool = True) -> Self:
        """Run when one of these channels is written to, with a dict of their values as input.

        Args:
            channels: Their names.
            read: Whether their values are part of the input.

        Raises:
            ValueError: A single channel is read already.
        """
        if isinstance(self._channels, str):
            raise ValueError("Cannot subscribe to channels when subscribed to a single channel")
        if read:
            self._channels.extend(channels)
        self._triggers.extend(channels)
        return self

    def read_from(self, *channels: str) -> Self:
        """Make the values of more channels part of the input.

        Raises:
            AssertionError: A single channel is read already.
        """
        if isinstance(self._channels, str):
            raise AssertionError("Cannot read additional channels when subscribed to single channels")
        self._channels.extend(channels)
        return self

    def do(self, node: Any) -> Self:
        """Run a function or ``Runnable``; once more: with the result of the one before.

        Raises:
            TypeError: It is neither.
        """
        check_callable("a node", node)
        if self._action is None:
            self._action = node
        else:
            from dashflow.pregel.callable import coerce_to_runnable

            first, then = (coerce_to_runnable(step, name=None, trace=True) for step in (self._action, node))
            self._action = first | then
        return self

    def write_to(self, *channels: str | ChannelWriteEntry, **kwargs: Any) -> Self:
        """Write the result to channels; by keyword: a value of its own, or what a function makes of it."""
        self._writes.extend(ChannelWriteEntry(c) if isinstance(c, str) else c for c in channels)
        self._writes.extend(
            ChannelWriteEntry(key, mapper=value) if callable(value) else ChannelWriteEntry(key, value=value)
            for key, value in kwargs.items()
        )
        return self

    def meta(self, *tags: str, **metadata: Any) -> Self:
        """Add tags and metadata, for traces."""
        self._tags.extend(tags)
        self._metadata.update(metadata)
        return self

    def add_retry_policies(self, *policies: RetryPolicy) -> Self:
        """Try again; of several policies, the first that fits an error counts."""
        self._retry_policies.extend(policies)
        return self

    def add_cache_policy(self, policy: CachePolicy[Any]) -> Self:
        """Use results again."""
        self._cache_policy = policy
        return self

    def set_timeout(self, timeout: float | timedelta | TimeoutPolicy | None) -> Self:
        """Limit an attempt.

        Raises:
            ValueError: A limit is not greater than 0.
        """
        self._timeout = TimeoutPolicy.coerce(timeout)
        return self

    def build(self) -> PregelNode:
        """The node."""
        return PregelNode(
            channels=self._channels,
            triggers=self._triggers,
            tags=self._tags,
            metadata=self._metadata,
            writers=[ChannelWrite(self._writes)],
            bound=self._action,
            retry_policy=self._retry_policies,
            cache_policy=self._cache_policy,
            timeout=self._timeout,
        )
