"""Policies of nodes as a builder keeps them, and what is set once for all nodes of a graph.

Defaults apply when the graph is compiled, wherever they were set; what a node says itself wins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, NamedTuple, Protocol

from dashflow.core.plan import PLAIN, NodePolicies
from dashflow.engine.cache import identity
from dashflow.engine.timeout import check_timeout
from dashflow.types.policies import CachePolicy, RetryPolicy, TimeoutPolicy, TracePolicy

Retry = RetryPolicy | Sequence[RetryPolicy]
DEFAULT_HANDLER = "__default_error_handler__"


def handler_name(node: str) -> str:
    """Name of the node that handles errors of ``node`` only."""
    return f"__error_handler__{node}"


class Wishes(NamedTuple):
    """What was asked for a node, or for all of them; None: nothing was.

    Attributes:
        retry: When to try again.
        timeout: Limits of an attempt.
        cache: Whether results are kept.
        handler: Name of the node that takes over when it fails.
        trace: What traces show of it.
        handles: Whether it is itself a handler.
    """

    retry: Sequence[RetryPolicy] | None = None
    timeout: TimeoutPolicy | None = None
    cache: CachePolicy[Any] | None = None
    handler: str | None = None
    trace: TracePolicy | None = None
    handles: bool = False


def wishes(
    *,
    retry: Retry | None = None,
    timeout: float | timedelta | TimeoutPolicy | None = None,
    cache: CachePolicy[Any] | None = None,
    trace: TracePolicy | None = None,
) -> Wishes:
    """Policies in any form that the public methods take.

    Raises:
        ValueError: A time limit is not greater than 0.
    """
    policies = (retry,) if isinstance(retry, RetryPolicy) else retry
    return Wishes(policies, TimeoutPolicy.coerce(timeout), cache, trace=trace)


NOTHING = Wishes()
HANDLER = Wishes(handles=True)
"""Of an error handler."""


class Spec(Protocol):
    """A node as the builder keeps it."""

    action: Any
    wishes: Wishes


def settle(name: str, spec: Spec, defaults: Wishes) -> NodePolicies:
    """What the engine is told of a node.

    A handler is retried and limited like other nodes; but its results are not kept, since they depend on
    more than its input, and nobody handles its errors.

    Raises:
        ValueError: A time limit on a node that is not async.
    """
    own = spec.wishes
    timeout = own.timeout or defaults.timeout
    if timeout is not None:
        check_timeout(name, spec.action)
    cache = own.cache if own.handles else own.cache or defaults.cache
    handler = own.handler if own.handles else own.handler or defaults.handler
    policies = NodePolicies(
        retry=tuple((defaults.retry if own.retry is None else own.retry) or ()),
        timeout=timeout,
        cache=cache,
        handler=handler or "",
        trace=own.trace,
        identity=identity(spec.action) if cache is not None else "",
    )
    return PLAIN if policies == PLAIN else policies


def with_default_handler(nodes: Mapping[str, Any], handler: Any) -> dict[str, Any]:
    """All nodes of a graph: those that were added, and the handler that was set for all of them, if any.

    Raises:
        ValueError: A node has the default handler's name.
    """
    if handler is None:
        return dict(nodes)
    if DEFAULT_HANDLER in nodes:
        raise ValueError(f"Auto-generated default error handler node `{DEFAULT_HANDLER}` already exists.")
    return {**nodes, DEFAULT_HANDLER: handler}
