"""Reading one plain file, perhaps laid out by somebody hostile. Never blocks, follows links or raises."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec

_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)  # a link could lead out of the folder
    | getattr(os, "O_NONBLOCK", 0)  # opening a fifo would wait for a writer
    | getattr(os, "O_BINARY", 0)
)


class Unread(msgspec.Struct, frozen=True):
    """Why a file was not read, in words that continue "the file ..."."""

    why: str


def read_regular(path: str | Path, limit: int) -> bytes | Unread:
    """The bytes of a plain file of at most ``limit`` bytes, or why there are none."""
    try:
        handle = os.open(path, _FLAGS)
    except (OSError, ValueError) as error:
        return Unread(describe(error))
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            return Unread("is not a regular file")
        if status.st_size > limit:
            return _too_large(status.st_size, limit)
        with os.fdopen(handle, "rb", closefd=False) as file:
            data = file.read(limit + 1)
    except OSError as error:
        return Unread(describe(error))
    finally:
        os.close(handle)
    # a file may have grown since, or tell no size at all, as those in /proc
    return data if len(data) <= limit else _too_large(len(data), limit)


def _too_large(size: int, limit: int) -> Unread:
    return Unread(f"is too large to be read: {size:,} bytes, more than {limit:,}")


def describe(error: Exception) -> str:
    """Why the system refused, without the path that the message would repeat."""
    if isinstance(error, OSError) and error.strerror:
        return f"cannot be read: {error.strerror}"
    return f"cannot be read: {error}"
