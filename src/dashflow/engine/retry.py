"""Retry policies: which one fits an error, and how long to wait. The only place that decides on retries.

The wait grows exponentially, with jitter: "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dashflow.types.policies import RetryPolicy


def matching_policy(policies: Sequence[RetryPolicy], error: Exception) -> RetryPolicy | None:
    """The first policy that is about ``error``, or None."""
    for policy in policies:
        if policy.retries(error):
            return policy
    return None


def delay_before(policy: RetryPolicy, attempt: int, jitter: Callable[[], float]) -> float:
    """Seconds to wait after the failed attempt number ``attempt`` (from 1)."""
    interval = policy.interval(attempt)
    return interval + jitter() if policy.jitter else interval
