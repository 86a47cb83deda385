"""entrypoint: a function as a graph of one node, whose last saved value the next run of the thread gets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from inspect import Signature, isasyncgenfunction, isgeneratorfunction, signature
from typing import Any, Generic, TypeVar, get_args, get_origin

from dashflow._util.reserved import PREVIOUS
from dashflow.channels.ephemeral_value import EphemeralValue
from dashflow.channels.last_value import LastValue
from dashflow.constants import END, START
from dashflow.pregel.main import Pregel
from dashflow.pregel.node import PregelNode
from dashflow.pregel.write import ChannelWrite, ChannelWriteEntry
from dashflow.types.policies import CachePolicy, RetryPolicy, TimeoutPolicy
from dashflow.typing import ContextT
from dashflow.warnings import (
    LangGraphDeprecatedSinceV05,
    LangGraphDeprecatedSinceV10,
    renamed,
    warn_of_unknown,
)

R = TypeVar("R")
S = TypeVar("S")


class entrypoint(Generic[ContextT]):  # LangGraph's name
    """Makes a function a workflow: a graph that is invoked with the function's one argument.

    The function may ask for ``previous`` (what the thread's last run saved), ``config``, ``runtime``,
    ``store``
    and ``writer`` by name. What it returns is the output and, unless it returns ``entrypoint.final``, what
    is saved.

    Args:
        checkpointer: Where threads are kept.
        store: Lent to the function.
        cache: Keeps results of tasks that have a cache policy.
        context_schema: Type of what ``invoke(..., context=...)`` hands to the function.
        cache_policy: Whether the workflow's own results are kept and used again.
        retry_policy: When to try again.
        timeout: Limits of an attempt, seconds; for async functions only.
        kwargs: ``config_schema`` and ``retry``, now ``context_schema`` and ``retry_policy``.
    """

    def __init__(
        self,
        checkpointer: Any = None,
        store: Any = None,
        cache: Any = None,
        context_schema: type[ContextT] | None = None,
        cache_policy: CachePolicy[Any] | None = None,
        retry_policy: RetryPolicy | Sequence[RetryPolicy] | None = None,
        timeout: float | timedelta | TimeoutPolicy | None = None,
        **kwargs: Any,
    ) -> None:
        self.context_schema = renamed(
            kwargs, "config_schema", "context_schema", context_schema, LangGraphDeprecatedSinceV10
        )
        self.retry_policy = renamed(
            kwargs, "retry", "retry_policy", retry_policy, LangGraphDeprecatedSinceV05
        )
        warn_of_unknown("entrypoint", kwargs)
        self.checkpointer = checkpointer
        self.store = store
        self.cache = cache
        self.cache_policy = cache_policy
        self.timeout = TimeoutPolicy.coerce(timeout)

    @dataclass(frozen=True, slots=True, kw_only=True)
    class final(Generic[R, S]):  # LangGraph's name
        """Returned by a workflow that saves something else than it returns.

        Attributes:
            value: The output.
            save: What the next run of the thread gets as ``previous``.
        """

        value: R
        save: S

    def __call__(self, func: Callable[..., Any]) -> Pregel[Any, Any, Any, Any]:
        """The function as a graph.

        Raises:
            NotImplementedError: It is a generator.
            ValueError: It takes no argument; or a time limit, and it is not async.
            TypeError: ``entrypoint.final`` in its annotation has not two types.
        """
        if isgeneratorfunction(func) or isasyncgenfunction(func):
            raise NotImplementedError("Generators are not supported in the Functional API.")
        shape = signature(func)
        first = next(iter(shape.parameters.values()), None)
        if first is None:
            raise ValueError("Entrypoint function must have at least one parameter")
        given = Any if first.annotation is Signature.empty else first.annotation
        returned, saved = _types_of(shape.return_annotation)
        node = PregelNode(
            bound=func,
            triggers=[START],
            channels=START,
            timeout=self.timeout,
            writers=[
                ChannelWrite(
                    [ChannelWriteEntry(END, mapper=_value), ChannelWriteEntry(PREVIOUS, mapper=_saved)]
                )
            ],
        )
        graph: Pregel[Any, Any, Any, Any] = Pregel(
            nodes={func.__name__: node},
            channels={
                START: EphemeralValue(given),
                END: LastValue(returned, END),
                PREVIOUS: LastValue(saved, PREVIOUS),
            },
            input_channels=START,
            output_channels=END,
            stream_channels=END,
            stream_mode="updates",
            stream_eager=True,
            checkpointer=self.checkpointer,
            store=self.store,
            cache=self.cache,
            cache_policy=self.cache_policy,
            retry_policy=self.retry_policy or (),
            context_schema=self.context_schema,
        )
        graph.kinds = (given, returned, saved)
        graph._introduce()
        return graph


def _value(result: Any) -> Any:
    return result.value if isinstance(result, entrypoint.final) else result


def _saved(result: Any) -> Any:
    return result.save if isinstance(result, entrypoint.final) else result


def _types_of(annotation: Any) -> tuple[Any, Any]:
    """Types of the output and of what is saved."""
    if annotation is Signature.empty or annotation is entrypoint.final:
        return Any, Any
    if get_origin(annotation) is not entrypoint.final:
        return annotation, annotation
    types = get_args(annotation)
    if len(types) != 2:
        raise TypeError(
            "`entrypoint.final` in an annotation needs two types, of what is returned and of what is saved: "
            "`-> entrypoint.final[int, str]`."
        )
    return types[0], types[1]
