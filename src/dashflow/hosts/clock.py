"""Wall clock and randomness for the hosts that live in the real world."""

from __future__ import annotations

import random
import time

_source = random.SystemRandom()
_generator = random.Random(_source.getrandbits(128))


def reseed() -> None:
    """Take fresh randomness from the system; a forked child must not repeat its parent's ids."""
    _generator.seed(_source.getrandbits(128))


class WallClock:
    """Time that never goes backwards for one reader, whatever is done to the system's clock."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = 0

    def now(self) -> int:
        """Nanoseconds since the Unix epoch, never smaller than before."""
        now = time.time_ns()
        if now < self._last:
            return self._last
        self._last = now
        return now


def entropy() -> int:
    """64 random bits, for ids (not for secrets)."""
    return _generator.getrandbits(64)


def jitter() -> float:
    """Up to a second more to wait before a retry. Programs and tests steer it through ``random``."""
    return random.uniform(0, 1)
