"""From nodes and channels to a ``GraphPlan``: the tables that the engine follows. Made once per graph."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from dashflow._util.scope import require_scope
from dashflow._util.sentinel import MISSING
from dashflow.channels.base import BaseChannel
from dashflow.constants import TAG_HIDDEN
from dashflow.core.plan import FIRST, PLAIN, Channels, GraphPlan, NodePlan, NodePolicies, Reader
from dashflow.engine.cache import identity
from dashflow.managed.base import Progress, managed_value
from dashflow.pregel.action import Action
from dashflow.pregel.node import PregelNode
from dashflow.pregel.write import ChannelWrite
from dashflow.types.migrations import Release
from dashflow.types.policies import CachePolicy, RetryPolicy

if TYPE_CHECKING:
    from dashflow.engine.body import Route

PURE_REDUCERS: tuple[Callable[..., Any], ...] = (operator.add, operator.concat, operator.or_)
"""Reducers that build a new value and leave the parts of the old one alone."""


class LowLevelBody(Action):
    """The code of a node that says what it writes with ``ChannelWrite``. Implements the engine's ``Body``."""

    __slots__ = ("_writers", "inline", "routes")

    def __init__(self, name: str, node: PregelNode) -> None:
        action, writers = node.action, node.writers
        if not all(isinstance(writer, ChannelWrite) for writer in writers):
            action, writers = _chained(action, writers), []
        super().__init__(name, action)
        self._writers: Sequence[ChannelWrite] = writers
        self.routes: Sequence[Route] = ()
        self.inline = action is None

    def writes(self, result: Any) -> list[tuple[str, Any]]:
        """See ``Body.writes``."""
        return [write for writer in self._writers for write in writer.of(result)]


def _chained(action: Any, writers: Sequence[Any]) -> Any:
    """One ``Runnable`` of a node's code and its writers, for writers that are such themselves."""
    from dashflow.pregel.callable import coerce_to_runnable

    steps = [] if action is None else [action]
    steps.extend(partial(_write, step) if isinstance(step, ChannelWrite) else step for step in writers)
    first, *others = [coerce_to_runnable(step, name=None, trace=False) for step in steps]
    for other in others:
        first = first | other
    return first


def _write(writer: ChannelWrite, result: Any) -> Any:
    require_scope("ChannelWrite").send(writer.of(result))
    return result


def reader(node: PregelNode, channels: Mapping[str, Any], managed: Mapping[str, Any]) -> Reader:
    """A function that reads a node's input; MISSING when its only channel is empty."""
    mapper = node.mapper
    if isinstance(node.channels, str):
        single = node.channels

        def read_one(live: Channels, progress: Progress) -> Any:
            channel = live[single]
            if not channel.is_available():
                return MISSING
            return channel.get() if mapper is None else mapper(channel.get())

        return read_one
    names = tuple(name for name in node.channels if name in channels)
    sources = tuple((name, managed[name]) for name in node.channels if name in managed)

    def read_several(live: Channels, progress: Progress) -> Any:
        values = {name: live[name].get() for name in names if live[name].is_available()}
        for name, source in sources:
            values[name] = managed_value(source, live, progress)
        return values if mapper is None else mapper(values)

    return read_several


def plan_of(
    name: str,
    nodes: Mapping[str, PregelNode],
    channels: Mapping[str, Any],
    *,
    inputs: Sequence[str] | str,
    outputs: Sequence[str] | str,
    shown: Sequence[str] | str,
    retry: Sequence[RetryPolicy] = (),
    cache: CachePolicy[Any] | None = None,
    pure_reducers: Sequence[Callable[..., Any]] = PURE_REDUCERS,
    follows: Mapping[str, Sequence[str]] | None = None,
    handlers: Mapping[str, str] | None = None,
    release: Release = FIRST,
    rules: Any = None,
) -> GraphPlan:
    """The plan of a graph that was validated.

    Args:
        name: For people.
        nodes: By name.
        channels: Channels and managed values, by key.
        inputs: Channel or channels that take the input.
        outputs: What a run returns.
        shown: What streams and snapshots show.
        retry: For nodes that have no retry policies of their own.
        cache: The same for caching.
        pure_reducers: See ``PURE_REDUCERS``.
        follows: See ``GraphPlan``.
        handlers: For nodes that name no error handler themselves, the one that runs in their place; nobody
            handles the errors of handlers.
        release: See ``GraphPlan``.
        rules: The same.
    """
    managed = {key: value for key, value in channels.items() if not isinstance(value, BaseChannel)}
    stored = {key: value for key, value in channels.items() if isinstance(value, BaseChannel)}
    for key, channel in stored.items():
        channel.key = key
    handlers = handlers or {}
    takes_over = frozenset(handlers.values())
    plans = {}
    for key, node in nodes.items():
        handles = key in takes_over
        plans[key] = NodePlan(
            key,
            triggers=node.triggers,
            reads=node.channels,
            read=node.read or reader(node, stored, managed),
            body=node.body or LowLevelBody(key, node),
            hidden=TAG_HIDDEN in (node.tags or ()),
            tags=node.tags or (),
            metadata=node.metadata,
            policies=_policies(
                node,
                retry,
                None if handles or node.is_error_handler else node.cache_policy or cache,
                "" if handles else node.error_handler_node or handlers.get(key, ""),
            ),
            source=node,
        )
    return GraphPlan(
        name,
        nodes=plans,
        channels=stored,
        managed=managed,
        input_channel=inputs,
        output=outputs,
        stream=shown,
        pure_reducers=pure_reducers,
        follows=follows,
        release=release,
        rules=rules,
    )


def _policies(
    node: PregelNode, retry: Sequence[RetryPolicy], cached: CachePolicy[Any] | None, handler: str
) -> NodePolicies:
    policies = NodePolicies(
        retry=tuple(node.retry_policy or retry),
        timeout=node.timeout,
        cache=cached,
        handler=handler,
        trace=node.trace_policy,
        identity=identity(node.action) if cached is not None else "",
        breaker=node.circuit_breaker,
        bulkhead=node.bulkhead,
    )
    return PLAIN if policies == PLAIN else policies
