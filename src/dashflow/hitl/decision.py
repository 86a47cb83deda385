"""Decision: what an approval came to, as who waits for it gets it. Plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from dashflow.errors import ApprovalCancelledError, ApprovalExpiredError
from dashflow.hitl.core.state import ApprovalState


@dataclass(frozen=True)
class Decision:
    """What an approval came to.

    Attributes:
        approval: Its id.
        round: Number of the request that was decided.
        subject: What it was about, in a line.
        hash: Of what was decided on, see ``ApprovalState.hash``.
        outcome: ``approved``, ``rejected``, ``expired`` or ``cancelled``.
        reason: Why: ``quorum``, ``veto``, ``out of reach``, ``expiry``, or words of who cancelled it.
        by: Whose votes decided it, or who cancelled it.
        comments: What they wrote with it, by who did.
    """

    approval: str
    round: int
    subject: str
    hash: str
    outcome: str
    reason: str
    by: tuple[str, ...] = ()
    comments: tuple[tuple[str, str], ...] = ()

    @property
    def approved(self) -> bool:
        """Whether it may be done."""
        return self.outcome == "approved"

    def plain(self) -> dict[str, Any]:
        """As plain data, which can be recorded as an answer."""
        told = asdict(self)
        return {**told, "by": [*self.by], "comments": [[*one] for one in self.comments]}

    def checked(self) -> Decision:
        """Itself, if somebody decided.

        Raises:
            ApprovalExpiredError: Nobody did in time.
            ApprovalCancelledError: The request was cancelled.
        """
        if self.outcome == "expired":
            raise ApprovalExpiredError(self.approval, self.subject)
        if self.outcome == "cancelled":
            raise ApprovalCancelledError(self.approval, self.subject, self.reason)
        return self


def decision_of(state: ApprovalState) -> Decision | None:
    """What an approval came to; None while it is open."""
    if not state.over:
        return None
    comments = tuple((one, vote.comment) for one, vote in sorted(state.votes.items()) if vote.comment)
    return Decision(
        approval=state.id,
        round=state.round,
        subject=state.subject,
        hash=state.hash,
        outcome=state.status.value,
        reason=state.reason,
        by=state.by,
        comments=comments,
    )
