"""Checkpoint ids for those who make checkpoints by hand: UUIDs that sort by time."""

from __future__ import annotations

import random
import time
from threading import Lock
from uuid import UUID

from dashflow._util import ids

__all__ = ("UUID", "uuid6")

_lock = Lock()
_last = 0


def uuid6(node: int | None = None, clock_seq: int | None = None) -> UUID:
    """A version 6 UUID, greater than all that this process made before.

    Args:
        node: 48 bits; None: random ones.
        clock_seq: 14 bits, for example a step's number; None: random ones.
    """
    global _last  # the clock's last tick is the process's
    with _lock:
        ticks = _last = max(time.time_ns() // 100, _last + 1)
    number = random.getrandbits(14) if clock_seq is None else clock_seq
    return UUID(ids.uuid6(ticks, number, random.getrandbits(48) if node is None else node))
