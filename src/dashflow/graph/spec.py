"""NodeSpec: a node as the builder keeps it, and what an action's signature says of it. Runs nothing."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeAlias, Union, get_args, get_origin

from dashflow.pregel.action import is_runnable, name_of
from dashflow.types.commands import Command
from dashflow.types.policies import CachePolicy, RetryPolicy, TimeoutPolicy, TracePolicy
from dashflow.types.resilience import Bulkhead, CircuitBreaker
from dashflow.typing import ContextT, NodeInputT

StateNode: TypeAlias = Callable[..., Any] | Any
"""What a node may be: a function of the state (and what it asks for by name), or a ``Runnable``."""


Retry: TypeAlias = RetryPolicy | Sequence[RetryPolicy]
"""Retry policies as they are given."""


@dataclass(slots=True)
class NodeSpec(Generic[NodeInputT, ContextT]):
    """One node.

    Attributes:
        action: What it runs, as it was given.
        metadata: For traces and drawings.
        input_schema: What it reads.
        retry_policy: When to try again.
        cache_policy: Whether results are used again.
        is_error_handler: Whether it runs in the place of nodes that failed.
        error_handler_node: The node that runs in its place when it failed.
        ends: Where its commands may go.
        defer: Whether it waits until nothing else is left to run.
        timeout: Limits of an attempt.
        trace_policy: What traces show of it.
        circuit_breaker: Stops calling it when it fails again and again.
        bulkhead: How often it runs at a time.
    """

    action: Any
    metadata: Mapping[str, Any] | None
    input_schema: Any
    retry_policy: Retry | None = None
    cache_policy: CachePolicy[Any] | None = None
    is_error_handler: bool = False
    error_handler_node: str | None = None
    ends: tuple[str, ...] | Mapping[str, str] | None = ()
    defer: bool = False
    timeout: TimeoutPolicy | None = None
    trace_policy: TracePolicy | None = None
    circuit_breaker: CircuitBreaker | None = None
    bulkhead: Bulkhead | None = None

    @property
    def runnable(self) -> Any:
        """What it runs, as a LangChain ``Runnable``."""
        from dashflow.pregel.callable import coerce_to_runnable

        return coerce_to_runnable(self.action, name=None, trace=False)


def node_name(action: Any) -> str:
    """The name a node goes by when it was given none."""
    if is_runnable(action):
        return name_of(action) or getattr(action, "name", None) or type(action).__name__
    name: str = getattr(action, "__name__", type(action).__name__)
    return name


def destinations(hints: Mapping[str, Any]) -> tuple[str, ...]:
    """Where ``-> Command[Literal["a", "b"]]`` says, among its hints, that a node may go; also in a union."""
    answer = hints.get("return")
    if get_origin(answer) in (Union, types.UnionType):
        answer = next((option for option in get_args(answer) if get_origin(option) is Command), None)
    if get_origin(answer) is Command:
        (inner,) = get_args(answer)
        if get_origin(inner) is Literal:
            return get_args(inner)
    return ()
