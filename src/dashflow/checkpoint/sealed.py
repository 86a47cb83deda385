"""A log whose events pass through a serialiser: so that what it encrypts is encrypted where it is kept.

Event types, ids and times stay readable, and so do the keys of views; what graphs put into channels does
not, nor do large values, snapshots and the values of views.

Large values are kept under a keyed hash of the key that they were given: that one is a hash of their content,
by which somebody who has the file could find out whether it holds a text that he knows. The hash's own key
is made when it is first needed and kept in the log, sealed.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import blake2b
from time import time_ns
from typing import Any, Final
from uuid import uuid4
from zlib import crc32

from msgspec.structs import replace

from dashflow.checkpoint.serde.base import SerializerProtocol
from dashflow.checkpoint.serde.encrypted import EncryptedSerializer
from dashflow.checkpoint.serde.jsonplus import JsonPlusSerializer
from dashflow.errors import MissingBlobError, VersionConflictError
from dashflow.log.base import (
    Append,
    Appended,
    EventLog,
    NewEvent,
    Record,
    Snapshot,
    StreamInfo,
    Subscription,
    Ticket,
)
from dashflow.log.codec import decode, encode

_KEY = "sealed"
_MARK = encode({_KEY: 0})[:-1]
"""How sealed data begins; what events are by themselves never does."""

_SECRET: Final = "seal-blobs"
"""The stream whose only event holds the key of the hash."""


def sealed(log: EventLog, serde: SerializerProtocol) -> EventLog:
    """``log`` through ``serde``; itself if that is the usual one, for which the log's own codec stands."""
    inner = log.inner if isinstance(log, SealedLog) else log
    return inner if type(serde) is JsonPlusSerializer else SealedLog(inner, serde)


def is_sealed(record: Record) -> bool:
    """Whether only who has the serialiser can read what a record says."""
    return record.data.startswith(_MARK)


