"""What a worker does for approvals: it fires their timers, tells people, and brings decisions to who waits.

Everything is appended at the version it was decided on, so of several workers one does it. Nothing is kept
here that matters: whoever comes next finds in the log what is left to do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from dashflow.checkpoint.thread import ThreadReader
from dashflow.core.fold import ThreadState
from dashflow.engine.ports import Host
from dashflow.errors import CorruptEventError, LogError, LogFormatError, MissingBlobError, ValueCodecError
from dashflow.hitl.approvals import Approvals
from dashflow.hitl.asking import QUESTION
from dashflow.hitl.core.codec import CATEGORY
from dashflow.hitl.decision import decision_of
from dashflow.hitl.notices import Notices, Notifier
from dashflow.hitl.overview import BAD, DUE, TODO, Undelivered
from dashflow.hosts.sync import SyncHost
from dashflow.log.base import EventLog, Subscription
from dashflow.worker.report import Report

_PAGE: Final = 200
_DAMAGED: Final = (CorruptEventError, LogFormatError, MissingBlobError, ValueCodecError)


class Decided(msgspec.Struct, frozen=True):
    """A thread that waits at questions whose approvals are decided; ``answers`` are by question id."""

    thread: str
    state: ThreadState
    answers: dict[str, Any]


class ApprovalCare:
    """The approvals of one log.

    Args:
        log: The log.
        reader: Its threads.
        plans: Whether to tell plan runs what was decided.
        notifier: Tells people; None: nobody does.
        tell: Told what could not be done.
        host: A synchronous host, whose clock tells what is due; None for the wall clock.
    """

    def __init__(
        self,
        log: EventLog,
        reader: ThreadReader,
        *,
        plans: bool,
        notifier: Notifier | None,
        tell: Callable[[Report], None],
        host: Host | None = None,
    ) -> None:
        self._host = SyncHost() if host is None else host
        self._reader = reader.lenient()
        self._approvals = Approvals(log, host=self._host)
        self._log = log
        self._plans = plans
        self._tell = tell
        self._left: set[str] = set()
        self._told: set[str] = set()
        self._news: Subscription | None = None
        self._stale = True
        self._notices = None if notifier is None else Notices(self._host, log, notifier)

    def look(self) -> list[Decided]:
        """Do what is due, and return the threads that can go on.

        Raises:
            LogError: The log cannot be used just now.
        """
        overview = self._approvals.overview
        new = self._look_for_news()
        if self._stale:
            overview.catch_up()
            self._stale = False
        while self._fire():
            overview.catch_up()
            new = self._look_for_news()
            self._stale = False
        for row in overview.items(BAD).values():
            self._leave(row.approval, row.problem)
        if self._notices is not None and (new or not self._notices.done):
            self._notify(self._notices)
        return self._deliver(list(overview.items(TODO).values()))

    def leave(self) -> None:
        """This worker is gone: others may tell people."""
        if self._news is not None:
            self._news.close()
        if self._notices is not None:
            self._notices.leave()

    def _fire(self) -> bool:
        """Record what is due by now, of some approvals; whether there may be more."""
        now = self._host.now()
        rows = self._approvals.overview.items(DUE, limit=_PAGE + len(self._left)).values()
        due = [row.approval for row in rows if row.at <= now and row.approval not in self._left]
        for approval in due:
            try:
                self._approvals.tick(approval)
            except _DAMAGED as error:
                self._leave(approval, str(error))
        return bool(due)

    def _leave(self, approval: str, problem: str) -> None:
        """An approval that cannot be read does not keep the others from being looked at. Told of once."""
        if approval not in self._left:
            self._left.add(approval)
            self._tell(Report("trouble", "approval", approval, text=problem))

    def _look_for_news(self) -> bool:
        """Whether anything happened to any approval since the last look. A view knows the position of its own
        last event only: without this each look would pass over all that came after it."""
        if self._news is None:
            after = self._approvals.overview.position
            self._news = self._log.subscribe(after=after, category=CATEGORY)
        while self._news.poll(0):
            self._stale = True
        return self._stale

    def _notify(self, notices: Notices) -> None:
        try:
            notices.deliver()
        except LogError:
            raise
        except Exception as error:  # the notifier's own; it is given the same notice at the next look
            text = f"The notifier raised {type(error).__name__}: {error}"
            if text not in self._told:
                self._told.add(text)
                self._tell(Report("trouble", "approval", text=text))

    # -- decisions ------------------------------------------------------------------------------

    def _deliver(self, left: list[Undelivered]) -> list[Decided]:
        """Tell plans; and say which threads can go on."""
        threads: dict[str, list[Undelivered]] = {}
        for row in left:
            if row.approval in self._left:
                continue
            try:
                if row.origin.kind == "graph":
                    threads.setdefault(row.origin.name, []).append(row)
                elif self._plans:
                    self._tell_plan(row)
            except _DAMAGED as error:
                self._leave(row.approval, str(error))
        found = [self._decided(thread, rows) for thread, rows in threads.items()]
        return [one for one in found if one is not None]

    def _decided(self, thread: str, rows: list[Undelivered]) -> Decided | None:
        """What a thread can go on with; None while it is at work, or when it waits for nothing of that."""
        try:
            state = self._reader.head(thread)
        except _DAMAGED as error:
            for row in rows:
                self._leave(row.approval, str(error))
            return None
        if state.status == "running":
            return None  # it has not come to its question yet, or goes on already
        asked = _asked(state)
        answers = {}
        for row in rows:
            if row.approval not in asked:
                self._approvals.taken(row.approval, row.round)
            elif state.status == "paused":
                decision = decision_of(self._approvals.get(row.approval))
                if decision is not None:
                    answers[asked[row.approval]] = decision.plain()
        return Decided(thread, state, answers) if answers else None

    def _tell_plan(self, row: Undelivered) -> None:
        from dashflow.planner.approvals import received  # the planner is large
        from dashflow.planner.core.codec import stream_of
        from dashflow.planner.runs import PlanRuns

        state = self._approvals.get(row.approval)
        run = row.origin.name
        if state.over and self._log.version(stream_of(run)):  # else it was deleted
            PlanRuns(self._log, host=self._host, executors=()).receive(run, received(state, self._host.now()))
        self._approvals.taken(row.approval, row.round)


def _asked(state: ThreadState) -> dict[str, str]:
    """Ids of the questions that a thread waits at, by the approval that each asks for."""
    return {
        question.value[QUESTION]: question.id
        for key, questions in state.questions.items()
        if key not in state.done
        for question in questions
        if isinstance(question.value, dict) and isinstance(question.value.get(QUESTION), str)
    }
