"""One message as a consumer's user has it: the record, and what may become of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from dashflow.log.base import Record
from dashflow.log.groups.core.state import Entry


class Settler(Protocol):
    """Who is told what became of a message."""

    def acknowledge(self, position: int) -> bool:
        """See ``Message.ack``."""
        ...

    def fail(self, position: int, attempt: int, reason: str, delay: float | None) -> bool:
        """See ``Message.nack``."""
        ...

    def bury(self, position: int, reason: str) -> bool:
        """See ``Message.reject``."""
        ...


class Message:
    """A record that this consumer, and nobody else, has to handle now.

    ``ack``, ``nack`` and ``reject`` may be called from any thread and do not wait: what they say is
    recorded together with what the consumer does next, at the latest by its ``flush`` or ``close``. They
    return False when the message is not this consumer's any more: its time has run out, and it was, or
    will be, handled by another one.

    Attributes:
        record: The event.
        key: Messages of one key are handled one after another.
        attempt: Which attempt this is, from 1.
        redelivered: Whether a consumer may have begun with it before.
    """

    __slots__ = ("_settler", "attempt", "key", "record", "redelivered")

    def __init__(self, record: Record, entry: Entry, settler: Settler) -> None:
        self.record = record
        self.key = entry.key
        self.attempt = entry.attempts + 1
        self.redelivered = entry.attempts > 0 or entry.suspect
        self._settler = settler

    def ack(self) -> bool:
        """It is done."""
        return self._settler.acknowledge(self.record.position)

    def nack(self, reason: str | BaseException = "", *, delay: float | None = None) -> bool:
        """It failed and is to be tried again, by any consumer; a dead letter after the last attempt.

        Args:
            reason: Why; kept with the message.
            delay: Seconds to wait before; None: as the group's retry policy says.
        """
        return self._settler.fail(self.record.position, self.attempt, _text(reason), delay)

    def reject(self, reason: str | BaseException = "") -> bool:
        """It cannot be handled: make it a dead letter at once."""
        return self._settler.bury(self.record.position, _text(reason))

    def __repr__(self) -> str:
        record = self.record
        return (
            f"<Message {record.type} at {record.position} ({record.stream}, version {record.version}), "
            f"attempt {self.attempt}>"
        )


Handler = Callable[[Message], object]
"""Does what a message asks for. Its error fails the message; its return acknowledges it."""

_LONGEST = 500


def _text(reason: str | BaseException) -> str:
    text = reason if isinstance(reason, str) else f"{type(reason).__name__}: {reason}"
    # No half pairs: what is written has to be readable again.
    return text[:_LONGEST].encode("utf-8", "backslashreplace").decode("utf-8")
