"""Notices: telling people what is asked of them, through a port of the program's own.

At least once, under a key that stays the same: how far it was told is a position in the log, moved after the
telling. One process at a time tells, whoever owns the stream; what dies is taken over like a run.
"""

from __future__ import annotations

from typing import Final, Literal, Protocol

import msgspec

from dashflow._util.drive import drive
from dashflow.engine.ports import Host
from dashflow.errors import FencedError, OwnershipConflictError, VersionConflictError
from dashflow.hitl.core import codec
from dashflow.hitl.core.events import (
    ApprovalCancelled,
    ApprovalDecided,
    ApprovalEscalated,
    ApprovalReminded,
    ApprovalRequested,
    Event,
)
from dashflow.hitl.core.fold import fold
from dashflow.hitl.core.state import ApprovalState
from dashflow.log.base import Append, EventLog, Record

What = Literal["asked", "reminder", "escalated", "decided", "cancelled"]

_ABOUT: Final[dict[type, What]] = {
    ApprovalRequested: "asked",
    ApprovalReminded: "reminder",
    ApprovalEscalated: "escalated",
    ApprovalDecided: "decided",
    ApprovalCancelled: "cancelled",
}
_TYPES: Final = tuple(sorted(kind.__name__ for kind in _ABOUT))
_PAGE: Final = 100


class Notice(msgspec.Struct, frozen=True):
    """Something that people should hear of.

    Attributes:
        key: The same whenever this notice is given again: hand it to a receiver that deduplicates.
        what: What happened.
        to: Whom to tell: those who have not voted; of a decision, who asked.
        approval: Id of the approval.
        subject: What it is about, in a line.
        hash: Of what is asked, for the vote.
        outcome: What was decided; "" otherwise.
        expires_at: When it expires, nanoseconds since the Unix epoch; 0: never.
    """

    key: str
    what: What
    to: tuple[str, ...]
    approval: str
    subject: str
    hash: str
    outcome: str = ""
    expires_at: int = 0


class Notifier(Protocol):
    """Tells people: by mail, in a chat, whatever a program has."""

    def notify(self, notice: Notice) -> None:
        """Tell it. Called again with the same ``key`` after a crash, or when this raised; on a thread of a
        worker's."""
        ...


class Notices:
    """How far a notifier was told what happens to the approvals of a log.

    Args:
        host: A synchronous host.
        log: Where they are.
        notifier: Who is told.
        name: Of this notifier: others hear of everything themselves.

    Attributes:
        done: Whether there was nothing left to tell at the last look.
    """

    def __init__(self, host: Host, log: EventLog, notifier: Notifier, name: str = "default") -> None:
        self._host = host
        self._log = log
        self._notifier = notifier
        self._view = f"approval-notices.{name}"
        self._stream = f"notifier-{name}"
        self._owner = ""
        self._epoch = 0
        self.done = False

    def deliver(self) -> int:
        """Tell what has not been told, if nobody alive does so elsewhere; how many notices that were.

        Raises:
            LogError: The log cannot be used.
            Exception: What the notifier raised; that notice is given again.
        """
        log, told = self._log, 0
        self.done = False
        while records := log.read_all(
            after=(position := log.view_position(self._view)),
            category=codec.CATEGORY,
            types=_TYPES,
            limit=_PAGE,
        ):
            if not self._claimed():
                return told
            for record in records:
                notice = self._notice(record)
                if notice is not None:
                    self._notifier.notify(notice)
                    told += 1
                try:
                    log.project(self._view, record.position, {}, expected=position)
                except VersionConflictError:  # somebody took over, and is further
                    self._owner = ""
                    return told
                position = record.position
        self.done = True
        return told

    def leave(self) -> None:
        """Let others tell."""
        owner, self._owner = self._owner, ""
        if owner:
            append = Append(self._stream, owner=owner, epoch=self._epoch, release=True)
            try:
                drive(self._host.append(self._log, append))
            except FencedError:
                return  # somebody else has it already

    def _claimed(self) -> bool:
        """Whether this process is the one that tells."""
        owner = self._owner or f"{self._log.instance}/notices/{self._host.entropy():016x}"
        claim = Append(self._stream, owner=owner, epoch=self._epoch, claim=not self._owner)
        try:
            self._epoch = drive(self._host.append(self._log, claim)).epoch
        except (OwnershipConflictError, FencedError):
            self._owner = ""
            return False
        self._owner = owner
        return True

    def _notice(self, record: Record) -> Notice | None:
        """The notice of an event; None where nobody needs it any more."""
        then, now = ApprovalState(), ApprovalState()
        event: Event | None = None
        for one in self._log.read(record.stream):
            found = codec.decode(one)
            now = fold(now, found)
            if one.version == record.version:
                then, event = now, found
        if event is None or then.round != now.round:
            return None
        what = _ABOUT[type(event)]
        over = isinstance(event, ApprovalDecided | ApprovalCancelled)
        if not (over or now.open):
            return None
        asker = (then.asked_by,) if then.asked_by else ()
        return Notice(
            key=record.event_id.hex(),
            what=what,
            to=asker if over else now.missing,
            approval=then.id,
            subject=then.subject,
            hash=then.hash,
            outcome=then.status.value if then.over else "",
            expires_at=then.expires_at,
        )
