"""task: a function whose calls run beside their caller, and whose results are kept with the run."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, overload

from dashflow._util.functions import is_asynchronous
from dashflow._util.reserved import CACHE_NS_WRITES, PUSH, RETURN
from dashflow._util.scope import require_scope
from dashflow._util.sentinel import MISSING
from dashflow.core.plan import PLAIN, NodePlan, NodePolicies
from dashflow.engine.cache import DYNAMIC, identity
from dashflow.engine.task import Scope
from dashflow.engine.timeout import timeout_unsupported
from dashflow.pregel.signature import wants
from dashflow.types.policies import CachePolicy, RetryPolicy, TimeoutPolicy
from dashflow.types.resilience import Bulkhead, CircuitBreaker
from dashflow.warnings import LangGraphDeprecatedSinceV05, renamed, warn_of_unknown

if TYPE_CHECKING:
    from dashflow.engine.body import Route

P = ParamSpec("P")
T = TypeVar("T")


class CallBody:
    """A function as the engine runs it: called with its arguments, its result is a write of its own.

    Implements the engine's ``Body``.
    """

    __slots__ = ("_extra", "_function", "asynchronous", "inline", "name", "routes", "scoped")

    def __init__(self, name: str, function: Callable[..., Any], lent: Sequence[str] | None = None) -> None:
        """``lent``: the parameters that may be filled; None: all that the runtime can fill."""
        self.name = name
        self.routes: Sequence[Route] = ()
        self.inline = False
        self.asynchronous = is_asynchronous(function)
        self._function = function
        self._extra = tuple(p for p in wants(function, skip=0) if lent is None or p[0] in lent)
        self.scoped = bool(self._extra)

    def call(self, value: Any, scope: Scope, asynchronous: bool) -> Any:
        """See ``Body.call``; ``value`` is (positional arguments, named ones)."""
        args, named = value
        if self.asynchronous and not asynchronous:
            raise TypeError(
                f'No synchronous function provided to "{self.name}".'
                "\nEither initialize with a synchronous function or invoke via the async API "
                "(ainvoke, astream, etc.)"
            )
        given = {name: provide(scope) for name, provide in self._extra if name not in named}
        return self._function(*args, **given, **named) if given else self._function(*args, **named)

    def arguments(self, value: Any) -> dict[str, Any]:
        """The arguments by name, for who follows the run."""
        args, named = value
        shape = signature(self._function)
        bound = shape.bind_partial(*args, **named)
        bound.apply_defaults()
        found = dict(bound.arguments)
        for name, parameter in shape.parameters.items():
            if parameter.kind is Parameter.VAR_KEYWORD:
                found.update(found.pop(name))
        return found

    def writes(self, result: Any) -> list[tuple[str, Any]]:
        """See ``Body.writes``."""
        return [(RETURN, result)]


class TaskFunction(Generic[P, T]):
    """What ``task`` makes of a function: calling it starts a task and returns its future.

    Attributes:
        func: The function.
    """

    def __init__(
        self,
        func: Callable[P, Awaitable[T]] | Callable[P, T],
        *,
        name: str | None = None,
        retry_policy: Sequence[RetryPolicy] = (),
        cache_policy: CachePolicy[Any] | None = None,
        timeout: TimeoutPolicy | None = None,
        circuit_breaker: CircuitBreaker | None = None,
        bulkhead: Bulkhead | None = None,
    ) -> None:
        if name is not None:
            func = _named(func, name)
        self.func = func
        self.cache_policy = cache_policy
        functools.update_wrapper(self, func)
        called = name or _name_of(func)
        policies = NodePolicies(
            retry=tuple(retry_policy),
            timeout=timeout,
            cache=cache_policy,
            identity=identity(func) if cache_policy is not None else "",
            breaker=circuit_breaker,
            bulkhead=bulkhead,
        )
        self._node = NodePlan(
            called,
            triggers=(PUSH,),
            reads=(),
            read=reads_nothing,
            body=CallBody(called, func),
            policies=PLAIN if policies == PLAIN else policies,
        )

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> Any:
        """Start the function beside the caller.

        Returns:
            A future: ``result()`` waits, and in async code it can be awaited.

        Raises:
            RuntimeError: No graph runs this code.
        """
        return require_scope(f"task {self._node.name!r}").call(self._node, (args, kwargs))

    def clear_cache(self, cache: Any) -> None:
        """Forget the kept results of this task."""
        if self.cache_policy is not None:
            cache.clear((self._namespace(),))

    async def aclear_cache(self, cache: Any) -> None:
        """``clear_cache`` for asyncio callers."""
        if self.cache_policy is not None:
            await cache.aclear((self._namespace(),))

    def _namespace(self) -> tuple[str, ...]:
        return (CACHE_NS_WRITES, self._node.policies.identity or DYNAMIC)


def reads_nothing(channels: Any, progress: Any) -> Any:
    """What a called function reads of the state."""
    return MISSING


def _named(func: Any, name: str) -> Any:
    """The function under another name; a method's class keeps the old one."""
    if hasattr(func, "__func__"):
        bound = functools.partial(func.__func__, func.__self__)
        bound.__name__ = name  # type: ignore[attr-defined]  # partials take attributes
        return bound
    func.__name__ = name
    return func


