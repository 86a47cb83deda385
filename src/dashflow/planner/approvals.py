"""What a plan has to do with approvals: asks for those that its tasks wait for, hears of what was decided.

A task is held in the plan's own stream first and asked about second; whoever comes after a crash asks again,
which changes nothing where it was asked already.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from dashflow.engine.ports import Host
from dashflow.hitl.core import codec
from dashflow.hitl.core.commands import TakeDecision
from dashflow.hitl.core.events import ApprovalCancelled, ApprovalDecided, Origin
from dashflow.hitl.core.state import ApprovalState
from dashflow.hitl.desk import Desk
from dashflow.log.base import EventLog
from dashflow.planner.core import approvals
from dashflow.planner.core.commands import ReceiveApproval
from dashflow.planner.core.state import PlannerState
from dashflow.planner.core.task import Task

_DECIDED = (ApprovalCancelled.__name__, ApprovalDecided.__name__)


class PlanApprovals:
    """The approvals of one run.

    Attributes:
        seen: Up to this position of the log it has heard of decisions.
    """

    def __init__(self, host: Host, log: EventLog, run: str) -> None:
        self.seen = 0
        self._host = host
        self._log = log
        self._run = run
        self._desk = Desk(host, log)

    async def ask(self, state: PlannerState, tasks: Iterable[Task]) -> list[ReceiveApproval]:
        """Ask for what these tasks wait for, each once; what is decided already comes back."""
        decided = []
        for task in tasks:
            if task.approval is None:
                continue
            there = await self._desk.ask(
                approvals.approval_id(state.run, task.id),
                approvals.subject(state, task),
                approvals.payload(state, task),
                task.approval,
                "",
                Origin("plan", state.run, task.id),
            )
            if there.over:
                decided.append(received(there, self._host.now()))
        return decided

    async def news(self, known: int) -> list[ReceiveApproval]:
        """What was decided since the last look.

        Args:
            known: A position of the log that is there: what the plan itself did up to it is not passed over
                again.
        """
        decided = []
        while records := await self._host.read(
            lambda: self._log.read_all(
                after=self.seen, category=codec.CATEGORY, types=_DECIDED, correlation=self._run
            )
        ):
            self.seen = records[-1].position
            for record in records:
                there = await self._desk.state(codec.approval_of(record.stream))
                if there.over and there.origin.name == self._run:
                    decided.append(received(there, self._host.now()))
        self.seen = max(self.seen, known)
        return decided

    async def taken(self, decided: Iterable[ReceiveApproval]) -> None:
        """Record that the plan knows."""
        for one in decided:
            approval = approvals.approval_id(self._run, one.task)
            there = await self._desk.state(approval)
            if there.over and not there.taken:
                await self._desk.tell(approval, partial(_taken, there.round))


def _taken(number: int, now: int) -> TakeDecision:
    return TakeDecision(now=now, round=number)


def received(state: ApprovalState, now: int) -> ReceiveApproval:
    """What a plan is told of a decision."""
    return ReceiveApproval(
        now=now,
        task=state.origin.place,
        digest=state.hash,
        outcome=state.status.value,
        by=state.by,
        reason=state.reason,
    )
