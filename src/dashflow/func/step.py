"""step: an effect inside of a node that is done once: its result is recorded, and returned when the node runs
again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

from dashflow._util.functions import is_asynchronous
from dashflow._util.reserved import PUSH
from dashflow._util.scope import require_scope
from dashflow.core.plan import NodePlan
from dashflow.func.task import CallBody, reads_nothing

T = TypeVar("T")

_LENT = ("idempotency_key",)
"""The parameters of a step's function that are filled; others may be anything."""


@overload
def step(name: str, function: Callable[..., Awaitable[T]], /, *args: Any, **kwargs: Any) -> Awaitable[T]: ...


@overload
def step(name: str, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> T: ...


def step(name: str, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call ``function`` once, however often the node runs: what it returned is recorded, and returned when
    the node runs again, after a question, a crash or a retry.

    It works in whatever code a graph runs: nodes, tools, tasks, entrypoints, graphs inside. The first call of
    a name in a node is one step, the second another one; steps of threads or tasks that the node starts need
    names of their own. What it raises is raised here and not recorded: when the node runs again, or calls it
    again with the same arguments, it is tried again.

    Between the effect and its record there is always a moment, in which a crash lets the effect happen again.
    It has the same idempotency key then: a parameter ``idempotency_key`` of the function that is not given is
    filled with it. Without a checkpointer nothing is recorded, and it is just a call.

    Args:
        name: Names the step within its node.
        function: Called with what follows. If it is async, the result has to be awaited. What it returns is
            stored, so it has to be data.
        args: Its positional arguments.
        kwargs: Its named arguments.

    Raises:
        NondeterministicStepError: At this place the node called another step before.
        AmbiguousStepError: The name was used, and a thread or task that the node started calls.
        ValueCodecError: What it returned cannot be stored.
        RuntimeError: No graph runs this code.
        TypeError: It would block an event loop: use ``astep`` there.

    Warns:
        ChangedArgumentsWarning: It was recorded with other arguments.
    """
    scope = require_scope(f"step {name!r}")
    return scope.step(_node(name, function), (args, kwargs), is_asynchronous(function))


def astep(name: str, function: Callable[..., Awaitable[T] | T], /, *args: Any, **kwargs: Any) -> Awaitable[T]:
    """``step`` for async code; a function that is not async is called on a thread."""
    awaited: Awaitable[T] = require_scope(f"step {name!r}").step(_node(name, function), (args, kwargs), True)
    return awaited


def idempotency_key() -> str:
    """Names what is done here, for a receiver that does the same thing once: in a step that step, in a task
    that call, else the node's run. It is the same when a crash, a question or a retry lets it be done again,
    in whatever process, and another one in every new run.

    Raises:
        RuntimeError: No graph runs this code.
    """
    return require_scope("idempotency_key()").idempotency_key


def _node(name: str, function: Callable[..., Any]) -> NodePlan:
    return NodePlan(
        name, triggers=(PUSH,), reads=(), read=reads_nothing, body=CallBody(name, function, _LENT)
    )
