"""Retry policies: which one fits an error, and how long to wait. The only place that decides on retries."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dashflow.types.policies import RetryPolicy


def matching_policy(policies: Sequence[RetryPolicy], error: Exception) -> RetryPolicy | None:
    """The first policy that covers ``error``, or None.

    ``retry_on`` is an exception class, a sequence of them, or a function of the error.
    """
    for policy in policies:
        condition = policy.retry_on
        if isinstance(condition, type):
            if isinstance(error, condition):
                return policy
        elif isinstance(condition, Sequence):
            if isinstance(error, tuple(condition)):
                return policy
        elif condition(error):
            return policy
    return None


def delay_before(policy: RetryPolicy, attempt: int, entropy: Callable[[], int]) -> float:
    """Seconds to wait after the failed attempt number ``attempt`` (from 1).

    Exponential from ``initial_interval`` by ``backoff_factor``, at most ``max_interval``; with jitter up
    to one second more.
    """
    interval = min(policy.max_interval, policy.initial_interval * policy.backoff_factor ** (attempt - 1))
    return interval + (entropy() / 2**64 if policy.jitter else 0.0)
