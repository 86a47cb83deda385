"""What can happen to an approval: its event types. Frozen data; no behaviour.

``round`` counts the requests of one approval: a changed payload is asked for in a new round, and votes of the
rounds before stay what they were and count for nothing.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from dashflow.hitl.core.terms import Quorum, Terms, Verdict


class Origin(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who waits for the decision.

    Attributes:
        kind: ``graph`` or ``plan``; "" for a program that looks by itself.
        name: The graph's thread, or the plan's run.
        place: Id of the question that the thread waits at, or of the task.
        graph: Name of the graph; "" when it was given none.
    """

    kind: Literal["", "graph", "plan"] = ""
    name: str = ""
    place: str = ""
    graph: str = ""


class ApprovalEvent(msgspec.Struct, frozen=True, tag=True, kw_only=True, omit_defaults=True):
    """Base of the events of approvals. ``at``: nanoseconds since the Unix epoch."""

    at: int


class ApprovalRequested(ApprovalEvent, frozen=True, tag=True, kw_only=True, omit_defaults=True):
    """Somebody has to approve something.

    Attributes:
        approval: Id of the approval.
        round: Number of this request of it, from 1.
        subject: What is to be approved, in a line.
        payload: The very thing that is to be approved: plain data.
        hash: SHA-256 of subject and payload, in hexadecimal; votes name it.
        terms: Who may approve, how many must, and what happens as time goes by.
        asked_by: Who asks; "" for a program.
        origin: Who waits for the decision.
    """

    approval: str
    round: int
    subject: str
    payload: Any
    hash: str
    terms: Terms
    asked_by: str = ""
    origin: Origin = Origin()


class ApprovalSuperseded(ApprovalEvent, frozen=True, tag=True, kw_only=True, omit_defaults=True):
    """The request of ``round`` is void: another one takes its place. ``hash`` is that of the new one."""

    round: int
    hash: str


class VoteCast(ApprovalEvent, frozen=True, tag=True, kw_only=True, omit_defaults=True):
    """Somebody said something to the request with this hash; ``before`` is what it takes the place of."""

    round: int
    hash: str
    by: str
    verdict: Verdict
    comment: str = ""
    answer: str = ""
    before: Verdict | None = None


class VoteWithdrawn(ApprovalEvent, frozen=True, tag=True, kw_only=True, omit_defaults=True):
    """Somebody took a vote back."""

    round: int
    by: str
    comment: str = ""
    answer: str = ""


class ApprovalCommented(ApprovalEvent, frozen=True, tag=True, kw_only=True, omit_defaults=True):
    """Somebody said something without voting."""

    round: int
    by: str
    text: str
    answer: str = ""


class ApprovalReminded(ApprovalEvent, frozen=True, tag=True, kw_only=True, omit_defaults=True):
    """Those who have not voted are to be reminded.

    ``number`` counts reminders from 1. Those that nobody was there to send are not made up for: this one
    stands for ``missed`` before it. ``due`` is when it was to happen, nanoseconds since the Unix epoch.
    """

    round: int
    number: int
    due: int
    missed: int = 0


class ApprovalEscalated(ApprovalEvent, frozen=True, tag=True, kw_only=True, omit_defaults=True):
    """Step ``step`` of the terms' escalations, from 1, was due at ``due``: these people are asked now, and so
    many have to approve."""

    round: int
    step: int
    due: int
    people: tuple[str, ...]
    quorum: Quorum


class ApprovalDecided(ApprovalEvent, frozen=True, tag=True, kw_only=True, omit_defaults=True):
    """The request came to its end.

    Attributes:
        round: Of the request.
        hash: What was decided on.
        outcome: ``approved``, ``rejected`` or ``expired``.
        reason: Which rule decided: ``quorum``, ``veto``, ``out of reach`` (too few are left who could
            approve) or ``expiry``.
        by: Whose votes did.
    """

    round: int
    hash: str
    outcome: Literal["approved", "rejected", "expired"]
    reason: str
    by: tuple[str, ...] = ()


class ApprovalCancelled(ApprovalEvent, frozen=True, tag=True, kw_only=True, omit_defaults=True):
    """Nobody needs the decision any more."""

    round: int
    by: str = ""
    reason: str = ""


class DecisionTaken(ApprovalEvent, frozen=True, tag=True, kw_only=True, omit_defaults=True):
    """Who waited for the decision has it, or waits no more."""

    round: int


Event = (
    ApprovalRequested
    | ApprovalSuperseded
    | VoteCast
    | VoteWithdrawn
    | ApprovalCommented
    | ApprovalReminded
    | ApprovalEscalated
    | ApprovalDecided
    | ApprovalCancelled
    | DecisionTaken
)
"""Every event of an approval; ``codec`` knows how each is stored."""
