"""Bounded: what a run may use, and how it ends when somebody cancels it. Part of a run.

What is counted and what is cancelled is decided elsewhere; here a run learns of it, and says what is to be
recorded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from dashflow.core.events import Change, Event, RunPaused, RunStarted, UsageRecorded
from dashflow.core.fold import ThreadState
from dashflow.core.superstep import Task
from dashflow.engine.accept import Terms
from dashflow.engine.history import Pen
from dashflow.engine.journal import change_of_partials
from dashflow.engine.setting import Setting
from dashflow.errors import BudgetExceededError, RunCancelledError
from dashflow.log.base import Ticket


class Bounded(Setting):
    """The part of ``GraphRun`` that knows limits and cancels; arguments as for ``Setting``."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._pen: Pen | None = None
        self._tasks: Sequence[Task] = ()
        self._given: Any = None
        self._kept_alive: Ticket | None = None
        self._left = False

    # -- budgets --------------------------------------------------------------------------------

    def _raised(self, state: ThreadState) -> dict[str, float]:
        """Limits that the answer to a pause raises; that is no answer for the graph then."""
        if not state.exceeded:
            return {}
        from dashflow.engine.meter import raised_by

        self._given, raised = raised_by(self._given, state)
        return raised

    def _metered(
        self, started: RunStarted, state: ThreadState, raised: dict[str, float], terms: Terms
    ) -> RunStarted:
        """The run's first event with what it may use."""
        if self.outer is not None:
            return started
        if terms.resumes and "budget" in state.options:  # as it was asked for when the run began
            started = replace(started, options={"budget": state.options["budget"], **started.options})
        if self.meter is None and terms.resumes and (state.budget or raised):
            from dashflow.engine.meter import late_meter

            self.meter = late_meter(self.host, state, self.options)
        meter = self.meter
        if meter is None:
            return started
        meter.begin(state, raised, anew=not terms.resumes)
        return replace(started, budget=meter.limits, spent=dict(meter.spent))

    def _used(self) -> Sequence[Event]:
        """What there is to record of what was used."""
        if self.meter is None or self.outer is not None:
            return ()
        news = self.meter.news()
        return () if news is None else (UsageRecorded(news),)

    def _spent_up(self) -> RunPaused | None:
        """The end of a run that has used up its budget; None when it stops for something else.

        Raises:
            BudgetExceededError: Nothing is kept, so that it could not go on.
        """
        if self.meter is None or self.outer is not None or (reached := self.meter.reached) is None:
            return None
        if self._pen is None:
            raise BudgetExceededError(reached.limit, reached.allowed, reached.used)
        from dashflow.engine.meter import paused_for

        interrupt = paused_for(self.id, reached)
        self.interrupts.append(interrupt)
        self._parts.interrupted((interrupt,), self.live.channels)
        told = {"limit": reached.limit, "allowed": reached.allowed, "used": reached.used}
        return RunPaused(self.id, "budget", [task.name for task in self._tasks], told)

    # -- cancelled ------------------------------------------------------------------------------

    def guard(self, pen: Pen) -> None:
        """From now on the run can be cancelled from outside."""
        pen.halt = self.halt
        if self.outer is None:
            self.halt.run = self.id
            pen.guard(self.halt_now)

    def halt_now(self, version: int) -> None:
        """Somebody cancels the run: stop its work. What stops here is recorded at the end of the flow.

        Args:
            version: Of the thread's stream, with the wish.
        """
        if self.halt.asked or self._pen is None or not self._pen.open:
            return
        from dashflow.engine.cancel import keep_alive

        self.halt.asked = self.stopping = True
        if self._control is not None:
            self._control.request_drain("cancelled")
        self._kept_alive = keep_alive(self._pen, version)
        self._close_tasks()
        if self._crew is not None:
            self._crew.post(self.halt.check)
        else:
            self.host.interrupt()

    def left_behind(self, values: Mapping[str, Any]) -> Change | None:
        """What models were in the middle of writing, for the channels that take it.

        It is taken once. Values are the channels' as they are recorded.
        """
        partials = self.options.partials
        messages = None if partials is None else partials.take()
        return change_of_partials(self.plan.usable, values, messages) if messages else None

    def _left_midway(self) -> Change | None:
        """The same for a run that its caller gave up."""
        pen = self._pen
        if not self.stopping or self.outer is not None or pen is None or pen.detailed or self.halt.asked:
            return None
        return self.left_behind(
            {n: c.get() for n in self.plan.usable if (c := self.live.channels[n]).is_available()}
        )

    def _close_tasks(self) -> None:
        for task in self._tasks:
            if task.scope is not None:
                task.scope.close()

    # -- the end --------------------------------------------------------------------------------

    async def _end(self, ending: Sequence[Event]) -> None:
        if self.stopping or self.halt.asked:
            self._close_tasks()
        pen = self._pen
        if pen is None:
            return
        if self.halt.asked and self.outer is not None:
            await self.host.quiet()
        if not self.halt.asked or self.outer is not None:
            try:
                await pen.end(*ending)
            except RunCancelledError:
                if self.outer is not None:
                    raise
            else:
                return
        from dashflow.engine.cancel import cleared  # only runs that are cancelled need it

        await cleared(self.host, pen, self.halt, self._kept_alive, self.left_behind)
        if self.host.absorb() and not self._left:
            raise self.halt.error()
