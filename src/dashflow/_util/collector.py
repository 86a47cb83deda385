"""Python's garbage collector, out of the way while very many objects are made at once.

Making 100,000 messages starts it hundreds of times, and each time it looks for rubbish among objects that
were made just now and are all needed: that takes twice as long as making them.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_resting = 0
_was_on = False


@contextmanager
def resting() -> Iterator[None]:
    """Let the collector rest meanwhile; several threads may ask at once, and the last one wakes it.

    A program that has switched it off keeps it so. For work that makes objects and keeps them: cycles that
    others leave meanwhile wait for the next collection.
    """
    global _resting, _was_on
    with _lock:
        if not _resting:
            _was_on = gc.isenabled()
            gc.disable()
        _resting += 1
    try:
        yield
    finally:
        with _lock:
            _resting -= 1
            if not _resting and _was_on:
                gc.enable()
