"""A log whose events pass through a serialiser: so that what it encrypts is encrypted where it is kept.

Event types, ids and times stay readable; what graphs put into channels does not.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from msgspec.structs import replace

from dashflow.checkpoint.serde.base import SerializerProtocol
from dashflow.checkpoint.serde.encrypted import EncryptedSerializer
from dashflow.checkpoint.serde.jsonplus import JsonPlusSerializer
from dashflow.log.base import Append, Appended, EventLog, NewEvent, Record, StreamInfo, Subscription, Ticket
from dashflow.log.codec import decode, encode

_KEY = "sealed"
_MARK = encode({_KEY: 0})[:-1]
"""How sealed data begins; what events are by themselves never does."""


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

    def _sealed(self, event: NewEvent) -> NewEvent:
        return replace(event, data=encode({_KEY: [*self._serde.dumps_typed(event.data)]}))

    def _opened(self, record: Record) -> Record:
        """The record as it was before; those from before there was a serialiser are left as they are.

        Raises:
            ValueError: It was changed, or must be encrypted and is not.
        """
        if is_sealed(record):
            tag, data = decode(record.data)[_KEY]
            return replace(record, data=self._serde.loads_typed((tag, data)))
        if isinstance(self._serde, EncryptedSerializer) and self._serde.require_encryption:
            raise ValueError(f"Event {record.version} of {record.stream!r} is not encrypted, and must be")
        return record

    def _append(self, append: Append) -> Append:
        return replace(append, events=[self._sealed(event) for event in append.events])

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

    def read_all(self, *, after: int = 0, category: str | None = None, limit: int = 1000) -> list[Record]:
        """Events of the whole log."""
        return [*map(self._opened, self.inner.read_all(after=after, category=category, limit=limit))]

    def version(self, stream: str) -> int:
        """The stream's last version."""
        return self.inner.version(stream)

    def streams(self, *, category: str | None = None) -> list[StreamInfo]:
        """All streams, most recently written first."""
        return self.inner.streams(category=category)

    def subscribe(
        self, *, after: int = 0, stream: str | None = None, category: str | None = None
    ) -> Subscription:
        """Follow the log from a position."""
        return _Opening(self.inner.subscribe(after=after, stream=stream, category=category), self._opened)

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
