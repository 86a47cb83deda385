"""``fold(state, event) -> state``: what each event of an approval changes, as a table. Pure.

Trusts events (they were decided by ``process`` on the state before them). Decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec.structs import replace

from dashflow.hitl.core.events import (
    ApprovalCancelled,
    ApprovalCommented,
    ApprovalDecided,
    ApprovalEscalated,
    ApprovalReminded,
    ApprovalRequested,
    ApprovalSuperseded,
    DecisionTaken,
    Event,
    VoteCast,
    VoteWithdrawn,
)
from dashflow.hitl.core.state import ApprovalState, Ballot, Status


def fold(state: ApprovalState, event: Event) -> ApprovalState:
    """The state after ``event``; the one given is left as it is."""
    return _CHANGES[type(event)](state, event, {"cursor": state.cursor + 1, "updated_at": event.at})


def fold_all(events: Iterable[Event], state: ApprovalState | None = None) -> ApprovalState:
    """The state after all of ``events``, from ``state`` or from nothing."""
    state = ApprovalState() if state is None else state
    for event in events:
        state = fold(state, event)
    return state


def mark(kind: str, by: str, *parts: str) -> str:
    """What is kept of an answer with an id, to tell whether one that comes again is the same."""
    return "\x1f".join((kind, by, *parts))


def _requested(state: ApprovalState, event: ApprovalRequested, changes: dict[str, Any]) -> ApprovalState:
    return ApprovalState(
        id=event.approval,
        status=Status.OPEN,
        round=event.round,
        subject=event.subject,
        payload=event.payload,
        hash=event.hash,
        terms=event.terms,
        asked_by=event.asked_by,
        origin=event.origin,
        people=event.terms.people(event.terms.approvers),
        quorum=event.terms.quorum,
        answers=state.answers,
        asked_at=event.at,
        **changes,
    )


def _superseded(state: ApprovalState, event: ApprovalSuperseded, changes: dict[str, Any]) -> ApprovalState:
    return replace(state, **changes)  # the request that follows makes everything new


def _cast(state: ApprovalState, event: VoteCast, changes: dict[str, Any]) -> ApprovalState:
    ballot = Ballot(event.verdict, event.at, event.comment)
    told = mark("vote", event.by, event.verdict.value, event.hash)
    return replace(
        state,
        votes={**state.votes, event.by: ballot},
        answers=_noted(state, event.answer, told),
        **changes,
    )


def _withdrawn(state: ApprovalState, event: VoteWithdrawn, changes: dict[str, Any]) -> ApprovalState:
    votes = {by: ballot for by, ballot in state.votes.items() if by != event.by}
    return replace(
        state, votes=votes, answers=_noted(state, event.answer, mark("withdraw", event.by)), **changes
    )


def _commented(state: ApprovalState, event: ApprovalCommented, changes: dict[str, Any]) -> ApprovalState:
    told = mark("comment", event.by, event.text)
    return replace(state, answers=_noted(state, event.answer, told), **changes)


def _reminded(state: ApprovalState, event: ApprovalReminded, changes: dict[str, Any]) -> ApprovalState:
    return replace(state, reminded=event.number, **changes)


def _escalated(state: ApprovalState, event: ApprovalEscalated, changes: dict[str, Any]) -> ApprovalState:
    return replace(state, escalated=event.step, people=event.people, quorum=event.quorum, **changes)


def _decided(state: ApprovalState, event: ApprovalDecided, changes: dict[str, Any]) -> ApprovalState:
    return replace(
        state,
        status=Status(event.outcome),
        reason=event.reason,
        by=event.by,
        decided_at=event.at,
        **changes,
    )


def _cancelled(state: ApprovalState, event: ApprovalCancelled, changes: dict[str, Any]) -> ApprovalState:
    return replace(
        state,
        status=Status.CANCELLED,
        reason=event.reason,
        by=(event.by,) if event.by else (),
        decided_at=event.at,
        **changes,
    )


def _taken(state: ApprovalState, event: DecisionTaken, changes: dict[str, Any]) -> ApprovalState:
    return replace(state, taken=True, **changes)


def _noted(state: ApprovalState, answer: str, told: str) -> dict[str, str]:
    return {**state.answers, answer: told} if answer else state.answers


_CHANGES: dict[type, Callable[[ApprovalState, Any, dict[str, Any]], ApprovalState]] = {
    ApprovalRequested: _requested,
    ApprovalSuperseded: _superseded,
    VoteCast: _cast,
    VoteWithdrawn: _withdrawn,
    ApprovalCommented: _commented,
    ApprovalReminded: _reminded,
    ApprovalEscalated: _escalated,
    ApprovalDecided: _decided,
    ApprovalCancelled: _cancelled,
    DecisionTaken: _taken,
}
