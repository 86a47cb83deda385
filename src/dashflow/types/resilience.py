"""Circuit breakers and bulkheads: settings of nodes and called functions. No clock, no state."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from dashflow.errors import UsageError

__all__ = ("Bulkhead", "CircuitBreaker")

Failures = type[Exception] | Sequence[type[Exception]] | Callable[[Exception], bool]


class CircuitBreaker(msgspec.Struct, frozen=True, kw_only=True):
    """Stop calling what fails again and again, and try it again after a while.

    All nodes with a breaker of one name share its state: those of this process at once, and those of every
    process on one log through that log, where it survives crashes.

    Attributes:
        name: Of what is called: a service, a model.
        failures: So many within ``window`` open the circuit.
        window: Seconds.
        open_for: Seconds for which nothing is called then.
        probe_for: Seconds after which a probe that nobody heard of again counts as lost.
        counts: Which errors are failures: classes, or a function that says for each. All by default.
    """

    name: str
    failures: int = 5
    window: float = 60.0
    open_for: float = 30.0
    probe_for: float = 60.0
    counts: Failures = Exception

    def __post_init__(self) -> None:
        """Raises UsageError for a breaker without a name, or a number that is not above 0."""
        if not self.name:
            raise UsageError("A circuit breaker needs a name: that of what is called.")
        for field in ("failures", "window", "open_for", "probe_for"):
            if not getattr(self, field) > 0:
                raise UsageError(f"{field} of circuit breaker {self.name!r} must be greater than 0.")

    def is_failure(self, error: Exception) -> bool:
        """Whether an error says that what is called is out of order."""
        counts = self.counts
        if isinstance(counts, type):
            return isinstance(error, counts)
        if isinstance(counts, Sequence):
            return isinstance(error, tuple(counts))
        return bool(counts(error))


class Bulkhead(msgspec.Struct, frozen=True, kw_only=True):
    """At most so many calls at a time in this process, over all runs and nodes with a bulkhead of one name.

    Attributes:
        name: Of what is called. The first one of a name that is used says how many.
        limit: How many at a time.
        queue: How many may wait; others fail at once. None: any number.
    """

    name: str
    limit: int
    queue: int | None = None

    def __post_init__(self) -> None:
        """Raises UsageError for a bulkhead without a name, or that lets nobody in."""
        if not self.name:
            raise UsageError("A bulkhead needs a name: that of what is called.")
        if self.limit < 1 or (self.queue is not None and self.queue < 0):
            raise UsageError(f"Bulkhead {self.name!r} needs a limit from 1 on and a queue from 0 on.")
