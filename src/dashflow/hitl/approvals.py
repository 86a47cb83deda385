"""Approvals of a log: ask, vote, look. The one face that programs, nodes and the command line use.

Decides nothing (``hitl.core`` does). Names of people are taken as given: who a caller is, is for the program
to know.
"""

from __future__ import annotations

import builtins
from typing import Any

from dashflow._util.drive import drive
from dashflow.engine.ports import Host
from dashflow.errors import ApprovalStateError, UsageError
from dashflow.hitl.core.commands import CancelRequest, Comment, TakeDecision, Vote, WithdrawVote
from dashflow.hitl.core.events import Event, Origin
from dashflow.hitl.core.state import ApprovalState, Status
from dashflow.hitl.core.terms import Terms, Verdict
from dashflow.hitl.decision import Decision, decision_of
from dashflow.hitl.desk import Desk
from dashflow.hitl.overview import ALL, ApprovalOverview, Waiting, waiting_for
from dashflow.log.base import EventLog, Record
from dashflow.log.projections import Projector
from dashflow.types.commands import Command

_NOBODY = Origin()


class Approvals:
    """The approvals of one log.

    Every method but the lists has a twin for asyncio callers whose name begins with ``a``.

    Args:
        log: Where everything is recorded; stays the caller's to close.
        host: A synchronous host; None for threads and the wall clock. Its clock is what tells when something
            is due.
    """

    def __init__(self, log: EventLog, *, host: Host | None = None) -> None:
        self._log = log
        self._host = host
        self._overview = Projector(log, ApprovalOverview())

    @property
    def log(self) -> EventLog:
        """Where everything is recorded."""
        return self._log

    @property
    def overview(self) -> Projector:
        """Keeps the rows that lists are made from."""
        return self._overview

    # -- asking -----------------------------------------------------------------------------------

    def ask(
        self,
        subject: str,
        payload: Any,
        terms: Terms,
        *,
        approval: str = "",
        by: str = "",
        origin: Origin = _NOBODY,
    ) -> ApprovalState:
        """Ask for an approval; durable on return.

        The same under one id is asked once, however often this is called, also after the decision. Another
        payload, or other terms, are a new request: it takes the place of the one before, whose votes then
        count for nothing.

        Args:
            subject: What is to be approved, in a line.
            payload: The very thing that is to be approved: plain data. A vote is bound to its hash.
            terms: Who may approve, how many must, and what happens as time goes by.
            approval: Its id; "" for a new one.
            by: Who asks.
            origin: Who waits for the decision, for workers to tell.

        Raises:
            UsageError: Terms that cannot be.
            ValueCodecError: The payload is no plain data.
            LogError: The log could not take it.
        """
        return drive(self._desk().ask(approval, subject, payload, terms, by, origin))

    async def aask(
        self,
        subject: str,
        payload: Any,
        terms: Terms,
        *,
        approval: str = "",
        by: str = "",
        origin: Origin = _NOBODY,
    ) -> ApprovalState:
        """``ask`` for asyncio callers."""
        return await self._adesk().ask(approval, subject, payload, terms, by, origin)

    def cancel(self, approval: str, by: str = "", reason: str = "") -> ApprovalState:
        """Take a request back; who waits for it is told.

        Raises:
            UnknownApprovalError: No such approval.
            ApprovalStateError: It is decided.
        """
        return drive(self._desk().tell(approval, lambda now: CancelRequest(now=now, by=by, reason=reason)))

    async def acancel(self, approval: str, by: str = "", reason: str = "") -> ApprovalState:
        """``cancel`` for asyncio callers."""
        return await self._adesk().tell(approval, lambda now: CancelRequest(now=now, by=by, reason=reason))

    # -- saying something -------------------------------------------------------------------------

    def vote(
        self,
        approval: str,
        by: str,
        verdict: Verdict | str,
        *,
        seen: str,
        comment: str = "",
        answer: str = "",
    ) -> ApprovalState:
        """Approve, reject or abstain; a later vote of the same person takes the place of the earlier one.

        Args:
            approval: Id of the approval.
            by: Who votes.
            verdict: ``approve``, ``reject`` or ``abstain``.
            seen: Hash of what was looked at (``ApprovalState.hash``).
            comment: Words about it.
            answer: An id for this answer. Given twice it is recorded once, and the second call returns how
                the approval stands, also after the decision.

        Returns:
            How the approval stands then.

        Raises:
            UnknownApprovalError: No such approval.
            NotEntitledError: Somebody who may not vote.
            StaleApprovalError: Something else is asked by now.
            ApprovalStateError: It is decided, or its time is up.
            AnswerReusedError: The answer's id was used for another answer.
        """
        return drive(self._desk().tell(approval, _vote(by, verdict, seen, comment, answer)))

    async def avote(
        self,
        approval: str,
        by: str,
        verdict: Verdict | str,
        *,
        seen: str,
        comment: str = "",
        answer: str = "",
    ) -> ApprovalState:
        """``vote`` for asyncio callers."""
        return await self._adesk().tell(approval, _vote(by, verdict, seen, comment, answer))

    def withdraw_vote(self, approval: str, by: str, comment: str = "", answer: str = "") -> ApprovalState:
        """Take one's vote back. Raises what ``vote`` raises."""
        command = _withdraw(by, comment, answer)
        return drive(self._desk().tell(approval, command))

    async def awithdraw_vote(
        self, approval: str, by: str, comment: str = "", answer: str = ""
    ) -> ApprovalState:
        """``withdraw_vote`` for asyncio callers."""
        return await self._adesk().tell(approval, _withdraw(by, comment, answer))

    def comment(self, approval: str, by: str, text: str, answer: str = "") -> ApprovalState:
        """Say something without voting: who asks, and who may vote. Raises what ``vote`` raises."""
        return drive(
            self._desk().tell(approval, lambda now: Comment(now=now, by=by, text=text, answer=answer))
        )

    async def acomment(self, approval: str, by: str, text: str, answer: str = "") -> ApprovalState:
        """``comment`` for asyncio callers."""
        return await self._adesk().tell(
            approval, lambda now: Comment(now=now, by=by, text=text, answer=answer)
        )

    # -- the decision -----------------------------------------------------------------------------

    def decision(self, approval: str) -> Decision | None:
        """What an approval came to; None while it is open. Raises ``UnknownApprovalError``."""
        return decision_of(self.get(approval))

    async def adecision(self, approval: str) -> Decision | None:
        """``decision`` for asyncio callers."""
        return decision_of(await self.aget(approval))

    def resume(self, approval: str) -> Command[Any]:
        """The input with which the graph that waits for this decision goes on: workers give it by
        themselves.

        Raises:
            UnknownApprovalError: No such approval.
            ApprovalStateError: It is open still, or no graph waits for it.
        """
        return _resuming(self.get(approval))

    async def aresume(self, approval: str) -> Command[Any]:
        """``resume`` for asyncio callers."""
        return _resuming(await self.aget(approval))

    def taken(self, approval: str, round: int) -> None:  # noqa: A002  # what it is
        """Record that who waited for the decision of this round has it, or waits no more."""
        drive(self._desk().tell(approval, lambda now: TakeDecision(now=now, round=round)))

    async def ataken(self, approval: str, round: int) -> None:  # noqa: A002  # what it is
        """``taken`` for asyncio callers."""
        await self._adesk().tell(approval, lambda now: TakeDecision(now=now, round=round))

    # -- time -------------------------------------------------------------------------------------

    def tick(self, approval: str) -> builtins.list[Event]:
        """Record what is due to an approval, and return it. Workers do that by themselves."""
        return drive(self._desk().tick(approval))

    async def atick(self, approval: str) -> builtins.list[Event]:
        """``tick`` for asyncio callers."""
        return await self._adesk().tick(approval)

    # -- looking ----------------------------------------------------------------------------------

    def get(self, approval: str) -> ApprovalState:
        """How an approval stands. Raises ``UnknownApprovalError``."""
        return drive(self._desk().state(approval))

    async def aget(self, approval: str) -> ApprovalState:
        """``get`` for asyncio callers."""
        return await self._adesk().state(approval)

    def history(self, approval: str) -> builtins.list[tuple[Record, Event]]:
        """The audit trail: everything that happened, oldest first. Raises ``UnknownApprovalError``."""
        return drive(self._desk().history(approval))

    async def ahistory(self, approval: str) -> builtins.list[tuple[Record, Event]]:
        """``history`` for asyncio callers."""
        return await self._adesk().history(approval)

    def waiting(self, person: str) -> builtins.list[Waiting]:
        """What waits for somebody's vote, what was asked first in front."""
        return [*self._overview.current(waiting_for(person)).values()]

    def list(self, status: Status | None = None) -> builtins.list[ApprovalState]:
        """All approvals, without payloads, or those that stand so; what was asked last in front."""
        states = [row.state for row in self._overview.current(ALL).values()]
        found = [one for one in states if status is None or one.status is status]
        return sorted(found, key=lambda one: (one.asked_at, one.id), reverse=True)

    # -- inside -----------------------------------------------------------------------------------

    def _desk(self) -> Desk:
        if self._host is None:
            from dashflow.hosts.sync import SyncHost

            self._host = SyncHost()
        return Desk(self._host, self._log)

    def _adesk(self) -> Desk:
        from dashflow.hosts.aio import AioHost

        return Desk(AioHost(), self._log)


def _vote(by: str, verdict: Verdict | str, seen: str, comment: str, answer: str) -> Any:
    try:
        said = Verdict(verdict)
    except ValueError:
        raise UsageError(f"{verdict!r} is no vote. Say {', '.join(Verdict)}.") from None
    return lambda now: Vote(now=now, by=by, verdict=said, seen=seen, comment=comment, answer=answer)


def _withdraw(by: str, comment: str, answer: str) -> Any:
    return lambda now: WithdrawVote(now=now, by=by, comment=comment, answer=answer)


def _resuming(state: ApprovalState) -> Command[Any]:
    decision = decision_of(state)
    if decision is None:
        raise ApprovalStateError(state.id, state.status.value, "there is no decision yet.")
    if state.origin.kind != "graph":
        raise ApprovalStateError(state.id, state.status.value, "no graph waits for it.")
    return Command(resume={state.origin.place: decision.plain()})