class SealedLog:
    """An event log that keeps its events' data as a serialiser makes it. See ``EventLog``.

    Args:
        inner: Where the events are kept.
        serde: Makes (tag, bytes) of bytes, and bytes of these.

    Attributes:
        inner: See above.
    """

    def __init__(self, inner: EventLog, serde: SerializerProtocol) -> None:
        self.inner = inner
        self._serde = serde
        self._secret: bytes | None = None

    # -- sealing ------------------------------------------------------------------------------

    def _seal(self, data: bytes) -> bytes:
        return encode({_KEY: [*self._serde.dumps_typed(data)]})

    def _open(self, data: bytes, what: str) -> bytes:
        """The data as it was before; what is from before there was a serialiser is left as it is.

        Raises:
            ValueError: It was changed, or must be encrypted and is not.
        """
        if data.startswith(_MARK):
            tag, content = decode(data)[_KEY]
            opened: bytes = self._serde.loads_typed((tag, content))
            return opened
        if self._strict:
            raise ValueError(f"{what} is not encrypted, and must be")
        return data

    @property
    def _strict(self) -> bool:
        return isinstance(self._serde, EncryptedSerializer) and self._serde.require_encryption

    def _sealed(self, event: NewEvent) -> NewEvent:
        blobs = event.blobs
        if blobs:
            blobs = {self._key_of(key): self._seal(encode([key, data])) for key, data in blobs.items()}
        return replace(event, data=self._seal(event.data), blobs=blobs)

    def _opened(self, record: Record) -> Record:
        """The record as it was before; see ``_open``."""
        data = self._open(record.data, f"Event {record.version} of {record.stream!r}")
        return record if data is record.data else replace(record, data=data, checksum=crc32(data))

    def _append(self, append: Append) -> Append:
        return replace(append, events=[self._sealed(event) for event in append.events])

    def _key_of(self, key: bytes) -> bytes:
        """The key under which a large value is kept: it tells nothing of the value without the secret."""
        self._secret = self._secret or self._find_secret() or self._make_secret()
        return _hash(key, self._secret)

    def _find_secret(self) -> bytes | None:
        return next((record.data for record in self.read(_SECRET, limit=1)), None)

    def _make_secret(self) -> bytes:
        secret = NewEvent("SecretMade", os.urandom(32), uuid4().bytes, time_ns())
        try:
            self.append(Append(_SECRET, [secret], expected=0))
        except VersionConflictError:
            # Somebody else was faster: theirs counts. None left of it is an error, not a reason for another.
            return next(record.data for record in self.read(_SECRET, limit=1))
        return secret.data

    # -- events -------------------------------------------------------------------------------

    @property
    def instance(self) -> str:
        """Identity of this open log in this process."""
        return self.inner.instance

    @property
    def where(self) -> str:
        """Where the log is, for messages."""
        return self.inner.where

    def submit(self, append: Append) -> Ticket:
        """Hand over an append without waiting."""
        return self.inner.submit(self._append(append))

    def append(self, append: Append) -> Appended:
        """Append and wait until it is durable."""
        return self.inner.append(self._append(append))

    def read(
        self, stream: str, *, after: int = 0, upto: int | None = None, limit: int | None = None
    ) -> list[Record]:
        """Events of a stream."""
        return [*map(self._opened, self.inner.read(stream, after=after, upto=upto, limit=limit))]

    def read_all(
        self,
        *,
        after: int = 0,
        category: str | None = None,
        types: Sequence[str] = (),
        correlation: str = "",
        limit: int = 1000,
    ) -> list[Record]:
        """Events of the whole log."""
        records = self.inner.read_all(
            after=after, category=category, types=types, correlation=correlation, limit=limit
        )
        return [*map(self._opened, records)]

    def version(self, stream: str) -> int:
        """The stream's last version."""
        return self.inner.version(stream)

    def versions(self, streams: Sequence[str]) -> list[int]:
        """The last versions of several streams."""
        return self.inner.versions(streams)

    def glance(self, streams: Sequence[str]) -> list[int] | None:
        """The same, where it needs no waiting."""
        return self.inner.glance(streams)

    def streams(self, *, category: str | None = None, prefix: str = "", stream: str = "") -> list[StreamInfo]:
        """The streams that have events, most recently written first."""
        return self.inner.streams(category=category, prefix=prefix, stream=stream)

    def abandoned(self, *, category: str | None = None) -> list[StreamInfo]:
        """Streams whose owner is dead, oldest first."""
        return self.inner.abandoned(category=category)

    def subscribe(
        self,
        *,
        after: int = 0,
        stream: str | None = None,
        category: str | None = None,
        types: Sequence[str] = (),
        correlation: str = "",
    ) -> Subscription:
        """Follow the log from a position."""
        inner = self.inner.subscribe(
            after=after, stream=stream, category=category, types=types, correlation=correlation
        )
        return _Opening(inner, self._opened)

    # -- beside the events ----------------------------------------------------------------------

    def blob(self, key: bytes) -> bytes:
        """A large value; one that was kept before there was a serialiser, too, unless that is forbidden."""
        self._secret = self._secret or self._find_secret()
        if self._secret is not None:
            with suppress(MissingBlobError):  # from before, or not there
                return self._blob(_hash(key, self._secret))[1]
        if self._strict:
            raise MissingBlobError(self.where, key)
        return self.inner.blob(key)

    def _blob(self, kept: bytes) -> tuple[bytes, bytes]:
        """The key that a large value was given, and the value; ``kept`` is the key under which it is kept."""
        key, data = decode(self._open(self.inner.blob(kept), f"The value {kept.hex()}"))
        return key, data

    def needs(self, stream: str) -> dict[bytes, int]:
        """Keys of the large values that a stream needs; the sealed ones are read, for they tell theirs."""
        found: dict[bytes, int] = {}
        for kept, version in self.inner.needs(stream).items():
            sealed = self.inner.blob(kept).startswith(_MARK)
            key = self._blob(kept)[0] if sealed else kept
            found[key] = max(version, found.get(key, 0))
        return found

    def keep_snapshot(self, stream: str, snapshot: Snapshot, *, alone: bool = False) -> None:
        """Keep what folding a stream came to."""
        self.inner.keep_snapshot(stream, replace(snapshot, data=self._seal(snapshot.data)), alone=alone)

    def snapshot(self, stream: str, *, upto: int | None = None) -> Snapshot | None:
        """The latest snapshot of a stream."""
        found = self.inner.snapshot(stream, upto=upto)
        if found is None:
            return None
        data = self._open(found.data, f"The snapshot of {stream!r} at version {found.version}")
        return replace(found, data=data)

    def project(
        self, view: str, position: int, changes: Mapping[str, bytes | None], *, expected: int
    ) -> None:
        """Change a view."""
        sealed = {key: None if data is None else self._seal(data) for key, data in changes.items()}
        self.inner.project(view, position, sealed, expected=expected)

    def view_position(self, view: str) -> int:
        """Up to which position a view has seen the log."""
        return self.inner.view_position(view)

    def view(
        self, view: str, *, prefix: str = "", after: str = "", limit: int | None = None
    ) -> dict[str, bytes]:
        """Entries of a view."""
        found = self.inner.view(view, prefix=prefix, after=after, limit=limit)
        return {key: self._open(data, f"Entry {key!r} of view {view!r}") for key, data in found.items()}

    def drop_view(self, view: str) -> None:
        """Remove a view whole."""
        self.inner.drop_view(view)

    def close(self) -> None:
        """Commit what was submitted, and close."""
        self.inner.close()


class _Opening:
    """A subscription to sealed events."""

    def __init__(self, inner: Subscription, opened: Any) -> None:
        self._inner = inner
        self._opened = opened

    def poll(self, timeout: float | None = None, limit: int = 500) -> list[Record]:
        """The next events."""
        return [*map(self._opened, self._inner.poll(timeout, limit))]

    def close(self) -> None:
        """End the subscription."""
        self._inner.close()

    def __iter__(self) -> Iterator[Record]:
        return map(self._opened, self._inner)

    async def __aiter__(self) -> AsyncIterator[Record]:
        async for record in self._inner:
            yield self._opened(record)


def _hash(key: bytes, secret: bytes) -> bytes:
    return blake2b(key, key=secret, digest_size=32).digest()
