"""What is set once for all nodes of a graph: policies and an error handler for those that have none.

Defaults apply when the graph is compiled, wherever they were set; what a node says itself wins. The builder's
own nodes are left as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from dashflow.graph.spec import NodeSpec, Retry
from dashflow.types.policies import CachePolicy, TimeoutPolicy

DEFAULT_HANDLER = "__default_error_handler__"


def handler_name(node: str) -> str:
    """Name of the node that handles errors of ``node`` only."""
    return f"__error_handler__{node}"


class NodeDefaults(NamedTuple):
    """What was set for all nodes; None: nothing was.

    Attributes:
        retry: When to try again.
        timeout: Limits of an attempt.
        cache: Whether results are kept.
        handler: Takes over when a node fails.
    """

    retry: Retry | None = None
    timeout: TimeoutPolicy | None = None
    cache: CachePolicy[Any] | None = None
    handler: NodeSpec[Any, Any] | None = None


def with_defaults(
    nodes: Mapping[str, NodeSpec[Any, Any]], defaults: NodeDefaults
) -> dict[str, NodeSpec[Any, Any]]:
    """All nodes of a graph, with the defaults where they say nothing themselves.

    A handler is retried and limited like other nodes; but its results are not kept, since they depend on
    more than its input, and nobody handles its errors.

    Raises:
        ValueError: A node has the default handler's name.
    """
    if defaults.handler is not None:
        if DEFAULT_HANDLER in nodes:
            raise ValueError(f"Auto-generated default error handler node `{DEFAULT_HANDLER}` already exists.")
        nodes = {**nodes, DEFAULT_HANDLER: defaults.handler}
    return {name: _with_defaults(spec, defaults) for name, spec in nodes.items()}


def _with_defaults(spec: NodeSpec[Any, Any], defaults: NodeDefaults) -> NodeSpec[Any, Any]:
    handler = DEFAULT_HANDLER if defaults.handler is not None else None
    return replace(
        spec,
        retry_policy=defaults.retry if spec.retry_policy is None else spec.retry_policy,
        timeout=spec.timeout or defaults.timeout,
        cache_policy=spec.cache_policy or (None if spec.is_error_handler else defaults.cache),
        error_handler_node=spec.error_handler_node or (None if spec.is_error_handler else handler),
    )
