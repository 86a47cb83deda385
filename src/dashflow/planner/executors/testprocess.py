"""Running one command on a folder within bounds of time, memory and output. Knows nothing of tests.

The environment is scrubbed to what programs need to run; what looks like a secret never gets there.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

_LAUNCHER: Final = str(Path(__file__).with_name("limits.py"))
_KEPT: Final = frozenset(
    {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LANGUAGE", "TZ", "SYSTEMROOT", "LD_LIBRARY_PATH"}
)
_TICK: Final = 0.2
_GRACE: Final = 10.0


class Limits(msgspec.Struct, frozen=True):
    """Bounds of one command.

    Attributes:
        seconds: Of wall clock for the whole; also, times the processors, of CPU for each process.
        memory_bytes: Address space of each process.
        file_bytes: Largest file that may be written.
        output_bytes: How much of the output's end is kept.
    """

    seconds: float
    memory_bytes: int = 8 * 1024**3
    file_bytes: int = 1024**3
    output_bytes: int = 256 * 1024


class Ended(msgspec.Struct, frozen=True):
    """How a command ended.

    Attributes:
        code: Its exit code, 128 + n after signal n; None when it was stopped by us.
        output: The end of what it wrote to stdout and stderr.
        timed_out: Stopped because its time was over.
        cancelled: Stopped because nobody wants the result any more.
    """

    code: int | None
    output: str
    timed_out: bool = False
    cancelled: bool = False


def scrubbed(environment: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """The variables that a test run gets: an allowlist, and what keeps the folder clean and runs equal."""
    kept = {key: value for key, value in environment.items() if key in _KEPT or key.startswith("LC_")}
    return {
        **kept,
        "TMPDIR": str(scratch),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "COLUMNS": "120",
        "COVERAGE_FILE": str(scratch / "coverage"),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(scratch / "hypothesis"),
    }


def run_bounded(
    command: list[str],
    *,
    folder: Path,
    scratch: Path,
    environment: Mapping[str, str],
    limits: Limits,
    cancelled: Callable[[], bool],
) -> Ended:
    """Run ``command`` in ``folder`` and wait for it; nothing that it started is left behind.

    Raises:
        OSError: no process could be started at all.
    """
    listening, lifeline = os.pipe()
    cpu = max(1, int(limits.seconds * (os.cpu_count() or 1)) + 1)
    bounds = [str(cpu), str(limits.memory_bytes), str(limits.file_bytes)]
    launch = [sys.executable, "-I", "-S", _LAUNCHER, str(listening), str(scratch), *bounds, *command]
    try:
        process = subprocess.Popen(
            launch,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=(listening,),
            start_new_session=True,  # Ctrl-C in our terminal is for us; we stop the tests ourselves
        )
    except BaseException:
        os.close(lifeline)
        raise
    finally:
        os.close(listening)
    watch = _Watch(process, lifeline, limits, cancelled)
    try:
        return watch.until_end()
    finally:
        watch.close()


class _Watch:
    """Reads a process's output and stops it when its time is over."""

    def __init__(
        self, process: subprocess.Popen[bytes], lifeline: int, limits: Limits, cancelled: Callable[[], bool]
    ) -> None:
        assert process.stdout is not None
        self._process = process
        self._pipe = process.stdout
        self._lifeline = lifeline
        self._limits = limits
        self._cancelled = cancelled
        self._tail = bytearray()

    def until_end(self) -> Ended:
        """Wait for the end, natural or not."""
        deadline = time.monotonic() + self._limits.seconds
        timed_out = cancelled = False
        while self._drain(_TICK):
            timed_out = time.monotonic() >= deadline
            cancelled = not timed_out and self._cancelled()
            if timed_out or cancelled:
                self._stop()
                break
        self._process.wait(_GRACE)
        output = bytes(self._tail[-self._limits.output_bytes :]).decode("utf-8", "replace")
        code = None if timed_out or cancelled else self._process.returncode
        return Ended(code, output, timed_out, cancelled)

    def _drain(self, seconds: float) -> bool:
        """Take in what was written; False once nobody can write any more, or the launcher is gone."""
        ready, _, _ = select.select([self._pipe], [], [], seconds)
        if not ready:
            return self._process.poll() is None
        data = os.read(self._pipe.fileno(), 1 << 16)
        self._tail += data
        if len(self._tail) > 2 * self._limits.output_bytes:
            del self._tail[: -self._limits.output_bytes]
        return bool(data)

    def _stop(self) -> None:
        """Ask the launcher to take everything down; if it cannot, take it down too."""
        self._cut()
        deadline = time.monotonic() + _GRACE
        while self._drain(_TICK):
            if time.monotonic() >= deadline:
                self._kill()
                return

    def _cut(self) -> None:
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1

    def _kill(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Leave neither a process nor a descriptor behind."""
        self._cut()
        try:
            self._process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            self._kill()
            self._process.wait()
        self._pipe.close()
