"""What happens to a consumer group, as events of its own stream: past tense, plain, versioned. No behaviour.

Messages are named by their record's position in the log. ``at`` is nanoseconds since the Unix epoch and
came in with the command. Events are stored as arrays: fields are only ever added at the end.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

FROM_NOW = -1
"""``GroupCreated.start``: behind everything that was in the log before this event."""


class GroupCreated(msgspec.Struct, frozen=True, array_like=True):
    """The group begins: which records it is about, and behind which position it starts."""

    type: ClassVar[str] = "GroupCreated"
    at: int
    category: str | None = None
    types: tuple[str, ...] = ()
    correlation: str = ""
    start: int = 0


class MessagesClaimed(msgspec.Struct, frozen=True, array_like=True):
    """A consumer took messages; nobody else gets them before ``until``.

    Attributes:
        at: When.
        consumer: Who.
        until: When its claim ends if it neither settles nor extends it.
        cursor: Up to this position the group has now looked at the log.
        fresh: Messages that the group had not seen: (position, key).
        again: Messages that had waited: positions.
        held: Seen, but waiting for an earlier message of the same key: (position, key).
    """

    type: ClassVar[str] = "MessagesClaimed"
    at: int
    consumer: str
    until: int
    cursor: int
    fresh: tuple[tuple[int, str], ...] = ()
    again: tuple[int, ...] = ()
    held: tuple[tuple[int, str], ...] = ()


class Failed(msgspec.Struct, frozen=True, array_like=True):
    """A message whose handling failed: why, and not before when it is to be handled again."""

    position: int
    ready_at: int = 0
    reason: str = ""


class MessagesSettled(msgspec.Struct, frozen=True, array_like=True):
    """What came of messages that a consumer had: done, failed, or given back untouched."""

    type: ClassVar[str] = "MessagesSettled"
    at: int
    consumer: str
    acknowledged: tuple[int, ...] = ()
    failed: tuple[Failed, ...] = ()
    released: tuple[int, ...] = ()


class MessagesLost(msgspec.Struct, frozen=True, array_like=True):
    """Consumers died or let their time run out; their messages are to be handled by others.

    Attributes:
        at: When it was noticed.
        counted: Messages that were all their consumer had: this was one of their attempts.
        suspected: Messages among several of a consumer. Any of them may have killed it, so none is
            counted; each is claimed alone the next time.
    """

    type: ClassVar[str] = "MessagesLost"
    at: int
    counted: tuple[int, ...] = ()
    suspected: tuple[int, ...] = ()


class ClaimsExtended(msgspec.Struct, frozen=True, array_like=True):
    """A consumer needs longer for these messages."""

    type: ClassVar[str] = "ClaimsExtended"
    at: int
    consumer: str
    until: int
    positions: tuple[int, ...] = ()


class MessagesBuried(msgspec.Struct, frozen=True, array_like=True):
    """Messages became dead letters: (position, reason). They wait for a person; others go on."""

    type: ClassVar[str] = "MessagesBuried"
    at: int
    letters: tuple[tuple[int, str], ...] = ()


class LettersRequeued(msgspec.Struct, frozen=True, array_like=True):
    """Dead letters are messages again, with no attempt counted."""

    type: ClassVar[str] = "LettersRequeued"
    at: int
    positions: tuple[int, ...] = ()


class LettersDropped(msgspec.Struct, frozen=True, array_like=True):
    """Dead letters were given up for good."""

    type: ClassVar[str] = "LettersDropped"
    at: int
    positions: tuple[int, ...] = ()


class MessagesVanished(msgspec.Struct, frozen=True, array_like=True):
    """The log has forgotten these records; there is nothing left to handle."""

    type: ClassVar[str] = "MessagesVanished"
    at: int
    positions: tuple[int, ...] = ()


class GroupMoved(msgspec.Struct, frozen=True, array_like=True):
    """The group starts again behind ``cursor``, whatever was claimed, waiting or dead."""

    type: ClassVar[str] = "GroupMoved"
    at: int
    cursor: int = 0


CHANGES = (
    GroupCreated,
    MessagesClaimed,
    MessagesSettled,
    MessagesLost,
    ClaimsExtended,
    MessagesBuried,
    LettersRequeued,
    LettersDropped,
    MessagesVanished,
    GroupMoved,
)
"""All but ``GroupSummarized``, which holds a state and therefore stands beside it."""
