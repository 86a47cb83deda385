"""Which processes keep a log file locked, as far as the system tells. Only for messages: decides nothing.

Opens neither the file nor those beside it: to close one again would end this process's own locks on it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

_LOCKS: Final = Path("/proc/locks")
"""Linux only. Locks of processes that cannot be seen from here are missing, or have the number 0."""


def lockers(path: Path) -> list[int]:
    """Numbers of the processes that keep others from writing; empty where that cannot be known."""
    files = set()
    for name in (str(path), f"{path}-shm"):  # before and after the switch to WAL
        with suppress(OSError):
            about = os.stat(name)
            device = f"{os.major(about.st_dev):02x}:{os.minor(about.st_dev):02x}"
            files.add(f"{device}:{about.st_ino}")
    found = set()
    with suppress(OSError, ValueError, IndexError):
        for line in _LOCKS.read_text(encoding="ascii").splitlines():
            # 1: POSIX  ADVISORY  WRITE 4711 fe:00:2228305 120 120; who waits for a lock has "->" before POSIX
            words = line.split()
            if words[1] == "POSIX" and words[3] == "WRITE" and words[5] in files:
                found.add(int(words[4]))
    return sorted(found - {0})


def named(process: int) -> str:
    """A process, for people."""
    if process == os.getpid():
        return f"another connection of this process ({process})"
    with suppress(OSError):
        program = Path(f"/proc/{process}/comm").read_text(encoding="utf-8", errors="replace").strip()
        return f"process {process} ({program})"
    return f"process {process}"
