"""The clock that leases go by: one for all processes of the machine, and nobody can set it.

A lease by the wall clock would run out for everybody when that is set forward, and keep a process that hangs
in its place for as long as it is set back. Times of events are the wall clock's; they are for people.
"""

from __future__ import annotations

import time
from typing import Final

_SINCE_BOOT: Final = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))
"""It goes on while the machine sleeps, where there is such a one. Missing on Windows."""


def since_boot() -> int:
    """Nanoseconds since the machine was started; the wall clock's where that cannot be had.

    A lease from before a restart seems to last long. But its owner's lock file is not locked any more.
    """
    return time.time_ns() if _SINCE_BOOT is None else time.clock_gettime_ns(_SINCE_BOOT)
