"""Who of a log's owners is alive: every claiming log holds a lock on a file of its own.

The lock file is ``<log>.owners/<instance>``. The kernel lets go of the lock when the process ends,
however it ends, so a lock that somebody else can take means a dead owner. Where there are no such
locks (Windows, logs without a file) only the lease counts. This is the one place that knows.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from dashflow.errors import StorageUnavailableError
from dashflow.log.stored import host_name

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None  # type: ignore[assignment]

_LEASE_ONLY: Final = "-lease"
"""End of an instance's name that holds no lock: its lease alone tells."""


class Owners:
    """This log's own sign of life, and a look at the others'."""

    def __init__(self, log: Path | None, clock: Callable[[], int]) -> None:
        """``log`` is the log's file, None for one that no other process can see."""
        locks = log is not None and fcntl is not None
        token = f"{host_name()}-{os.getpid()}-{os.urandom(4).hex()}"
        self.instance = token if locks else token + _LEASE_ONLY
        self._folder = log.with_name(log.name + ".owners") if log is not None and locks else None
        self._clock = clock
        self._descriptor: int | None = None
        if self._folder is not None:
            self._sweep(self._folder)

    def show_alive(self) -> None:
        """Take the own lock, before the first claim.

        Raises:
            StorageUnavailableError: The lock file cannot be made.
        """
        if self._folder is None or self._descriptor is not None:
            return
        path = self._folder / self.instance
        try:
            while self._descriptor is None:
                with suppress(FileExistsError):
                    os.mkdir(self._folder)
                try:
                    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
                except FileNotFoundError:
                    continue  # another log has just removed the empty folder
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                # Between open and flock a sweep may have removed the file: then once more.
                if _is_file(path, descriptor):
                    self._descriptor = descriptor
                else:
                    os.close(descriptor)
        except OSError as error:
            raise StorageUnavailableError(
                str(path), f"the file that shows that this owner lives cannot be locked ({error.strerror})"
            ) from error

    def alive(self, owner: str, lease: int) -> bool:
        """Whether ``owner`` must be left alone: of this log, or alive and before ``lease`` (ns)."""
        instance = owner.partition("/")[0]
        if instance == self.instance:
            return True
        if not instance or lease <= self._clock():
            return False
        return self._folder is None or instance.endswith(_LEASE_ONLY) or _locked(self._folder / instance)

    def forget(self) -> None:
        """In a forked child: let go of the file without a word; the lock stays with the parent."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def close(self) -> None:
        """Remove the own lock file, and the folder when it is empty."""
        if self._folder is None or self._descriptor is None:
            return
        (self._folder / self.instance).unlink(missing_ok=True)
        self.forget()
        _remove_if_empty(self._folder)

    def _sweep(self, folder: Path) -> None:
        """Remove what dead logs left behind."""
        try:
            names = os.listdir(folder)
        except FileNotFoundError:
            return
        for name in names:
            _locked(folder / name, remove=True)
        _remove_if_empty(folder)


def _locked(path: Path, *, remove: bool = False) -> bool:
    """Whether somebody holds the lock on a file; ``remove`` it when nobody does."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except PermissionError:
        return True  # another user's: not ours to say, the lease decides
    try:
        # Shared, so that two who look at the same time do not take each other for the owner.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        if remove:
            path.unlink(missing_ok=True)  # under the lock: its maker then sees that it is gone
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _is_file(path: Path, descriptor: int) -> bool:
    """Whether ``path`` still names the open file."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):  # not empty: others are alive
        folder.rmdir()
