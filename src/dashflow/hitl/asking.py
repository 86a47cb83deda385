"""``approval()``: a node that asks for an approval, and parks its run until it is decided.

Maps on ``interrupt()``: the question is in the thread's log, the request and its votes in a stream beside it.
The answer is only believed when that stream has the decision, on this very payload: the question itself is
bound to nothing.
"""

from __future__ import annotations

from typing import Any

from dashflow._util.drive import drive
from dashflow._util.ids import interrupt_id
from dashflow._util.scope import require_scope
from dashflow.errors import GraphInterrupt, UsageError
from dashflow.hitl.core import codec
from dashflow.hitl.core.events import ApprovalCancelled, ApprovalDecided, Origin
from dashflow.hitl.core.terms import Terms
from dashflow.hitl.decision import Decision
from dashflow.hitl.desk import Desk
from dashflow.log.base import EventLog
from dashflow.types.interrupts import interrupt

QUESTION = "approval"
"""Key of a question's value that holds the approval's id."""


def approval(subject: str, payload: Any, terms: Terms, *, name: str = "", by: str = "") -> Decision:
    """Ask for an approval inside of a node, and return what was decided.

    The first time the run stops here, as at an ``interrupt()``; a worker goes on with it once the approval is
    decided, in whatever process. The node runs again from its top then, and this call returns. If it then
    asks with another payload, that is asked anew: no decision is used for something that nobody saw.

    Args:
        subject: What is to be approved, in a line.
        payload: The very thing that is to be approved: plain data.
        terms: Who may approve, how many must, and what happens as time goes by.
        name: Id of the approval; "" for one made of the thread's id and the question's.
        by: Who asks.

    Raises:
        ApprovalExpiredError: Nobody decided in time, and the terms ask for an error then.
        ApprovalCancelledError: The request was taken back.
        UsageError: Terms that cannot be, or a checkpointer that is none of DashFlow's.
        GraphInterrupt: There is no decision yet; let it pass.
        RuntimeError: No graph runs this code.
    """
    asking = _Asking(subject, payload, terms, name, by)
    while True:
        try:
            answer = interrupt(asking.question(), response_schema=Decision, bound_to=None)
        except GraphInterrupt as asked:
            if asking.log is not None:
                from dashflow.hosts.sync import SyncHost

                drive(asking.record(Desk(SyncHost(), asking.log), asked))
            raise
        if asking.log is None:
            return answer.checked()
        from dashflow.hosts.sync import SyncHost

        if drive(asking.fits(Desk(SyncHost(), asking.log), answer)):
            return answer.checked()


async def aapproval(subject: str, payload: Any, terms: Terms, *, name: str = "", by: str = "") -> Decision:
    """``approval`` for ``async`` nodes: does not block the event loop while the request is recorded."""
    from dashflow.hosts.aio import AioHost

    asking = _Asking(subject, payload, terms, name, by)
    while True:
        try:
            answer = interrupt(asking.question(), response_schema=Decision, bound_to=None)
        except GraphInterrupt as asked:
            if asking.log is not None:
                await asking.record(Desk(AioHost(), asking.log), asked)
            raise
        if asking.log is None or await asking.fits(Desk(AioHost(), asking.log), answer):
            return answer.checked()


class _Asking:
    """One call of ``approval()``.

    Attributes:
        log: Where the thread is; None where nothing is recorded (a graph that is only replayed).
    """

    def __init__(self, subject: str, payload: Any, terms: Terms, name: str, by: str) -> None:
        scope: Any = require_scope("approval()")
        terms.check()
        history = scope.run.lent
        self.log: EventLog | None = None
        self.thread = ""
        if history is not None:
            reader = getattr(history, "reader", None)
            if reader is None:
                raise UsageError(
                    "approval() needs one of DashFlow's savers, whose log keeps requests and votes. Compile "
                    "the graph with InMemorySaver, SqliteSaver, PostgresSaver or LogSaver."
                )
            self.log = reader.log
            self.thread = history.thread
        self._subject = subject
        self._payload = codec.plain(payload)
        self._hash = codec.hash_of(subject, payload)
        self._terms = terms
        self._by = by
        # The same whenever the node runs again, however often it has to ask.
        self._id = name or f"{self.thread}.{interrupt_id(scope.namespace, scope.asked)[:12]}"

    def question(self) -> dict[str, Any]:
        """What the thread's log and the run's caller are told."""
        return {
            QUESTION: self._id,
            "subject": self._subject,
            "payload": self._payload,
            "hash": self._hash,
        }

    async def record(self, desk: Desk, asked: GraphInterrupt) -> None:
        """Ask, if it is not asked already."""
        origin = Origin("graph", self.thread, asked.args[0][0].id)
        await desk.ask(self._id, self._subject, self._payload, self._terms, self._by, origin)

    async def fits(self, desk: Desk, answer: Decision) -> bool:
        """Whether that was decided, and about this."""
        if (answer.approval, answer.hash) != (self._id, self._hash):
            return False
        for _, event in await desk.history(self._id):
            if isinstance(event, ApprovalDecided) and event.round == answer.round:
                return (event.hash, event.outcome) == (answer.hash, answer.outcome)
            if isinstance(event, ApprovalCancelled) and event.round == answer.round:
                return answer.outcome == "cancelled"
        return False
