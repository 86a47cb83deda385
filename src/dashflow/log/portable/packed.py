"""Files that are packed or not: written as their name says, read as their first bytes say."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any, cast

import zstandard

from dashflow.errors import NotAnExportError, StorageUnavailableError, UsageError

_ZSTD = b"\x28\xb5\x2f\xfd"
_GZIP = b"\x1f\x8b"

PARTIAL = ".partial"
"""Ending of a file's name as long as not all of it is written."""


UNPACKING_ERRORS = (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError)
"""What reading a damaged packed file raises."""


def open_packed(path: str) -> IO[bytes]:
    """Open a file for reading its unpacked bytes.

    Raises:
        UsageError: There is no such file.
        NotAnExportError: It is no file at all.
        StorageUnavailableError: It may not be read.
    """
    try:
        with open(path, "rb") as file:
            first = file.read(4)
        if first.startswith(_ZSTD):
            return cast(IO[bytes], io.BufferedReader(zstandard.open(path, "rb")))
        if first.startswith(_GZIP):
            return cast(IO[bytes], gzip.open(path, "rb"))
        return open(path, "rb")
    except FileNotFoundError:
        raise UsageError(f"There is no file {path!r}.", path=path) from None
    except IsADirectoryError:
        raise NotAnExportError(path, "it is a folder") from None
    except OSError as error:
        raise StorageUnavailableError(path, str(error)) from error


@contextmanager
def written_whole(path: str) -> Iterator[IO[bytes]]:
    """A file for writing, packed as its name says (``.zst``, ``.gz``); it has its name only once it is whole.

    Raises:
        UsageError: The file is there already.
        StorageUnavailableError: It cannot be written.
    """
    if os.path.lexists(path):
        raise UsageError(f"{path!r} is there already and is not overwritten. Name another file.", path=path)
    partial = path + PARTIAL
    packing: Any = zstandard if path.endswith(".zst") else gzip if path.endswith(".gz") else None
    try:
        with open(partial, "wb") as file:
            if packing is None:
                yield file
            else:
                with packing.open(file, "wb") as packed:
                    yield packed
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        sync_folder(path)
    except OSError as error:
        raise StorageUnavailableError(path, str(error)) from error
    finally:
        with suppress(OSError):
            os.unlink(partial)


def sync_folder(path: str) -> None:
    """Make the name of a file as durable as its content, where folders can be synced."""
    with suppress(OSError):
        folder = os.open(os.path.dirname(os.path.abspath(path)), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
