"""Ctrl-C, SIGTERM and SIGHUP: the first asks the command to stop, the second leaves at once.

Leaving at once is safe: what counts is in the log already. Knows nothing of runs.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from dashflow.cli.exits import Exit

_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
_SHOW_CURSOR = "\x1b[?25h"


class Interrupts:
    """Handlers for the time of one command; a context manager of the main thread.

    Until ``stop`` is set, and while ``breakable`` is True, the first signal raises ``KeyboardInterrupt``
    where the main thread is; else it calls ``stop``.

    Attributes:
        came: Whether a signal came.
        stop: Called from the handler, so it may only do what is safe at any point of the program.
        breakable: Set while the main thread waits for a person.
    """

    def __init__(self) -> None:
        self.came = False
        self.stop: Callable[[], None] | None = None
        self.breakable = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupts:
        for name in _SIGNALS:
            number = getattr(signal, name, None)
            # What the parent told us to ignore (nohup, a shell's background job) stays ignored.
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.came:
            _leave()
        self.came = True
        if self.stop is not None:
            self.stop()
        if self.stop is None or self.breakable:
            raise KeyboardInterrupt


def _leave() -> None:
    """End the process now, without waiting for threads; the terminal gets its cursor back."""
    try:
        if sys.stderr.isatty():
            os.write(sys.stderr.fileno(), _SHOW_CURSOR.encode())
    finally:
        os._exit(Exit.INTERRUPTED)
