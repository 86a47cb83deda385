"""What the ``approvals`` commands have to say, as plain frozen data: see ``views``."""

from __future__ import annotations

from typing import Any

import msgspec

from dashflow.cli.options import Settings
from dashflow.cli.views import SCHEMA, command_line, timestamp
from dashflow.hitl.core.events import (
    ApprovalCancelled,
    ApprovalCommented,
    ApprovalDecided,
    ApprovalEscalated,
    ApprovalReminded,
    ApprovalRequested,
    ApprovalSuperseded,
    Event,
    VoteCast,
    VoteWithdrawn,
)
from dashflow.hitl.core.state import ApprovalState
from dashflow.hitl.overview import Waiting
from dashflow.log.base import Record


class ApprovalRow(msgspec.Struct, frozen=True):
    """An approval in a list; ``waits_for`` is empty in a person's own list."""

    approval: str
    status: str
    subject: str
    hash: str
    asked_by: str
    asked_at: str
    expires_at: str | None
    origin: str
    waits_for: tuple[str, ...]


class ApprovalList(msgspec.Struct, frozen=True):
    """Approvals of a log; ``person`` is whose list it is, or empty."""

    schema: int
    log: str
    person: str
    approvals: tuple[ApprovalRow, ...]
    next: tuple[str, ...]


class VoteRow(msgspec.Struct, frozen=True):
    """What somebody says, of the votes that count."""

    by: str
    verdict: str
    at: str
    comment: str


class TrailRow(msgspec.Struct, frozen=True):
    """Something that happened, in words; ``type`` is the event's, ``by`` who did it."""

    at: str
    type: str
    round: int
    by: str
    text: str


class ApprovalView(msgspec.Struct, frozen=True):
    """An approval, and its audit trail, oldest first."""

    schema: int
    approval: str
    status: str
    subject: str
    payload: Any
    hash: str
    round: int
    asked_by: str
    asked_at: str
    expires_at: str | None
    decided_at: str | None
    origin: str
    quorum: str
    votes: tuple[VoteRow, ...]
    waits_for: tuple[str, ...]
    reason: str
    decided_by: tuple[str, ...]
    taken: bool
    trail: tuple[TrailRow, ...]
    log: str
    next: tuple[str, ...]


def row_of(state: ApprovalState) -> ApprovalRow:
    """An approval in the list of all."""
    return ApprovalRow(
        approval=state.id,
        status=state.status.value,
        subject=state.subject,
        hash=state.hash,
        asked_by=state.asked_by,
        asked_at=timestamp(state.asked_at),
        expires_at=_time(state.expires_at),
        origin=_origin(state),
        waits_for=state.missing,
    )


def own_row(waiting: Waiting) -> ApprovalRow:
    """An approval in the list of who may vote."""
    return ApprovalRow(
        approval=waiting.approval,
        status="open",
        subject=waiting.subject,
        hash=waiting.hash,
        asked_by=waiting.asked_by,
        asked_at=timestamp(waiting.asked_at),
        expires_at=_time(waiting.expires_at),
        origin=_origin(waiting),
        waits_for=(),
    )


def approval_view(
    state: ApprovalState, history: list[tuple[Record, Event]], settings: Settings, log: str
) -> ApprovalView:
    """An approval with all that happened to it."""
    votes = tuple(
        VoteRow(by, ballot.verdict.value, timestamp(ballot.at), ballot.comment)
        for by, ballot in sorted(state.votes.items())
    )
    return ApprovalView(
        schema=SCHEMA,
        approval=state.id,
        status=state.status.value,
        subject=state.subject,
        payload=state.payload,
        hash=state.hash,
        round=state.round,
        asked_by=state.asked_by,
        asked_at=timestamp(state.asked_at),
        expires_at=_time(state.expires_at),
        decided_at=_time(state.decided_at),
        origin=_origin(state),
        quorum=f"{state.quorum} of {len(state.people)}",
        votes=votes,
        waits_for=state.missing,
        reason=state.reason,
        decided_by=state.by,
        taken=state.taken,
        trail=tuple(_trail_row(event) for _, event in history),
        log=log,
        next=_next(state, settings),
    )


def _next(state: ApprovalState, settings: Settings) -> tuple[str, ...]:
    """Commands that make sense now."""
    if state.open:
        words = (state.id, "--as", "NAME", "--hash", state.hash[:12])
        return tuple(command_line(settings, "approvals", verb, *words) for verb in ("approve", "reject"))
    if state.origin.kind == "plan" and not state.taken:
        return (command_line(settings, "resume", state.origin.name),)
    return ()


def _origin(asked: ApprovalState | Waiting) -> str:
    return f"{asked.origin.kind} {asked.origin.name}" if asked.origin.kind else ""


def _time(at: int) -> str | None:
    return timestamp(at) if at else None


def _trail_row(event: Event) -> TrailRow:
    by = getattr(event, "by", "")
    return TrailRow(
        at=timestamp(event.at),
        type=type(event).__name__,
        round=event.round,
        by=by if isinstance(by, str) else ", ".join(by),
        text=_text(event),
    )


def _text(event: Event) -> str:
    """What happened, in words."""
    match event:
        case ApprovalRequested():
            who = f"{event.asked_by} asks" if event.asked_by else "asked"
            return f"{who}: {event.subject} ({event.hash[:12]})"
        case ApprovalSuperseded():
            return f"void: {event.hash[:12]} is asked instead"
        case VoteCast():
            before = f", not {event.before.value} any more" if event.before else ""
            return _with(f"{event.verdict.value} {event.hash[:12]}{before}", event.comment)
        case VoteWithdrawn():
            return _with("takes the vote back", event.comment)
        case ApprovalCommented():
            return event.text
        case ApprovalReminded():
            missed = f", {event.missed} before it were missed" if event.missed else ""
            return f"reminder {event.number}{missed}"
        case ApprovalEscalated():
            return f"escalation {event.step}: {event.quorum} of {', '.join(event.people)}"
        case ApprovalDecided():
            return f"{event.outcome} by {event.reason} ({event.hash[:12]})"
        case ApprovalCancelled():
            return _with("cancelled", event.reason)
        case _:
            return "who waited for it has the decision"


def _with(text: str, comment: str) -> str:
    return f"{text}: {comment}" if comment else text
