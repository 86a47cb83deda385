"""The event log's port: what a backend offers and what every caller may rely on.

The contract in prose (``dashflow.testing.log_contract`` holds it as tests that any backend subclasses):

* A log is an ordered set of streams. A stream's events have versions 1, 2, 3, ... without a gap;
  every event also has a position in one global order. Positions only grow, in the order in which
  commits become visible; there may be gaps between positions.
* An ``Append`` is all or nothing, and is the only way to change a log. A refused append has written
  nothing.
* When ``append`` returns, or a ticket is done, the events survive a crash of the process and of the
  machine (durable backends) and every later read sees them.
* Tickets of one log instance become durable in the order in which they were submitted; if one of a
  stream fails, the later ones of that stream that were already submitted with an exact ``expected``
  version fail too (their expectation cannot be met).
* ``append`` is idempotent by event id: events whose ids the stream already has, at the end where
  they would go, are not written again, and the first result is returned.
* History may be forgotten, at the beginning of a stream only (``Append.forget``): versions and
  positions of what is left stay what they were, and no number is ever used twice.
* Blobs, snapshots and views stand beside the events and in the same place, so that a copy of the one
  is a copy of the other. Snapshots and views are made from events and can be made again; blobs are
  part of the events that name them.
* All methods may be called from any thread.

May import nothing but msgspec and ``dashflow.errors``; knows nothing of graphs or plans.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Final, Protocol, runtime_checkable

import msgspec

ANY: Final = -1
"""``Append.expected``: do not check the stream's version."""

EVERYTHING: Final = 2**63 - 1
"""``Append.forget``: all events that were there before this append."""

LOG_FORMAT: Final = 3
"""Number of the stored format; a log with a higher one is refused, never guessed at."""


class NewEvent(msgspec.Struct, frozen=True):
    """An event on its way into the log.

    Attributes:
        type: Past-tense name, for example ``TaskCompleted``.
        data: The encoded payload; the log never looks inside.
        event_id: 16 bytes, an UUID unique over the whole log (UUIDv7 keeps inserts local).
        at: Nanoseconds since the Unix epoch, as the host's clock told it.
        schema: Version of the payload's layout, per type, from 1.
        correlation_id: What this belongs to: the run or root command, same for all its events.
        causation_id: 16 bytes, the id of the event that made this one happen, or ``b""``.
        fingerprint: Of the graph or plan that wrote it, or ``""``.
        blobs: Large values that ``data`` names by their keys (hashes of their content) and that are
            committed with it; those that the log has already are not stored again. An event names
            here all blobs that it needs, so that none is dropped while it is there.
    """

    type: str
    data: bytes
    event_id: bytes
    at: int
    schema: int = 1
    correlation_id: str = ""
    causation_id: bytes = b""
    fingerprint: str = ""
    blobs: Mapping[bytes, bytes] = {}


class Record(msgspec.Struct, frozen=True):
    """An event as the log keeps it: the envelope and the payload.

    ``version`` counts from 1 in the stream, ``position`` in the whole log. ``category`` is the
    stream's name up to its first ``-``. ``epoch`` is the owner's fencing epoch at the time of the
    append (0: no owner). ``checksum`` is the CRC-32 of ``data``, checked by the backend on read.
    """

    position: int
    stream: str
    version: int
    category: str
    type: str
    schema: int
    event_id: bytes
    correlation_id: str
    causation_id: bytes
    at: int
    epoch: int
    fingerprint: str
    checksum: int
    data: bytes


class Append(msgspec.Struct, frozen=True):
    """One all-or-nothing change of one stream: events, and who is allowed to write them.

    Attributes:
        stream: Stream name, ``category-id``.
        events: What to append, in order; may be empty when only ownership changes.
        expected: The stream's version that the writer decided on (0: no event yet), or ``ANY``.
        owner: ``log.instance + "/" + anything``: the run that writes. Empty: nobody in particular.
        epoch: The fencing epoch that ``owner`` got when it claimed; checked when ``owner`` is set and
            ``claim`` is not.
        claim: Become the stream's owner in this commit. Refused with ``OwnershipConflictError``
            while another owner is alive and within its lease. The result has the new epoch.
        release: Give the ownership up in this commit.
        unowned: Refuse with ``OwnershipConflictError`` while anybody alive owns the stream.
        force: With ``claim``: become the owner even while another one is alive; whatever that one
            appends from now on is refused with ``FencedError``. Only such a claim may be for an owner of
            another log instance: what that one ran is taken away, and is still its own to clear up. Nobody
            renews that lease until it claims the stream itself.
        forget: In this commit, drop the stream's events up to this version for good, with the blobs
            that no other event needs and the snapshots up to it; ``EVERYTHING``: all that were there
            before this append. The append's own events stay: one that says what was forgotten (a
            tombstone), or that stands for it (a summary). A stream with no event left is still
            known by its version, which goes on from where it was.
    """

    stream: str
    events: Sequence[NewEvent] = ()
    expected: int = ANY
    owner: str = ""
    epoch: int = 0
    claim: bool = False
    release: bool = False
    unowned: bool = False
    force: bool = False
    forget: int = 0


class Appended(msgspec.Struct, frozen=True):
    """What an append came to: the stream's version and last position after it, the owner's epoch."""

    version: int
    position: int
    epoch: int = 0


class StreamInfo(msgspec.Struct, frozen=True):
    """One stream as ``streams()`` lists it; ``owner`` is empty when nobody alive owns it."""

    stream: str
    category: str
    version: int
    created_at: int
    updated_at: int
    owner: str = ""


class Snapshot(msgspec.Struct, frozen=True):
    """What folding a stream up to ``version`` came to, as bytes that only its maker understands."""

    version: int
    data: bytes
    schema: int = 1


