"""What logs in files and on servers have in common: their commits queue up, a reader reads, they are closed
once, and a fork's child may not use them. Knows no SQL and no connection.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from dashflow.errors import LogClosedError, UsageError
from dashflow.log.base import Append, Appended, Record, Ticket
from dashflow.log.commits import CommitQueue

_LAST: Final = 2**63 - 1


_AFTER_ALL: Final = "\U0010ffff"
_NEXT: Final = "\x01"


def names_of(prefix: str, stream: str) -> tuple[str, str]:
    """Between which texts those names are that begin with ``prefix``, or that are ``stream``: from the first,
    up to and without the second. Of one stream, names with a NUL behind it are there, too."""
    return (stream, stream + _NEXT) if stream else (prefix, prefix + _AFTER_ALL)


class EventReader(Protocol):
    """A backend's reader, as far as the log only hands questions on to it."""

    def stretch(self, stream: str, after: int, upto: int, limit: int | None) -> list[Record]:
        """Events of a stream with ``after < version <= upto``, oldest first."""
        ...

    def versions(self, streams: Sequence[str]) -> list[int]:
        """See ``EventLog.versions``."""
        ...

    def glance(self, streams: Sequence[str]) -> list[int] | None:
        """See ``EventLog.glance``."""
        ...

    def blob(self, key: bytes) -> bytes:
        """See ``EventLog.blob``."""
        ...


class StoredLog:
    """A log whose backend sets ``_commits`` and ``_reader``, and then says what closes it.

    Args:
        instance: Identity of the open log.
        where: What names it in messages.
    """

    _commits: CommitQueue
    _reader: EventReader
    _finalizer: weakref.finalize[Any, Any]

    def __init__(self, instance: str, where: str) -> None:
        self._instance = instance
        self._where = where
        self._refusal: Callable[[], Exception] | None = None
        self._closing = threading.Lock()
        self._parts: tuple[Any, ...] = ()

    def _opened(self, shut: Callable[..., None], *parts: Any) -> None:
        """The log is open; ``shut(process, *parts)`` closes it, at the latest at the interpreter's end."""
        self._parts = parts
        self._finalizer = weakref.finalize(self, shut, os.getpid(), *parts)
        _OPEN.add(self)

    @property
    def instance(self) -> str:
        """Identity of this log object, with the process's number in it."""
        return self._instance

    @property
    def where(self) -> str:
        """The file's path or the server's address without its password, for messages."""
        return self._where

    # -- writing ------------------------------------------------------------------------------

    def submit(self, append: Append) -> Ticket:
        """See ``EventLog.submit``."""
        if self._refusal is not None:
            raise self._refusal()
        return self._commits.submit(append, self)

    def append(self, append: Append) -> Appended:
        """See ``EventLog.append``."""
        if self._refusal is not None:
            raise self._refusal()
        return self._commits.append(append, self)

    # -- reading ------------------------------------------------------------------------------

    def read(
        self, stream: str, *, after: int = 0, upto: int | None = None, limit: int | None = None
    ) -> list[Record]:
        """See ``EventLog.read``."""
        self._check_open()
        most = None if limit is None else max(limit, 0)
        return self._reader.stretch(stream, after, _LAST if upto is None else upto, most)

    def version(self, stream: str) -> int:
        """See ``EventLog.version``."""
        self._check_open()
        return self._reader.versions((stream,))[0]

    def versions(self, streams: Sequence[str]) -> list[int]:
        """See ``EventLog.versions``."""
        self._check_open()
        return self._reader.versions(streams)

    def glance(self, streams: Sequence[str]) -> list[int] | None:
        """See ``EventLog.glance``."""
        self._check_open()
        return self._reader.glance(streams)

    def blob(self, key: bytes) -> bytes:
        """See ``EventLog.blob``."""
        self._check_open()
        return self._reader.blob(key)

    # -- the end ------------------------------------------------------------------------------

    def close(self) -> None:
        """See ``EventLog.close``."""
        with self._closing:
            self._refusal = self._refusal or (lambda: LogClosedError(self._where))
            self._finalizer()
            _OPEN.discard(self)

    def _check_open(self) -> None:
        if self._refusal is not None:
            raise self._refusal()

    def _forked(self) -> None:
        """In the child of a fork: threads are gone, and the connections are the parent's."""
        parent = os.getppid()
        self._closing = threading.Lock()
        self._refusal = lambda: UsageError(
            f"The log at {self._where!r} was opened by process {parent}, of which this process "
            f"({os.getpid()}) is a fork. Open it again here.",
            where=self._where,
        )
        self._finalizer.detach()
        _INHERITED.append(self._parts)


def host_name() -> str:
    """The machine's name, as far as it can be part of a file's or an owner's."""
    name = os.uname().nodename if hasattr(os, "uname") else "host"
    return "".join(c if c.isalnum() else "_" for c in name)[:32]


def _after_fork() -> None:
    for log in tuple(_OPEN):
        log._forked()


_OPEN: weakref.WeakSet[StoredLog] = weakref.WeakSet()
_INHERITED: list[Any] = []
"""Connections of a parent process: closing one here could end the parent's session, or its file locks."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
