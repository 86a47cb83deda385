"""What the ``approvals`` commands do: hand over to the log's approvals, then tell how it stands."""

from __future__ import annotations

import msgspec

from dashflow.cli.approval_views import ApprovalList, approval_view, own_row, row_of
from dashflow.cli.exits import Exit
from dashflow.cli.logfile import find_stream, opened
from dashflow.cli.options import Settings
from dashflow.cli.output import Output
from dashflow.cli.views import SCHEMA, command_line
from dashflow.errors import StaleApprovalError, UnknownApprovalError, UnknownRunError
from dashflow.hitl.approvals import Approvals
from dashflow.hitl.core.codec import CATEGORY, stream_of
from dashflow.hitl.core.state import ApprovalState, Status
from dashflow.log.base import EventLog

_SHORTEST = 8


class Said(msgspec.Struct, frozen=True):
    """Who says something, what they add, and the id of the answer."""

    person: str
    text: str = ""
    answer: str = ""


def show_list(settings: Settings, person: str | None, status: str) -> int:
    """List what waits for a person, or all approvals that stand so."""
    with opened(settings) as log:
        approvals = Approvals(log)
        if person is not None:
            rows = tuple(own_row(one) for one in approvals.waiting(person))
        else:
            states = approvals.list(None if status == "all" else Status(status))
            rows = tuple(row_of(one) for one in states)
    lines = (command_line(settings, "approvals", "show", rows[0].approval),) if rows else ()
    Output(settings).show(ApprovalList(SCHEMA, settings.shown_db, person or "", rows, lines))
    return Exit.DONE


def show_one(settings: Settings, name: str) -> int:
    """Show an approval with its audit trail."""
    with opened(settings) as log:
        _show(settings, log, _find(log, name, settings))
    return Exit.DONE


def vote(settings: Settings, name: str, verdict: str, seen: str, said: Said) -> int:
    """Record a vote."""
    with opened(settings) as log:
        approval, approvals = _find(log, name, settings), Approvals(log)
        full = _hash(approvals.get(approval), seen)
        state = approvals.vote(
            approval, said.person, verdict, seen=full, comment=said.text, answer=said.answer
        )
        _tell(settings, log, state, f"{said.person}: {verdict}.")
    return Exit.DONE


def withdraw(settings: Settings, name: str, said: Said) -> int:
    """Take a vote back."""
    with opened(settings) as log:
        approval = _find(log, name, settings)
        state = Approvals(log).withdraw_vote(approval, said.person, said.text, said.answer)
        _tell(settings, log, state, f"{said.person} has no vote now.")
    return Exit.DONE


def comment(settings: Settings, name: str, said: Said) -> int:
    """Add a comment."""
    with opened(settings) as log:
        approval = _find(log, name, settings)
        state = Approvals(log).comment(approval, said.person, said.text, said.answer)
        _tell(settings, log, state, "The comment is recorded.")
    return Exit.DONE


def cancel(settings: Settings, name: str, person: str, reason: str) -> int:
    """Take a request back."""
    with opened(settings) as log:
        state = Approvals(log).cancel(_find(log, name, settings), person, reason)
        _tell(settings, log, state, "The request is taken back.")
    return Exit.DONE


def _find(log: EventLog, name: str, settings: Settings) -> str:
    """The approval that ``name`` means: its id, or the start of only one id.

    Raises:
        UnknownApprovalError: No approval's id starts like that.
        UsageError: Several do.
    """
    if log.version(stream_of(name)):
        return name
    try:
        return find_stream(log, name, settings.shown_db, CATEGORY)
    except UnknownRunError:
        raise UnknownApprovalError(name, settings.shown_db) from None


def _hash(state: ApprovalState, seen: str) -> str:
    """The whole hash of what somebody looked at, of which the start was written.

    Raises:
        StaleApprovalError: Something else is asked now.
    """
    if len(seen) >= _SHORTEST and state.hash.startswith(seen.lower()):
        return state.hash
    raise StaleApprovalError(state.id, seen, state.hash)


def _tell(settings: Settings, log: EventLog, state: ApprovalState, text: str) -> None:
    if settings.json:
        _show(settings, log, state.id)
        return
    missing = state.missing
    left = (
        f" It waits for {', '.join(missing[:10])}{', ...' if len(missing) > 10 else ''}." if missing else ""
    )
    Output(settings).say(f"{text} {state.id} is {state.status.value}.{left}")


def _show(settings: Settings, log: EventLog, approval: str) -> None:
    approvals = Approvals(log)
    view = approval_view(approvals.get(approval), approvals.history(approval), settings, log.where)
    Output(settings).show(view)
