"""Plan runs on a log: accept, run, answer, cancel, look at. The one face that CLI and programs use.

Decides nothing (``planner.core`` does) and runs nothing itself (``planner.flow`` does); checks what comes
in from outside, before anything is recorded.
"""

from __future__ import annotations

import builtins
import os
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from dashflow._util.drive import drive
from dashflow.engine.ports import Host
from dashflow.errors import EmptyGoalError, UnknownRunError
from dashflow.hosts.sync import SyncHost
from dashflow.log.base import EventLog, Record
from dashflow.log.projections import Projector
from dashflow.planner.approvals import PlanApprovals
from dashflow.planner.core import codec
from dashflow.planner.core.commands import AnswerClarification, Cancel, Command, Initialize, ReceiveApproval
from dashflow.planner.core.events import Event, PlannerConfig, PlanRequested
from dashflow.planner.core.state import PlannerState, RunStatus
from dashflow.planner.core.task import TaskStatus
from dashflow.planner.executors.base import Executor
from dashflow.planner.flow import Ask, PlanFlow, Progress, Watch
from dashflow.planner.journal import Journal
from dashflow.planner.overview import PlanOverview
from dashflow.planner.planning import Planning
from dashflow.planner.routing import Routing
from dashflow.planner.rules import RulePlanner
from dashflow.planner.understand import ModelPlanner
from dashflow.planner.workspace import goal_folder, output_folder

__all__ = ["PlanRequest", "PlanRuns", "Progress", "RunStatus", "RunSummary"]


class PlanRequest(msgspec.Struct, frozen=True):
    """What is asked for.

    Attributes:
        goal: What should be done, in plain words.
        folder: The folder to look at; None when the goal needs none. Recorded absolute.
        out: Folder for what the run produces; empty for ``dashflow-out/<run>``. Recorded absolute.
        answers: Answers to questions, in the order in which they will be asked.
        model: LangChain's name of the chat model that plans (``openai:gpt-5``); None: built-in rules.
        workers: How many tasks may run at a time.
        config: How the plan is made.
    """

    goal: str
    folder: str | None = None
    out: str = ""
    answers: tuple[str, ...] = ()
    model: str | None = None
    workers: int = 4
    config: PlannerConfig = PlannerConfig()


class RunSummary(msgspec.Struct, frozen=True):
    """One line of a list of runs. Times are nanoseconds since the Unix epoch; ``owner`` is empty when
    nobody alive runs it; ``tasks_done`` counts completed tasks, ``tasks_waiting`` those that ask somebody or
    wait for an approval."""

    run: str
    goal: str
    status: RunStatus
    tasks_done: int
    tasks_total: int
    created_at: int
    updated_at: int
    owner: str
    tasks_failed: int = 0
    tasks_waiting: int = 0


