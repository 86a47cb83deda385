"""People in the loop: approvals with several approvers, a quorum, expiry, escalation, and an audit trail."""

from dashflow.hitl.approvals import Approvals
from dashflow.hitl.asking import aapproval, approval
from dashflow.hitl.core.events import Origin
from dashflow.hitl.core.state import ApprovalState, Status
from dashflow.hitl.core.terms import Escalation, OnExpiry, Terms, Verdict
from dashflow.hitl.decision import Decision
from dashflow.hitl.notices import Notice, Notifier

__all__ = (
    "ApprovalState",
    "Approvals",
    "Decision",
    "Escalation",
    "Notice",
    "Notifier",
    "OnExpiry",
    "Origin",
    "Status",
    "Terms",
    "Verdict",
    "aapproval",
    "approval",
)