class Ticket(Protocol):
    """A submitted append that becomes durable in the background."""

    @property
    def done(self) -> bool:
        """Whether the append was committed or refused."""
        ...

    def wait(self) -> Appended:
        """Block until it is; return the result or raise its ``LogError``."""
        ...

    def on_done(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once it is, at once if it already was; from any thread."""
        ...


class Subscription(Protocol):
    """Events after a position, first those already there, then live ones, none twice, none missed."""

    def poll(self, timeout: float | None = None, limit: int = 500) -> list[Record]:
        """The next events, at least one; an empty list after ``timeout`` seconds or when closed."""
        ...

    def close(self) -> None:
        """End the subscription; a blocked ``poll`` returns."""
        ...

    def __iter__(self) -> Iterator[Record]: ...

    def __aiter__(self) -> AsyncIterator[Record]: ...


class Streams(Protocol):
    """The part of a log that writes and reads single streams: all that a thread's run needs."""

    @property
    def instance(self) -> str:
        """Identity of this open log in this process; the first part of every owner's name."""
        ...

    @property
    def where(self) -> str:
        """Where the log is, for messages: a path or a DSN without its password."""
        ...

    def submit(self, append: Append) -> Ticket:
        """Hand over an append without waiting; see ``Ticket``."""
        ...

    def append(self, append: Append) -> Appended:
        """Append and wait until it is durable.

        Raises:
            VersionConflictError, OwnershipConflictError, FencedError, StorageUnavailableError,
            LogClosedError.
        """
        ...

    def read(
        self, stream: str, *, after: int = 0, upto: int | None = None, limit: int | None = None
    ) -> list[Record]:
        """Events of a stream with ``after < version <= upto``, oldest first; [] for an unknown one."""
        ...

    def version(self, stream: str) -> int:
        """The stream's last version; 0 for an unknown one."""
        ...

    def blob(self, key: bytes) -> bytes:
        """A blob that an event came with.

        Raises:
            MissingBlobError: The log has none of that key.
        """
        ...

    def keep_snapshot(self, stream: str, snapshot: Snapshot, *, alone: bool = False) -> None:
        """Keep what folding a stream came to; it replaces an earlier one of the same version, and with
        ``alone`` all that the stream had.

        Ignored when the stream is not that far, or forgot that version: then nobody could use it.
        """
        ...

    def snapshot(self, stream: str, *, upto: int | None = None) -> Snapshot | None:
        """The latest snapshot of a stream, or the latest one with ``version <= upto``."""
        ...


@runtime_checkable
class EventLog(Streams, Protocol):
    """An append-only event log. See the module's text for what holds for every backend."""

    def versions(self, streams: Sequence[str]) -> list[int]:
        """The last versions of several streams, in their order, asked for in one go; 0 for an unknown one.

        A few hundred are of one and the same moment; of more, all are of moments during the call.
        """
        ...

    def glance(self, streams: Sequence[str]) -> list[int] | None:
        """``versions``, where that needs no waiting for a network, a lock or a flush: for who must not block.

        None: here, or at this moment, it does; then ask ``versions``, on a thread.
        """
        ...

    def read_all(
        self,
        *,
        after: int = 0,
        category: str | None = None,
        types: Sequence[str] = (),
        correlation: str = "",
        limit: int = 1000,
    ) -> list[Record]:
        """Events of the whole log with ``position > after``, in the global order.

        Args:
            after: A position.
            category: Only of streams of this category.
            types: Only of these types; none given: of all.
            correlation: Only those with this correlation id.
            limit: How many at most.
        """
        ...

    def streams(self, *, category: str | None = None, prefix: str = "", stream: str = "") -> list[StreamInfo]:
        """The streams that have events, most recently written first.

        Args:
            category: Only those of this category.
            prefix: Only those whose names begin with it, character by character.
            stream: Only the one of this name. Both are found by an index where the log is on a disk, however
                many others there are.
        """
        ...

    def abandoned(self, *, category: str | None = None) -> list[StreamInfo]:
        """Streams whose owner died, closed its log or let its lease run out before it released them; oldest
        first.

        ``owner`` is that owner. Nobody is told of a stream twice by this alone: to take one over, claim it.
        """
        ...

    def subscribe(
        self,
        *,
        after: int = 0,
        stream: str | None = None,
        category: str | None = None,
        types: Sequence[str] = (),
        correlation: str = "",
    ) -> Subscription:
        """Follow the log from a position: catch up, then live, across processes where files are shared.

        Only the events that all given conditions hold for; see ``read_all``.
        """
        ...

    def needs(self, stream: str) -> dict[bytes, int]:
        """Keys of the blobs that a stream's events need, each with the last version that does."""
        ...

    def project(
        self, view: str, position: int, changes: Mapping[str, bytes | None], *, expected: int
    ) -> None:
        """Change a view and say up to which position of the log it has seen it, in one commit.

        Args:
            view: Its name.
            position: Up to here its maker has looked at the log.
            changes: Values by key; None removes one.
            expected: The position that the view is at, 0 for a new one.

        Raises:
            VersionConflictError: The view is at another position: somebody else keeps it too.
        """
        ...

    def view_position(self, view: str) -> int:
        """Up to which position a view has seen the log; 0 for one that is not there."""
        ...

    def view(
        self, view: str, *, prefix: str = "", after: str = "", limit: int | None = None
    ) -> dict[str, bytes]:
        """Entries of a view whose keys begin with ``prefix`` and sort after ``after``, in key order."""
        ...

    def drop_view(self, view: str) -> None:
        """Remove a view whole, to be made again from the first event."""
        ...

    def close(self) -> None:
        """Commit what was submitted, and close; who of this instance owns a stream is dead from now on. Twice
        is fine."""
        ...
