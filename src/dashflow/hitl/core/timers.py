"""What is due to an open approval, and when. Pure arithmetic; fires nothing.

Times are those of the request plus the terms' seconds, so a clock that jumps fires nothing twice: what was
done is counted in the state.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec

from dashflow.hitl.core.state import ApprovalState
from dashflow.hitl.core.terms import SECOND


class Kind(IntEnum):
    """What is due; of two at one time, the lower comes first."""

    EXPIRY = 0
    ESCALATION = 1
    REMINDER = 2


class Due(msgspec.Struct, frozen=True, order=True):
    """Something that is to happen at a time, nanoseconds since the Unix epoch.

    ``number`` is that of the reminder or step, from 1.
    """

    at: int
    kind: Kind
    number: int = 0


def upcoming(state: ApprovalState) -> Due | None:
    """What happens next to an approval if nobody says anything; None: nothing ever."""
    if not state.open:
        return None
    found = [one for one in (_expiry(state), _escalation(state), _reminder(state)) if one is not None]
    return min(found, default=None)


def last_reminder(state: ApprovalState, now: int) -> Due | None:
    """The reminder that is due at ``now``, before anything else is: of several, the last."""
    first = _reminder(state)
    if first is None or first.at > now:
        return None
    others = [one.at - 1 for one in (_expiry(state), _escalation(state)) if one is not None]
    every = _every(state)
    number = (min([now, *others]) - state.asked_at) // every
    return Due(state.asked_at + number * every, Kind.REMINDER, number) if number >= first.number else None


def _expiry(state: ApprovalState) -> Due | None:
    return Due(state.expires_at, Kind.EXPIRY) if state.expires_at else None


def _escalation(state: ApprovalState) -> Due | None:
    if state.escalated >= len(state.terms.escalations):
        return None
    step = state.terms.escalations[state.escalated]
    return Due(state.asked_at + int(step.after * SECOND), Kind.ESCALATION, state.escalated + 1)


def _reminder(state: ApprovalState) -> Due | None:
    if state.terms.remind_every is None:
        return None
    number = state.reminded + 1
    return Due(state.asked_at + number * _every(state), Kind.REMINDER, number)


def _every(state: ApprovalState) -> int:
    return max(1, int((state.terms.remind_every or 0) * SECOND))