class PlanRuns:
    """The plan runs of one log.

    Args:
        log: Where everything is recorded; stays the caller's to close.
        host: A synchronous host; None for threads and the wall clock.
        executors: Who does the tasks; None for the built-in ones.
        planning: Who plans; None for the built-in rules, or the model that a request names.
    """

    def __init__(
        self,
        log: EventLog,
        *,
        host: Host | None = None,
        executors: Iterable[Executor] | None = None,
        planning: Planning | None = None,
    ) -> None:
        if executors is None:
            from dashflow.planner.executors.registry import default_executors

            executors = default_executors()
        self._log = log
        self._host: Host = SyncHost() if host is None else host
        self._routing = Routing(executors)
        self._planning = planning

    @property
    def log(self) -> EventLog:
        """Where everything is recorded."""
        return self._log

    def accept(self, request: PlanRequest, run: str | None = None) -> str:
        """Record the request, durable on return; the id of its run. Nothing runs yet.

        Args:
            request: What is asked for.
            run: The id that the run is to have; if there is such a run already, that one is meant and nothing
                is recorded. None: a new one.

        Raises:
            EmptyGoalError: a goal without words.
            WorkspaceError: the folder is missing, unreadable or holds no text; the output cannot be written.
            UsageError: the model cannot be used here, or a number of workers that cannot be.
            LogError: the log could not take it.
        """
        if not request.goal.strip():
            raise EmptyGoalError
        folder = None if request.folder is None else goal_folder(request.folder)
        if request.model is not None and self._planning is None:
            ModelPlanner(request.model).check()
        while True:
            name = run or _run_id(self._host.now(), self._host.entropy())
            command = Initialize(
                now=self._host.now(),
                run=name,
                goal=codec.storable(request.goal),
                folder=folder,
                out=output_folder(request.out or os.path.join("dashflow-out", name)),
                answers=tuple(codec.storable(answer) for answer in request.answers),
                model=request.model,
                workers=request.workers,
                config=request.config,
            )
            if drive(Journal(self._host, self._log, name).begin(command)) or run is not None:
                return name

    def run(self, run: str, ask: Ask | None = None, watch: Watch | None = None) -> PlannerState:
        """Run until the end, or until only a person can help; return how it stands then.

        Args:
            run: Id of an accepted run, new or interrupted.
            ask: Called with a task's id and question where no answer was recorded in advance; what it
                returns is recorded before it is used. None from it, or no ``ask``: the run waits.
            watch: Told every event once it is durable, and ``Progress`` as it comes.

        Raises:
            UnknownRunError: no such run in this log.
            OwnershipConflictError: another process that is alive runs it.
            UsageError: the run's model cannot be used here.
            LogError: the log failed; what was recorded stays, and the run can be resumed.
        """
        flow = PlanFlow(
            self._host,
            self._log,
            run,
            routing=self._routing,
            planning=self._planning or _planning(self._model(run)),
            ask=ask,
            watch=watch,
        )
        return drive(flow.drive())

    def answer(self, run: str, text: str, task: str | None = None) -> PlannerState:
        """Record an answer to an open question, of ``task`` or the one asked first.

        Raises:
            UnknownRunError: no such run.
            RunStateError: nothing is asked, or nothing by that task.
        """
        now = self._host.now()
        return self._tell(run, AnswerClarification(now=now, text=codec.storable(text), task=task))

    def cancel(self, run: str, reason: str = "") -> PlannerState:
        """End a run, also one that another process runs: that one stops at its next step.

        Raises:
            UnknownRunError: no such run.
            RunStateError: it is at its end already.
        """
        return self._tell(run, Cancel(now=self._host.now(), reason=codec.storable(reason)))

    def settle(self, run: str) -> PlannerState:
        """Ask for the approvals that tasks of a run wait for, where that was not done, and record what was
        decided; how the run stands then.

        Raises:
            UnknownRunError: no such run.
        """
        journal = Journal(self._host, self._log, run)
        drive(journal.load())
        if journal.state.held and not journal.state.finished:
            approvals = PlanApprovals(self._host, self._log, run)
            decided = drive(approvals.ask(journal.state, journal.state.held))
            drive(journal.commit(*decided))
            drive(approvals.taken(decided))
        return journal.state

    def receive(self, run: str, decision: ReceiveApproval) -> PlannerState:
        """Record what was decided about a task; nothing, where it does not wait for that.

        Raises:
            UnknownRunError: no such run.
        """
        return self._tell(run, decision)

    def state(self, run: str) -> PlannerState:
        """How a run stands. Raises ``UnknownRunError``."""
        journal = Journal(self._host, self._log, run)
        drive(journal.load())
        return journal.state

    def events(self, run: str) -> builtins.list[tuple[Record, Event]]:
        """Everything that happened in a run, oldest first. Raises ``UnknownRunError``."""
        self.state(run)
        return [(record, codec.decode(record)) for record in self._log.read(codec.stream_of(run))]

    def list(self) -> builtins.list[RunSummary]:
        """All runs of the log, the one written to last in front."""
        summaries = []
        states = Projector(self._log, PlanOverview()).current()
        for info in self._log.streams(category=codec.CATEGORY):
            state = states.get(codec.run_of(info.stream))
            if state is None:
                continue  # accepted since, or nothing is left of it that says what it was
            summaries.append(
                RunSummary(
                    run=state.run,
                    goal=state.goal,
                    status=state.status,
                    tasks_done=state.count(TaskStatus.COMPLETED),
                    tasks_total=len(state.tasks),
                    created_at=state.created_at,
                    updated_at=state.updated_at,
                    owner=info.owner,
                    tasks_failed=state.count(TaskStatus.FAILED),
                    tasks_waiting=len(state.questions) + state.agenda.held,
                )
            )
        return summaries

    def unfinished(self) -> builtins.list[str]:
        """Ids of runs that could go on and that nobody alive runs, the oldest first."""
        going = (RunStatus.PLANNING, RunStatus.RUNNING)
        found = [one for one in self.list() if one.status in going and not one.owner]
        return [one.run for one in sorted(found, key=lambda one: (one.created_at, one.run))]

    def _model(self, run: str) -> str | None:
        """The chat model that a run was asked to be planned by. Raises ``UnknownRunError``."""
        records = self._log.read(codec.stream_of(run), limit=1)
        if not records:
            raise UnknownRunError(run, self._log.where)
        first = codec.decode(records[0])
        return first.model if isinstance(first, PlanRequested) else None

    def _tell(self, run: str, command: Command) -> PlannerState:
        journal = Journal(self._host, self._log, run)
        drive(journal.load())
        drive(journal.commit(command))
        return journal.state


def _planning(model: str | None) -> Planning:
    return RulePlanner() if model is None else ModelPlanner(model)


def _run_id(now: int, entropy: int) -> str:
    """A short id that sorts by time: day, then second of the day and 7 random bits as 6 hex digits."""
    moment = datetime.fromtimestamp(now // 1_000_000_000, UTC)
    second = moment.hour * 3600 + moment.minute * 60 + moment.second
    return f"r-{moment:%Y%m%d}-{second << 7 | entropy & 0x7F:06x}"
