"""Errors of approvals: of who asks, of who votes, and of who waits."""

from __future__ import annotations

from dashflow.errors.base import DashFlowError
from dashflow.errors.usage import UsageError


class UnknownApprovalError(UsageError):
    """No approval of that id is in the log."""

    code = "UNKNOWN_APPROVAL"

    def __init__(self, approval: str, log: str) -> None:
        super().__init__(
            f"No approval {approval!r} in {log}. `dashflow approvals list` lists those of a log; --db names "
            "another log.",
            approval=approval,
            log=log,
        )


class ApprovalStateError(UsageError):
    """The approval is decided, or has expired: nothing can be said to it any more."""

    code = "APPROVAL_STATE"

    def __init__(self, approval: str, status: str, problem: str) -> None:
        super().__init__(f"Approval {approval!r} is {status}: {problem}", approval=approval, status=status)


class NotEntitledError(UsageError):
    """Somebody voted, or withdrew a vote, who may not."""

    code = "NOT_ENTITLED"

    def __init__(self, approval: str, by: str, people: tuple[str, ...]) -> None:
        shown = ", ".join(people[:10]) + (", ..." if len(people) > 10 else "")
        super().__init__(
            f"{by!r} may not decide on approval {approval!r}; these may: {shown or 'nobody'}.",
            approval=approval,
            by=by,
            people=people,
        )


class StaleApprovalError(UsageError):
    """A vote on something else than what is asked now: it changed since it was looked at."""

    code = "STALE_APPROVAL"

    def __init__(self, approval: str, seen: str, asked: str) -> None:
        super().__init__(
            f"Approval {approval!r} asks about {asked[:12]} now, and the vote is on {seen[:12]}. "
            "Nothing was recorded: look at what is asked (`dashflow approvals show`), and vote on that.",
            approval=approval,
            seen=seen,
            asked=asked,
        )


class AnswerReusedError(UsageError):
    """The id of an answer was used for another answer already."""

    code = "ANSWER_REUSED"

    def __init__(self, approval: str, answer: str) -> None:
        super().__init__(
            f"Answer {answer!r} to approval {approval!r} is recorded, and said something else. Nothing was "
            "changed: give another answer an id of its own.",
            approval=approval,
            answer=answer,
        )


class ApprovalExpiredError(DashFlowError):
    """Nobody decided in time, and the request asked for an error then."""

    code = "APPROVAL_EXPIRED"

    def __init__(self, approval: str, subject: str) -> None:
        super().__init__(
            f"Approval {approval!r} ({subject}) was not decided in time. Ask again under another name, or "
            "with more time.",
            approval=approval,
            subject=subject,
        )


class ApprovalCancelledError(DashFlowError):
    """The request was cancelled while somebody waited for its decision."""

    code = "APPROVAL_CANCELLED"

    def __init__(self, approval: str, subject: str, reason: str) -> None:
        super().__init__(
            f"Approval {approval!r} ({subject}) was cancelled" + (f": {reason}" if reason else "."),
            approval=approval,
            subject=subject,
            reason=reason,
        )
