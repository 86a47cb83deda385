"""A disk that fails on command, under SQLite: a VFS of our own between SQLite and the real one.

It is registered with ctypes in the very SQLite library that Python's ``sqlite3`` uses, as the default, so
that whatever opens a database in this process goes through it. Files are the real VFS's; only their writes,
flushes and sizes go through here first. Nothing is simulated: what was written before a fault is on the disk,
and nothing else.
"""

from __future__ import annotations

import _sqlite3
import ctypes
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

OK, FULL = 0, 13
IOERR_WRITE = 10 | 3 << 8
IOERR_FSYNC = 10 | 4 << 8

_P, _I, _L = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
_OPEN = ctypes.CFUNCTYPE(_I, _P, _P, _P, _I, _P)
_WRITE = ctypes.CFUNCTYPE(_I, _P, _P, _I, _L)
_SYNC = ctypes.CFUNCTYPE(_I, _P, _I)
_TRUNCATE = ctypes.CFUNCTYPE(_I, _P, _L)


class _Methods(ctypes.Structure):
    """``sqlite3_io_methods``, version 3."""

    _fields_ = (
        ("iVersion", _I),
        *((name, _P) for name in ("xClose",)),
        ("xRead", _WRITE),
        ("xWrite", _WRITE),
        ("xTruncate", _TRUNCATE),
        ("xSync", _SYNC),
        *((f"rest{number}", _P) for number in range(13)),
    )


class _File(ctypes.Structure):
    _fields_ = (("pMethods", ctypes.POINTER(_Methods)),)


class _Vfs(ctypes.Structure):
    """``sqlite3_vfs``, version 3."""

    _fields_ = (
        ("iVersion", _I),
        ("szOsFile", _I),
        ("mxPathname", _I),
        ("pNext", _P),
        ("zName", ctypes.c_char_p),
        ("pAppData", _P),
        ("xOpen", _OPEN),
        *((f"rest{number}", _P) for number in range(15)),
    )


def library() -> ctypes.CDLL | None:
    """The SQLite library of this interpreter; None where it lets nobody in."""
    file = getattr(_sqlite3, "__file__", None)
    if file is None:
        return None
    found = ctypes.CDLL(file)
    try:
        found.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
        found.sqlite3_vfs_register.argtypes = (ctypes.POINTER(_Vfs), _I)
    except AttributeError:  # linked in, and not to be seen
        return None
    return found


_KEPT: list[object] = []
"""Every one that there was: a connection that is collected late still calls it."""


class FaultyDisk:
    """What fails, and when.

    Attributes:
        writes: How many writes, flushes and cuts there were.
        faults: How many of them failed.
        at: Which of them fails first, from 1; 0: none.
        kind: ``eio`` (nothing is written), ``short`` (a part is, and SQLite is told of a failure), ``flush``
            (a flush fails), ``full`` (there is no more room).
        once: Whether it is all right again after it.
        pause: Seconds that every flush takes.
        cut: Called in the middle of every write, when half of it is on the disk: where the power may go.
        room: Bytes that files together may grow by; None: any. Then there is no more.
    """

    def __init__(self, sqlite: ctypes.CDLL) -> None:
        self.at = 0
        self.kind = "eio"
        self.once = False
        self.room: int | None = None
        self.pause = 0.0
        self.cut: Callable[[], None] | None = None
        self.writes = self.faults = 0
        self._sqlite = sqlite
        self._real = sqlite.sqlite3_vfs_find(None)
        self._kept: dict[int, tuple[_Methods, _Methods]] = {}
        self._sizes: dict[int, int] = {}
        self._vfs = _Vfs()
        ctypes.memmove(ctypes.byref(self._vfs), self._real, ctypes.sizeof(_Vfs))
        self._vfs.zName = b"faulty"
        self._vfs.pNext = None
        self._vfs.xOpen = self._xopen = _OPEN(self._open)

        _KEPT.append(self)

    def __enter__(self) -> FaultyDisk:
        self._sqlite.sqlite3_vfs_register(ctypes.byref(self._vfs), 1)
        return self

    def __exit__(self, *_: object) -> None:
        self._sqlite.sqlite3_vfs_register(self._real, 1)
        self._sqlite.sqlite3_vfs_unregister(ctypes.byref(self._vfs))

    def mend(self) -> None:
        """From now on nothing fails, and there is room."""
        self.at, self.room = 0, None

    @contextmanager
    def failing(self, kind: str, at: int, *, once: bool = False) -> Iterator[None]:
        """A block in which the ``at``-th write from now on fails, and those after it unless ``once``."""
        self.kind, self.at, self.once = kind, self.writes + at, once
        try:
            yield
        finally:
            self.mend()

    # -- SQLite's calls -------------------------------------------------------------------------

    def _open(self, vfs, name, file, flags, out):
        code = self._real.contents.xOpen(ctypes.addressof(self._real.contents), name, file, flags, out)
        methods = _File.from_address(file).pMethods
        if code == OK and methods:
            path = ctypes.string_at(name).decode() if name else ""
            self._sizes[file] = os.path.getsize(path) if os.path.exists(path) else 0
            key = ctypes.addressof(methods.contents)
            if key not in self._kept:
                mine = _Methods()
                ctypes.memmove(ctypes.byref(mine), methods, ctypes.sizeof(_Methods))
                real = _Methods.from_address(key)
                mine.xWrite = _WRITE(self._writing(real))
                mine.xSync = _SYNC(self._syncing(real))
                mine.xTruncate = _TRUNCATE(self._cutting(real))
                self._kept[key] = (real, mine)
            _File.from_address(file).pMethods = ctypes.pointer(self._kept[key][1])
        return code

    def _fails(self, *kinds: str) -> bool:
        self.writes += 1
        if not self.at or self.writes < self.at or self.kind not in kinds:
            return False
        self.faults += 1
        if self.once:
            self.at = 0
        return True

    def _writing(self, real):
        write = real.xWrite

        def writing(file, data, size, offset):
            if self.cut is not None:
                write(file, data, size // 2, offset)
                self.cut()
            if self._fails("eio", "short", "full"):
                if self.kind == "short":
                    write(file, data, size // 2, offset)
                return FULL if self.kind == "full" else IOERR_WRITE
            if self.room is not None:
                grows = max(0, offset + size - self._sizes.get(file, 0))
                if grows > self.room:
                    self.faults += 1
                    return FULL
                self.room -= grows
                self._sizes[file] = max(self._sizes.get(file, 0), offset + size)
            return write(file, data, size, offset)

        return writing

    def _syncing(self, real):
        sync = real.xSync

        def syncing(file, flags):
            if self._fails("eio", "flush"):
                return IOERR_FSYNC
            if self.pause:
                time.sleep(self.pause)
            return sync(file, flags)

        return syncing

    def _cutting(self, real):
        cut = real.xTruncate

        def cutting(file, size):
            if self._fails("eio"):
                return IOERR_WRITE
            self._sizes[file] = size
            return cut(file, size)

        return cutting
