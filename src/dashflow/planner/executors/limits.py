"""A program of its own: runs a command with limits and takes everything it started down with it.

Run by path, ``python -I -S limits.py LIFELINE SCRATCH CPU MEMORY FILE COMMAND...``; it imports
nothing of DashFlow, so that nothing of the folder looked at can take a module's place. LIFELINE is
an inherited file descriptor: when its other end is closed, by its parent's wish or death, every
process below is killed and the folder SCRATCH removed. CPU is in seconds for each process, MEMORY
and FILE are in bytes. Exits as the command did, with 128 + n after signal n, 127 if it did not start.
This bounds accidents; it is no sandbox against code that means harm.
"""

from __future__ import annotations

import ctypes
import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import time

_BECOME_REAPER = 36  # prctl's PR_SET_CHILD_SUBREAPER: processes that detach stay below us
_ROUNDS = 200


def main(argv: list[str]) -> int:
    """Run ``argv`` as described above; the exit code."""
    lifeline, scratch = int(argv[0]), argv[1]
    _limit(resource.RLIMIT_CPU, int(argv[2]), grace=5)  # first the signal that tells why, then the end
    _limit(resource.RLIMIT_AS, int(argv[3]))
    _limit(resource.RLIMIT_FSIZE, int(argv[4]))
    _limit(resource.RLIMIT_CORE, 0)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_BECOME_REAPER, 1, 0, 0, 0)
    waker, wake = os.pipe()
    for end in (waker, wake):
        os.set_blocking(end, False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    try:
        child = subprocess.Popen(argv[5:], stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as error:
        sys.stderr.write(f"cannot start {argv[5]}: {error.strerror}\n")
        return 127
    wanted = True
    while wanted and child.poll() is None:
        ready, _, _ = select.select([lifeline, waker], [], [])
        if waker in ready:
            os.read(waker, 512)
        wanted = lifeline not in ready
    _kill_all(child)
    if not wanted:
        shutil.rmtree(scratch, ignore_errors=True)
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def _limit(kind: int, most: int, grace: int = 0) -> None:
    """Lower a limit, never raise one; systems that do not know it go without."""
    _, hard = resource.getrlimit(kind)
    last = most + grace if hard == resource.RLIM_INFINITY else min(most + grace, hard)
    try:
        resource.setrlimit(kind, (min(most, last), last))
    except (ValueError, OSError):
        sys.stderr.write(f"limit {kind} is not available here\n")


def _kill_all(child: subprocess.Popen[bytes]) -> None:
    """Kill the command's group, then whatever detached from it, until nothing is left below us."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        child.poll()  # it went by itself
    child.wait()
    for _ in range(_ROUNDS):
        below = _children()
        if not below:
            return
        for pid in below:
            try:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, os.WNOHANG)
            except (ProcessLookupError, ChildProcessError, PermissionError):
                continue
        time.sleep(0.005)


def _children() -> list[int]:
    """Processes directly below this one, where the system tells."""
    try:
        with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:
        return []


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
