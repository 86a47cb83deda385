"""The flow that runs a plan: claim, decide, append, start, wait, again. Only the host port is awaited.

Imports no clock, thread or event loop. Nothing is started before its ``TaskDispatched`` is durable, and
nothing counts as done before its ``TaskStatusUpdated`` is. A new owner dispatches again what ran under
the former one; what is recorded as completed never runs again.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Final, cast

import msgspec

from dashflow.engine.ports import Crew, Done, Host, Overdue, Posted
from dashflow.errors import DashFlowError, LogError, PlanError, RunStateError, ValueCodecError
from dashflow.log.base import EventLog
from dashflow.planner.approvals import PlanApprovals
from dashflow.planner.core.codec import checked, storable
from dashflow.planner.core.commands import (
    AnswerClarification,
    Command,
    Continue,
    ExecutorEvent,
    FailPlanning,
    HandleExecutorEvent,
    ProposePlan,
    ReceiveApproval,
    Recover,
    TaskCompleted,
    TaskFailed,
    TaskNeedsClarification,
)
from dashflow.planner.core.events import ApprovalAwaited, Event, TaskDispatched, TaskStatusUpdated
from dashflow.planner.core.state import PlannerState, RunStatus
from dashflow.planner.core.task import Task, TaskStatus
from dashflow.planner.executors.base import Execution, Failed, NeedsClarification, Outcome
from dashflow.planner.journal import Journal
from dashflow.planner.planning import Planning, PlanningRequest
from dashflow.planner.routing import Routing

Ask = Callable[[str, str], str | None]
"""Asked with a task's id and its question; None when nobody can answer now."""

Watch = Callable[["Event | Progress"], None]
"""Told every event once it is durable, and progress as it comes."""


_LOOK_AGAIN: Final = 1.0
"""Seconds after which one looks for decisions, while tasks run and others wait for one."""


class Progress(msgspec.Struct, frozen=True):
    """How far a running task is, in its executor's words. Shown, never recorded."""

    task: str
    attempt: int
    text: str


class _Look(msgspec.Struct, frozen=True):
    """Posted when a running task noticed that the run's stream has grown from elsewhere."""


