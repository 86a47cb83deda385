"""Ctrl-C, SIGTERM and SIGHUP: the first asks the command to stop, the second leaves at once.

Leaving at once is safe: what counts is in the log already. Knows nothing of runs.
"""

from __future__ import annotations

import os
import select
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
        self._wake: tuple[int, int] | None = None
        self._wake_before = -1

    def __enter__(self) -> Interrupts:
        if os.name == "posix":
            self._wake = os.pipe()
            for end in self._wake:
                os.set_blocking(end, False)
            self._wake_before = signal.set_wakeup_fd(self._wake[1], warn_on_full_buffer=False)
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
        if self._wake is not None:
            signal.set_wakeup_fd(self._wake_before)
            for end in self._wake:
                os.close(end)
            self._wake = None

    def read_line(self) -> str:
        """One line of standard input; "" at its end. A signal breaks in, also one just before the wait.

        A plain ``readline`` would not hear of a signal that comes between the interpreter's last look and
        the system call; the pipe that signals write to makes the wait end then too.
        """
        if self._wake is None:
            return sys.stdin.readline()
        descriptor, woken = sys.stdin.fileno(), self._wake[0]
        while descriptor not in select.select([descriptor, woken], [], [])[0]:
            os.read(woken, 64)
        return os.read(descriptor, 65536).decode(sys.stdin.encoding or "utf-8", "replace")

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