def _name_of(func: Any) -> str:
    if hasattr(func, "__name__"):
        return str(func.__name__)
    if hasattr(func, "func"):
        return str(func.func.__name__)
    return type(func).__name__


@overload
def task(
    __func_or_none__: None = None,
    *,
    name: str | None = None,
    retry_policy: RetryPolicy | Sequence[RetryPolicy] | None = None,
    cache_policy: CachePolicy[Any] | None = None,
    timeout: float | timedelta | TimeoutPolicy | None = None,
    circuit_breaker: CircuitBreaker | None = None,
    bulkhead: Bulkhead | None = None,
    **kwargs: Any,
) -> Callable[[Callable[P, Awaitable[T]] | Callable[P, T]], TaskFunction[P, T]]: ...


@overload
def task(__func_or_none__: Callable[P, Awaitable[T]]) -> TaskFunction[P, T]: ...


@overload
def task(__func_or_none__: Callable[P, T]) -> TaskFunction[P, T]: ...


def task(
    __func_or_none__: Any = None,
    *,
    name: str | None = None,
    retry_policy: RetryPolicy | Sequence[RetryPolicy] | None = None,
    cache_policy: CachePolicy[Any] | None = None,
    timeout: float | timedelta | TimeoutPolicy | None = None,
    circuit_breaker: CircuitBreaker | None = None,
    bulkhead: Bulkhead | None = None,
    **kwargs: Any,
) -> Any:
    """Make a function a task: a call runs beside its caller, and its result is recorded with the run.

    Args:
        name: Instead of the function's own.
        retry_policy: When to try again; of several policies, the first that fits an error.
        cache_policy: Whether results are kept and used again.
        timeout: Limits of an attempt, seconds; for async functions only.
        circuit_breaker: Do not call it for a while when it failed again and again; retries are around that.
        bulkhead: At most so many calls of that name at a time in this process.
        kwargs: ``retry``, now ``retry_policy``.

    Raises:
        ValueError: A time limit on a function that is not async.
    """
    retry_policy = renamed(kwargs, "retry", "retry_policy", retry_policy, LangGraphDeprecatedSinceV05)
    warn_of_unknown("task", kwargs)
    limit = TimeoutPolicy.coerce(timeout)
    policies = (retry_policy,) if isinstance(retry_policy, RetryPolicy) else tuple(retry_policy or ())

    def decorate(func: Any) -> TaskFunction[Any, Any]:
        if limit is not None and not is_asynchronous(func):
            raise timeout_unsupported(name or _name_of(func), "Task")
        return TaskFunction(
            func,
            name=name,
            retry_policy=policies,
            cache_policy=cache_policy,
            timeout=limit,
            circuit_breaker=circuit_breaker,
            bulkhead=bulkhead,
        )

    return decorate if __func_or_none__ is None else decorate(__func_or_none__)
