"""``process(state, command) -> events``: what each command of an approval leads to, as a table. Pure.

What was said already changes nothing; what may not be said raises a ``UsageError``. A request is decided
once, in the same events as the vote or the time that decided it, and nothing after that changes its outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from dashflow.errors import (
    AnswerReusedError,
    ApprovalStateError,
    NotEntitledError,
    StaleApprovalError,
    UsageError,
)
from dashflow.hitl.core.commands import (
    Ask,
    CancelRequest,
    Command,
    Comment,
    TakeDecision,
    Tick,
    Vote,
    WithdrawVote,
)
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
from dashflow.hitl.core.fold import fold, mark
from dashflow.hitl.core.state import ApprovalState, Status
from dashflow.hitl.core.terms import EVERYBODY, OnExpiry, Verdict, needed
from dashflow.hitl.core.timers import Due, Kind, last_reminder, upcoming

Decide = Callable[[ApprovalState, Any], list[Event]]


def process(state: ApprovalState, command: Command) -> list[Event]:
    """The events that ``command`` leads to in ``state``; empty when it changes nothing.

    Raises:
        ApprovalStateError: The approval is decided, or nothing was asked.
        NotEntitledError: Somebody who may not vote.
        StaleApprovalError: A vote on something else than what is asked.
        AnswerReusedError: An answer's id that was used for another answer.
        UsageError: Terms that cannot be.
    """
    return TABLE[state.status][type(command)](state, command)


# -- asking -------------------------------------------------------------------------------------


def _ask(state: ApprovalState, command: Ask) -> list[Event]:
    command.terms.check()
    if not command.subject.strip():
        raise UsageError("The approval has no subject. Say in a line what is to be approved.")
    return [
        ApprovalRequested(
            at=command.now,
            approval=command.approval,
            round=state.round + 1,
            subject=command.subject,
            payload=command.payload,
            hash=command.hash,
            terms=command.terms,
            asked_by=command.asked_by,
            origin=command.origin,
        )
    ]


def _ask_again(state: ApprovalState, command: Ask) -> list[Event]:
    if (command.hash, command.terms, command.origin) == (state.hash, state.terms, state.origin):
        return []
    superseded = ApprovalSuperseded(at=command.now, round=state.round, hash=command.hash)
    return [superseded, *_ask(state, command)]


# -- saying something ---------------------------------------------------------------------------


def _vote(state: ApprovalState, command: Vote) -> list[Event]:
    told = mark("vote", command.by, command.verdict.value, command.seen)
    if _recorded(state, command.answer, told):
        return []
    _refuse_late(state, command.now)
    if command.by not in state.people:
        raise NotEntitledError(state.id, command.by, state.people)
    if command.seen != state.hash:
        raise StaleApprovalError(state.id, command.seen, state.hash)
    before = state.votes.get(command.by)
    if before is not None and (before.verdict, before.comment) == (command.verdict, command.comment):
        return []
    cast = VoteCast(
        at=command.now,
        round=state.round,
        hash=state.hash,
        by=command.by,
        verdict=command.verdict,
        comment=command.comment,
        answer=command.answer,
        before=None if before is None else before.verdict,
    )
    return [cast, *_settled(fold(state, cast), command.now)]


def _vote_late(state: ApprovalState, command: Vote) -> list[Event]:
    told = mark("vote", command.by, command.verdict.value, command.seen)
    if _recorded(state, command.answer, told):
        return []
    there = state.votes.get(command.by)
    if there is not None and (there.verdict, state.hash) == (command.verdict, command.seen):
        return []  # sent again, perhaps since the first time nobody heard that it had come
    raise _closed(state)


def _withdraw(state: ApprovalState, command: WithdrawVote) -> list[Event]:
    if _recorded(state, command.answer, mark("withdraw", command.by)):
        return []
    _refuse_late(state, command.now)
    if command.by not in state.people:
        raise NotEntitledError(state.id, command.by, state.people)
    if command.by not in state.votes:
        return []
    withdrawn = VoteWithdrawn(
        at=command.now,
        round=state.round,
        by=command.by,
        comment=command.comment,
        answer=command.answer,
    )
    return [withdrawn, *_settled(fold(state, withdrawn), command.now)]


def _withdraw_late(state: ApprovalState, command: WithdrawVote) -> list[Event]:
    if _recorded(state, command.answer, mark("withdraw", command.by)):
        return []
    raise _closed(state)


def _comment(state: ApprovalState, command: Comment) -> list[Event]:
    if _recorded(state, command.answer, mark("comment", command.by, command.text)):
        return []
    if command.by not in (*state.people, *state.votes) and command.by != state.asked_by:
        raise NotEntitledError(state.id, command.by, state.people)
    if not command.text.strip():
        raise UsageError("The comment is empty.")
    return [
        ApprovalCommented(
            at=command.now,
            round=state.round,
            by=command.by,
            text=command.text,
            answer=command.answer,
        )
    ]


def _recorded(state: ApprovalState, answer: str, told: str) -> bool:
    """Whether an answer with this id is recorded. Raises ``AnswerReusedError`` if it was another one."""
    known = state.answers.get(answer) if answer else None
    if known is None:
        return False
    if known != told:
        raise AnswerReusedError(state.id, answer)
    return True


def _refuse_late(state: ApprovalState, now: int) -> None:
    """Time decides also where nobody was there to record it."""
    if state.expires_at and now >= state.expires_at:
        raise ApprovalStateError(state.id, "over", "its time is up; nothing can be said to it any more.")


# -- coming to a decision -----------------------------------------------------------------------


def _settled(state: ApprovalState, now: int) -> list[Event]:
    """The decision, if what was said so far makes one."""
    approvals = state.said(Verdict.APPROVE)
    rejections = state.said(Verdict.REJECT)
    abstained = len(state.said(Verdict.ABSTAIN))
    wanted = needed(state.quorum, len(state.people), abstained)
    veto = state.terms.veto
    feared = {*(state.people if EVERYBODY in veto else state.terms.people(veto))}
    vetoes = tuple(one for one in rejections if one in feared)
    if vetoes:
        return [_decided(state, now, "rejected", "veto", vetoes)]
    if len(approvals) >= wanted:
        return [_decided(state, now, "approved", "quorum", approvals)]
    if rejections and len(state.people) - abstained - len(rejections) < wanted:
        return [_decided(state, now, "rejected", "out of reach", rejections)]
    return []


def _decided(
    state: ApprovalState,
    now: int,
    outcome: Literal["approved", "rejected", "expired"],
    reason: str,
    by: tuple[str, ...] = (),
) -> ApprovalDecided:
    return ApprovalDecided(at=now, round=state.round, hash=state.hash, outcome=outcome, reason=reason, by=by)


def _cancel(state: ApprovalState, command: CancelRequest) -> list[Event]:
    cancelled = ApprovalCancelled(at=command.now, round=state.round, by=command.by, reason=command.reason)
    return [cancelled]


def _cancel_late(state: ApprovalState, command: CancelRequest) -> list[Event]:
    if state.status is Status.CANCELLED:
        return []
    raise _closed(state)


# -- time ---------------------------------------------------------------------------------------


def _tick(state: ApprovalState, command: Tick) -> list[Event]:
    """All that is due, in the order of its times; what comes of each before the next."""
    events: list[Event] = []
    while (due := upcoming(state)) is not None and due.at <= command.now:
        for event in _happens(state, due, command.now):
            state = fold(state, event)
            events.append(event)
    return events


def _happens(state: ApprovalState, due: Due, now: int) -> list[Event]:
    if due.kind is Kind.EXPIRY:
        return [_expired(state, now)]
    if due.kind is Kind.ESCALATION:
        escalated = _escalated(state, due, now)
        return [escalated, *_settled(fold(state, escalated), now)]
    last = last_reminder(state, now) or due
    return [
        ApprovalReminded(
            at=now,
            round=state.round,
            number=last.number,
            due=last.at,
            missed=last.number - due.number,
        )
    ]


def _expired(state: ApprovalState, now: int) -> ApprovalDecided:
    match state.terms.on_expiry:
        case OnExpiry.APPROVE:
            return _decided(state, now, "approved", "expiry")
        case OnExpiry.REJECT:
            return _decided(state, now, "rejected", "expiry")
        case OnExpiry.ERROR:
            return _decided(state, now, "expired", "expiry")


def _escalated(state: ApprovalState, due: Due, now: int) -> ApprovalEscalated:
    step = state.terms.escalations[due.number - 1]
    more = state.terms.people(step.approvers)
    people = more if step.instead else tuple(sorted({*state.people, *more}))
    quorum = state.quorum if step.quorum is None else step.quorum
    return ApprovalEscalated(
        at=now, round=state.round, step=due.number, due=due.at, people=people, quorum=quorum
    )


# -- after it -----------------------------------------------------------------------------------


def _take(state: ApprovalState, command: TakeDecision) -> list[Event]:
    if state.taken or command.round != state.round:
        return []
    return [DecisionTaken(at=command.now, round=state.round)]


def _take_early(state: ApprovalState, command: TakeDecision) -> list[Event]:
    if command.round < state.round:  # of a request that another one took the place of
        return []
    raise ApprovalStateError(state.id, "open", "there is no decision yet that could be taken.")


def _nothing(state: ApprovalState, command: Command) -> list[Event]:
    return []


def _unasked(state: ApprovalState, command: Command) -> list[Event]:
    raise ApprovalStateError(state.id or "?", "unknown", "nothing was asked.")


def _closed(state: ApprovalState) -> ApprovalStateError:
    return ApprovalStateError(
        state.id, state.status.value, "it is decided, and nothing can be changed about that."
    )


_OVER: Final[Mapping[type, Decide]] = {
    Ask: _ask_again,
    Vote: _vote_late,
    WithdrawVote: _withdraw_late,
    Comment: _comment,
    CancelRequest: _cancel_late,
    Tick: _nothing,
    TakeDecision: _take,
}

TABLE: Final[Mapping[Status, Mapping[type, Decide]]] = {
    Status.NONE: {
        Ask: _ask,
        Vote: _unasked,
        WithdrawVote: _unasked,
        Comment: _unasked,
        CancelRequest: _unasked,
        Tick: _nothing,
        TakeDecision: _unasked,
    },
    Status.OPEN: {
        Ask: _ask_again,
        Vote: _vote,
        WithdrawVote: _withdraw,
        Comment: _comment,
        CancelRequest: _cancel,
        Tick: _tick,
        TakeDecision: _take_early,
    },
    Status.APPROVED: _OVER,
    Status.REJECTED: _OVER,
    Status.EXPIRED: _OVER,
    Status.CANCELLED: _OVER,
}
"""What each command leads to, by where the approval stands."""
