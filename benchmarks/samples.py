"""How one process measures: processor time per unit, bytes written, files' sizes, calls made.

Knows no graph. Every figure is of this process alone, so nothing else may run in it meanwhile.
"""

from __future__ import annotations

import gc
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median
from types import FrameType
from typing import Any

ENOUGH = 0.04
"""Seconds for which short work is repeated, so that one interruption does not decide."""


def per_unit(work: Callable[[], Any], units: int, clock: Callable[[], float] = time.process_time) -> float:
    """Microseconds of processor time, on all threads, per unit of ``work``, which does ``units`` of them.

    The median of its repetitions. Processor time, since on a busy machine elapsed time grows with the
    length of a sample, which would flatter whoever is faster; another ``clock`` for what waits for others.
    """
    gc.collect()
    times: list[float] = []
    while not times or sum(times) < ENOUGH:
        start = clock()
        work()
        times.append(clock() - start)
    return median(times) / units * 1e6


async def per_unit_awaited(work: Callable[[], Awaitable[Any]], units: int) -> float:
    """``per_unit`` for a coroutine function."""
    gc.collect()
    times: list[float] = []
    while not times or sum(times) < ENOUGH:
        start = time.process_time()
        await work()
        times.append(time.process_time() - start)
    return median(times) / units * 1e6


def bytes_written() -> int | None:
    """Bytes that this process handed to the system's write calls so far; None where nobody counts them."""
    try:
        lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line[7:]) for line in lines if line.startswith("wchar: ")), None)


def size_of(database: Path) -> int:
    """Bytes of a SQLite database on disk, with the files beside it."""
    return sum(path.stat().st_size for path in database.parent.glob(f"{database.name}*"))


def calls_made(work: Callable[[], Any]) -> int:
    """Calls of Python and C functions that ``work`` makes, on all threads that it starts."""
    count = 0

    def tally(frame: FrameType, event: str, argument: Any) -> None:
        nonlocal count
        if event in ("call", "c_call"):
            count += 1

    gc.collect()
    gc.disable()
    threading.setprofile(tally)
    sys.setprofile(tally)
    try:
        work()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
        gc.enable()
    return count
