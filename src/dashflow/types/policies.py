"""How a node is retried, limited in time, cached and traced: settings and the pure rules behind them.

No clock, no randomness; exceptions of HTTP libraries are recognised without importing those.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Generic, Literal, NamedTuple, TypeVar

import msgspec

__all__ = (
    "CachePolicy",
    "RetryPolicy",
    "TimeoutPolicy",
    "TracePolicy",
    "default_cache_key",
    "default_retry_on",
    "omit_payload",
)

_NOT_RETRIED = (
    ValueError,
    TypeError,
    ArithmeticError,
    ImportError,
    LookupError,
    NameError,
    SyntaxError,
    RuntimeError,
    ReferenceError,
    StopIteration,
    StopAsyncIteration,
    OSError,
)
"""Faults of the program or of its input: they come back on every attempt."""


def default_retry_on(error: Exception) -> bool:
    """Whether ``error`` may pass by itself: lost connections, HTTP 5xx, whatever is no programming fault."""
    if isinstance(error, ConnectionError):
        return True
    for library, name in (("httpx", "HTTPStatusError"), ("requests", "HTTPError")):
        kind = getattr(sys.modules.get(library), name, None)
        if kind is not None and isinstance(error, kind):
            response = getattr(error, "response", None)
            return True if response is None else 500 <= response.status_code < 600
    return not isinstance(error, _NOT_RETRIED)


class RetryPolicy(NamedTuple):
    """When and how often a node is tried again.

    Attributes:
        initial_interval: Seconds before the first retry.
        backoff_factor: Each wait is this much longer than the one before.
        max_interval: Seconds that no wait exceeds.
        max_attempts: Attempts in all, the first one included.
        jitter: Add up to a second at random, so that many do not retry at once.
        retry_on: Exception classes to retry, or a function that says for each whether to.
    """

    initial_interval: float = 0.5
    backoff_factor: float = 2.0
    max_interval: float = 128.0
    max_attempts: int = 3
    jitter: bool = True
    retry_on: type[Exception] | Sequence[type[Exception]] | Callable[[Exception], bool] = default_retry_on

    def retries(self, error: BaseException) -> bool:
        """Whether this policy is about ``error``.

        Raises:
            TypeError: ``retry_on`` is none of the things it may be.
        """
        retry_on = self.retry_on
        if isinstance(retry_on, Sequence):
            return isinstance(error, tuple(retry_on))
        if isinstance(retry_on, type) and issubclass(retry_on, BaseException):
            return isinstance(error, retry_on)
        if callable(retry_on):
            decide: Callable[..., Any] = retry_on
            return isinstance(error, Exception) and bool(decide(error))
        raise TypeError(
            "retry_on must be an Exception class, a list or tuple of Exception classes, or a callable "
            f"that returns a bool; got {retry_on!r}"
        )

    def interval(self, attempts: int) -> float:
        """Seconds to wait after ``attempts`` failed attempts, without jitter."""
        wait = self.initial_interval * self.backoff_factor ** max(attempts - 1, 0)
        return min(self.max_interval, wait)


class TimeoutPolicy(msgspec.Struct, kw_only=True, frozen=True):
    """Limits of one attempt of an async node; a sync one cannot be stopped safely.

    Attributes:
        run_timeout: Seconds that an attempt may take in all.
        idle_timeout: Seconds that it may go without a sign of progress.
        refresh_on: What counts as progress: ``auto``, any output of the node or ``runtime.heartbeat()``;
            ``heartbeat``, only the latter.
    """

    run_timeout: float | timedelta | None = None
    idle_timeout: float | timedelta | None = None
    refresh_on: Literal["auto", "heartbeat"] = "auto"

    @classmethod
    def coerce(cls, value: float | timedelta | TimeoutPolicy | None) -> TimeoutPolicy | None:
        """A policy whose limits are seconds as floats; a bare number or timedelta is ``run_timeout``.

        Returns None when nothing is limited.

        Raises:
            ValueError: A limit is not greater than 0, or ``refresh_on`` is unknown.
        """
        if value is None:
            return None
        policy = value if isinstance(value, TimeoutPolicy) else cls(run_timeout=value)
        if policy.refresh_on not in ("auto", "heartbeat"):
            raise ValueError("refresh_on must be 'auto' or 'heartbeat'")
        run_timeout = _seconds(policy.run_timeout, "run_timeout")
        idle_timeout = _seconds(policy.idle_timeout, "idle_timeout")
        if run_timeout is None and idle_timeout is None:
            return None
        if run_timeout is policy.run_timeout and idle_timeout is policy.idle_timeout:
            return policy
        return cls(run_timeout=run_timeout, idle_timeout=idle_timeout, refresh_on=policy.refresh_on)


def _seconds(value: float | timedelta | None, field: str) -> float | None:
    if value is None:
        return None
    seconds = value.total_seconds() if isinstance(value, timedelta) else float(value)
    if not seconds > 0:
        raise ValueError(f"{field} must be greater than 0")
    return seconds


def default_cache_key(*args: Any, **kwargs: Any) -> str | bytes:
    """A key for the arguments: equal for equal ones, whatever order their mappings have."""
    import pickle

    return pickle.dumps((_frozen(args), _frozen(kwargs)), protocol=5, fix_imports=False)


def _frozen(value: Any, depth: int = 10) -> Any:
    """``value`` with its unhashable parts as tuples, ``depth`` levels deep."""
    if depth <= 0 or (isinstance(value, Hashable) and not isinstance(value, tuple)):
        return value
    if isinstance(value, Mapping):
        items = [(key, _frozen(item, depth - 1)) for key, item in value.items()]
        return tuple(sorted(items, key=lambda item: (type(item[0]).__qualname__, item[0])))
    if isinstance(value, Sequence):
        return tuple(_frozen(item, depth - 1) for item in value)
    if hasattr(value, "tobytes"):
        return (type(value).__name__, value.tobytes(), getattr(value, "shape", None))
    return value


KeyFuncT = TypeVar("KeyFuncT", bound=Callable[..., str | bytes])


class CachePolicy(msgspec.Struct, Generic[KeyFuncT], kw_only=True, frozen=True):
    """Keep a node's result and use it again for the same input.

    Attributes:
        key_func: Makes the key from the node's input.
        ttl: Seconds a result is kept; None: for good.
    """

    key_func: KeyFuncT = default_cache_key  # type: ignore[assignment]
    ttl: int | None = None


class TracePolicy(msgspec.Struct, kw_only=True, frozen=True):
    """What a trace shows of a node's own run; its children and the run around it are not touched.

    For shorter traces, not for secrets: those need the tracer's own filters.

    Attributes:
        process_inputs: From the node's input to what is shown; must not change its argument.
        process_outputs: From the node's output to what is shown; must not change its argument.
    """

    process_inputs: Callable[[Any], Any] | None = None
    process_outputs: Callable[[Any], Any] | None = None


def omit_payload(_value: Any) -> dict[str, Any]:
    """Show nothing: for ``TracePolicy``, to keep a node's span and timing only."""
    return {}
