"""What is known about an approval: the state that ``fold`` makes of events. Frozen data; decides nothing."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from dashflow.hitl.core.events import Origin
from dashflow.hitl.core.terms import SECOND, Quorum, Terms, Verdict


class Status(StrEnum):
    """Where an approval stands."""

    NONE = ""
    """Nothing was ever asked."""
    OPEN = "open"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"
    """Not decided in time, and neither approved nor rejected by that."""
    CANCELLED = "cancelled"


class Ballot(msgspec.Struct, frozen=True, omit_defaults=True):
    """What somebody says: the vote that counts. ``at``: nanoseconds since the Unix epoch."""

    verdict: Verdict
    at: int
    comment: str = ""


class ApprovalState(msgspec.Struct, frozen=True, omit_defaults=True):
    """One approval, after ``cursor`` events.

    Attributes:
        id: Of the approval; empty before anything was asked.
        status: Of its present request.
        round: Number of that request, from 1; 0 before the first.
        subject, payload, hash, terms, asked_by, origin: As asked; see ``events.ApprovalRequested``.
        people: Who may vote now, sorted.
        quorum: How many have to approve now.
        votes: What counts, by who said it.
        answers: What was recorded under each answer's id, over all rounds.
        reminded: Number of the last reminder.
        escalated: How many steps of the escalations were made.
        reason: Why it was decided, or cancelled.
        by: Whose votes decided it.
        taken: Whether who waited for the decision has it.
        asked_at, decided_at, updated_at: Nanoseconds since the Unix epoch; 0: not yet.
        cursor: How many events were folded: the version of the stream.
    """

    id: str = ""
    status: Status = Status.NONE
    round: int = 0
    subject: str = ""
    payload: Any = None
    hash: str = ""
    terms: Terms = Terms(())
    asked_by: str = ""
    origin: Origin = Origin()
    people: tuple[str, ...] = ()
    quorum: Quorum = 1
    votes: dict[str, Ballot] = {}
    answers: dict[str, str] = {}
    reminded: int = 0
    escalated: int = 0
    reason: str = ""
    by: tuple[str, ...] = ()
    taken: bool = False
    asked_at: int = 0
    decided_at: int = 0
    updated_at: int = 0
    cursor: int = 0

    @property
    def open(self) -> bool:
        """Whether it waits for votes."""
        return self.status is Status.OPEN

    @property
    def over(self) -> bool:
        """Whether its present request came to its end."""
        return self.status not in (Status.NONE, Status.OPEN)

    @property
    def missing(self) -> tuple[str, ...]:
        """Who may vote and has not; empty once it is decided."""
        return tuple(one for one in self.people if one not in self.votes) if self.open else ()

    @property
    def expires_at(self) -> int:
        """When it expires, nanoseconds since the Unix epoch; 0: never."""
        after = self.terms.expires_after
        return 0 if after is None else self.asked_at + int(after * SECOND)

    def said(self, verdict: Verdict) -> tuple[str, ...]:
        """Who of those who may vote said this, sorted."""
        votes = self.votes
        return tuple(one for one in self.people if one in votes and votes[one].verdict is verdict)