class PlanFlow:
    """One owner's work on one run.

    Args:
        planning: Makes the plan if there is none yet.
        ask: Called on the flow's side, while nothing runs, for questions without a recorded answer.
        watch: Told what happens; must be quick.
    """

    def __init__(
        self,
        host: Host,
        log: EventLog,
        run: str,
        *,
        routing: Routing,
        planning: Planning,
        ask: Ask | None = None,
        watch: Watch | None = None,
    ) -> None:
        self._host = host
        self._routing = routing
        self._planning = planning
        self._ask = ask
        self._watch = watch
        self._journal = Journal(host, log, run, owner=f"{log.instance}/{run}/{host.entropy():016x}")
        self._approvals = PlanApprovals(host, log, run)
        self._stopped = False
        self._look_posted = False

    @property
    def state(self) -> PlannerState:
        """The run as far as this flow knows it."""
        return self._journal.state

    async def drive(self) -> PlannerState:
        """Run until the end, or until only a person can help; the state then.

        Raises:
            UnknownRunError: no such run.
            OwnershipConflictError: somebody alive runs it.
            LogError: the log failed or was lost to another owner; what was recorded stays.
        """
        await self._journal.load()
        self._approvals.seen = self._journal.position  # what is decided after this is news
        decided = await self._approvals.ask(self.state, self.state.held)
        if self._is_over(self.state) and not decided:
            return self.state
        self._journal.observer = self._watch
        dispatched = await self._commit(Recover(now=self._host.now()), *decided, claim=True)
        await self._approvals.taken(decided)
        crew = self._host.crew(self.state.workers, attentive=True)
        try:
            self._start(crew, dispatched)
            self._start(crew, await self._approve(dispatched))
            await self._work(crew)
        except BaseException:
            await self._stop(crew)
            with suppress(LogError):
                await self._journal.give_up()
            raise
        await self._stop(crew)
        await self._journal.give_up()
        return self.state

    async def _work(self, crew: Crew) -> None:
        while self._journal.owned and not self.state.finished:
            if crew.pending:
                events = await self._heard(crew)
            elif not self.state.tasks:
                events = await self._plan()
            elif self.state.status is RunStatus.WAITING:
                events = await self._wait_for_people()
            else:
                raise PlanError(
                    f"Run {self.state.run!r} has nothing to do and is not at its end. Please report this."
                )
            self._start(crew, events)

    async def _wait_for_people(self) -> list[Event]:
        """Nothing can go on: look for decisions, put the questions; with neither this is all."""
        if self.state.agenda.held and (decided := await self._approvals.news(self._journal.position)):
            return await self._receive(decided)
        if not await self._put_questions():
            self._ask = None
        return await self._commit()

    async def _heard(self, crew: Crew) -> list[Event]:
        """What the next thing that happens leads to; while people are asked, also what they decide."""
        try:
            return await self._take(await crew.next(_LOOK_AGAIN if self.state.agenda.held else None))
        except Overdue:
            return await self._receive(await self._approvals.news(self._journal.position))

    async def _stop(self, crew: Crew) -> None:
        self._stopped = True
        await crew.close()

    def _is_over(self, state: PlannerState) -> bool:
        """Whether nothing is left for this flow: the end, or only a person can help and is not here."""
        return state.finished or (state.status is RunStatus.WAITING and self._ask is None)

    # -- one step ------------------------------------------------------------------------------

    async def _commit(self, *commands: Command, claim: bool = False) -> list[Event]:
        """Append what the commands lead to and what can go on after that; give the run up if that is all."""
        go_on = Continue(now=self._host.now())
        asked = self.state.agenda.held

        def leaves(state: PlannerState) -> bool:
            return self._is_over(state) and state.agenda.held <= asked  # what is held has to be asked

        release = None if claim else leaves
        events = await self._journal.commit(*commands, go_on, claim=claim, release=release)
        return events if claim else [*events, *await self._approve(events)]

    async def _approve(self, events: list[Event]) -> list[Event]:
        """Ask for the approvals that tasks wait for since then; go on with what is decided already."""
        held = [self.state.tasks[one.task] for one in events if isinstance(one, ApprovalAwaited)]
        return await self._receive(await self._approvals.ask(self.state, held))

    async def _receive(self, decided: list[ReceiveApproval]) -> list[Event]:
        if not decided:
            return []
        events = await self._commit(*decided)
        await self._approvals.taken(decided)
        return events

    async def _take(self, happened: Done | Posted) -> list[Event]:
        if isinstance(happened, Posted):
            if isinstance(happened.item, Progress):
                if self._watch is not None:
                    self._watch(happened.item)
                return []
            self._look_posted = False
            await self._journal.load()
            return await self._commit()
        task, attempt = cast("tuple[str, int]", happened.key)
        report = _report(task, attempt, happened)
        news = await self._approvals.news(self._journal.position) if self.state.agenda.held else []
        events = await self._commit(HandleExecutorEvent(now=self._host.now(), event=report), *news)
        await self._approvals.taken(news)
        return events

    async def _plan(self) -> list[Event]:
        state = self.state
        request = PlanningRequest(
            goal=state.goal, folder=state.folder, config=state.config, problem=state.rejected
        )
        try:
            proposal = await self._host.call(lambda: self._planning.plan(request))
            command = ProposePlan(
                now=self._host.now(),
                tasks=proposal.tasks,
                planner=proposal.planner,
                notes=proposal.notes,
            )
            return await self._commit(command)
        except (PlanError, ValueCodecError) as error:
            failure = FailPlanning(now=self._host.now(), code=error.code, error=str(error))
            return await self._commit(failure)

    async def _put_questions(self) -> bool:
        """Ask for every open question; whether any answer came."""
        if self._ask is None:
            return False
        answered = False
        for task in self.state.questions:
            text = await self._host.call(partial(self._ask, task, self.state.tasks[task].question or ""))
            if text is not None:
                answered = True
                with suppress(RunStateError):  # somebody else answered it meanwhile; theirs counts
                    command = AnswerClarification(now=self._host.now(), text=storable(text), task=task)
                    await self._journal.commit(command)
        return answered

    # -- the work itself -----------------------------------------------------------------------

    def _start(self, crew: Crew, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, TaskDispatched):
                execution = self._execution(crew, self.state.tasks[event.task])
                crew.start((event.task, event.attempt), partial(self._routing.execute, execution))

    def _execution(self, crew: Crew, task: Task) -> Execution:
        state = self.state
        wanted = (*task.dependencies, *task.optional_dependencies)
        finished = {one: state.tasks[one].result for one in wanted}
        # Copies, so that an executor that changes what it was given does not change our state.
        return Execution(
            run=state.run,
            task=copy.deepcopy(task),
            folder=None if state.folder is None else Path(state.folder),
            out=Path(state.out),
            inputs={one: copy.deepcopy(result) for one, result in finished.items() if result is not None},
            tasks=MappingProxyType(state.tasks),
            goal=state.goal,
            idempotency_key=f"{state.run}/{task.id}",
            progress=lambda text: crew.post(Progress(task.id, task.attempt, str(text))),
            cancelled=lambda: self._unwanted(crew),
        )

    def _unwanted(self, crew: Crew) -> bool:
        """Whether running work is for nothing now; called by executors, on their threads.

        Such a call is also when a cancel or an answer from another process is noticed.
        """
        if not (self._stopped or self._look_posted):
            with suppress(DashFlowError):  # the flow itself will meet it, at its next append
                if self._journal.behind:
                    self._look_posted = True
                    crew.post(_Look())
        return self._stopped


def _report(task: str, attempt: int, done: Done) -> ExecutorEvent:
    """What an executor came to, in the planner's words; anything unforeseen is a failure of its task."""
    if isinstance(done.error, Exception | SystemExit):
        return TaskFailed(task, attempt, storable(f"{type(done.error).__name__}: {done.error}"))
    if done.error is not None:
        raise done.error
    outcome = cast(Outcome, done.value)
    if isinstance(outcome, NeedsClarification):
        return TaskNeedsClarification(task, attempt, storable(str(outcome.question)))
    if isinstance(outcome, Failed):
        return TaskFailed(task, attempt, storable(str(outcome.error)))
    trial = TaskStatusUpdated(
        at=0, task=task, attempt=attempt, status=TaskStatus.COMPLETED, result=outcome.result
    )
    try:
        checked(trial, event_id=b"", correlation_id="", causation_id=b"")
    except ValueCodecError as error:
        return TaskFailed(task, attempt, f"The executor's result cannot be recorded. {error}")
    return TaskCompleted(task, attempt, outcome.result)
