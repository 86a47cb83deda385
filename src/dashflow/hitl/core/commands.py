"""What may be asked of an approval: its commands. Frozen data; no behaviour.

Every command has ``now``, nanoseconds since the Unix epoch: the handler asks no clock.
"""

from __future__ import annotations

from typing import Any

import msgspec

from dashflow.hitl.core.events import Origin
from dashflow.hitl.core.terms import Terms, Verdict


class ApprovalCommand(msgspec.Struct, frozen=True, kw_only=True):
    """Base of the commands of approvals. ``now``: nanoseconds since the Unix epoch."""

    now: int


class Ask(ApprovalCommand, frozen=True, kw_only=True):
    """Ask for an approval; fields as in ``events.ApprovalRequested``.

    What is asked already on the same terms is not asked again. Another payload, or other terms, are a new
    request that takes the place of the one before it.
    """

    approval: str
    subject: str
    payload: Any
    hash: str
    terms: Terms
    asked_by: str = ""
    origin: Origin = Origin()


class Vote(ApprovalCommand, frozen=True, kw_only=True):
    """Say something to the request whose hash is ``seen``; it takes the place of what ``by`` said before.

    ``answer`` names this answer, so that one that is sent twice is recorded once; "" for none.
    """

    by: str
    verdict: Verdict
    seen: str
    comment: str = ""
    answer: str = ""


class WithdrawVote(ApprovalCommand, frozen=True, kw_only=True):
    """Take one's vote back."""

    by: str
    comment: str = ""
    answer: str = ""


class Comment(ApprovalCommand, frozen=True, kw_only=True):
    """Say something without voting, also after the decision."""

    by: str
    text: str
    answer: str = ""


class CancelRequest(ApprovalCommand, frozen=True, kw_only=True):
    """Nobody needs the approval any more."""

    by: str = ""
    reason: str = ""


class Tick(ApprovalCommand, frozen=True, kw_only=True):
    """Time has gone by: do what is due."""


class TakeDecision(ApprovalCommand, frozen=True, kw_only=True):
    """Who asked round ``round`` has the decision."""

    round: int


Command = Ask | Vote | WithdrawVote | Comment | CancelRequest | Tick | TakeDecision
"""Every command of an approval; ``process`` has a row for each."""
