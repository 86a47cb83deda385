"""What there is to see of a thread at one of its checkpoints, found out when somebody asks for it.

Whoever opens a thread mostly wants to know one thing of it: what runs next, what it asks, or a value. Reads
the state that the thread had when it was looked at, which nothing changes any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

from dashflow.checkpoint.imported_layout import upcast
from dashflow.core.asleep import asleep
from dashflow.core.fold import ThreadState
from dashflow.core.plan import GraphPlan
from dashflow.core.superstep import Live, Task, apply, next_tasks, read, revive
from dashflow.engine.accept import loose_writes
from dashflow.engine.imported import adopt
from dashflow.engine.setting import Setting
from dashflow.engine.task import Scope
from dashflow.types.budget import BudgetExceeded

if TYPE_CHECKING:
    from dashflow.types.snapshots import PregelTask


def live_of(plan: GraphPlan, state: ThreadState) -> Live:
    """The channels of a thread as they are at ``state``."""
    seen = {name: dict(versions) for name, versions in state.seen.items()}
    live = Live({}, dict(state.versions), seen, None, state.step + 1)
    revive(plan, state.values, live)
    return live


def due_at(setting: Setting, state: ThreadState, *, changing: bool = True) -> tuple[ThreadState, list[Task]]:
    """The state with what was put in by hand, and the tasks of the step after it; ``setting`` looks at it.

    Args:
        setting: Of no run.
        state: Where.
        changing: Whether writes are to be applied to the channels. Else they are asleep, and tasks of nodes
            whose input can be read at any time are without it.
    """
    plan = setting.plan
    setting.look_at(state)
    state = upcast(state, plan.nodes, plan.follows)
    changing = changing or bool(state.loose)
    live = setting.live = live_of(plan, state) if changing else asleep(plan, state)
    due = next_tasks(plan, live, unread=not changing)
    if state.loose:
        state = adopt(state, setting.checkpoint_id, due, lambda task: Scope(setting, task))
        if null := [write for write in loose_writes(state) if write[0] in plan.channels]:
            apply(plan, live, (), null)
    return state, due


class Sight:
    """A thread at a checkpoint.

    Args:
        setting: Of no run: lends its way of naming things.
        state: What is seen; its values are handed out.
        latest: Show where the thread stands now: with the results of tasks that are done already, and only
            the others as next. Else show the step as a record: as it began, with all its tasks.
    """

    __slots__ = ("_due", "_found", "_live", "_rows", "_setting", "_state", "_waiting", "latest")

    def __init__(self, setting: Setting, state: ThreadState, latest: bool) -> None:
        self._setting = setting
        self._state = state
        self.latest = latest
        self._found = False
        self._rows: tuple[PregelTask, ...] | None = None

    def look(self) -> None:
        """Find out what runs next."""
        if self._found:
            return
        plan, latest = self._setting.plan, self.latest
        if not latest:  # others look with it at other checkpoints
            self._setting = copy(self._setting)
        setting = self._setting
        state, due = due_at(setting, self._state, changing=latest and bool(self._state.done))
        live = setting.live
        waiting: Sequence[Task] = due
        if state.done:
            for task in due:
                task.writes = state.done.get(task.key)
            if latest:
                waiting = [task for task in due if task.writes is None]
        if len(waiting) < len(due):
            live, joined = _with_results(plan, live, state, due)
            if not waiting:  # all are done, and whoever wrote that did not come to complete the step
                waiting = next_tasks(plan, live) if joined else due
        self._state, self._due, self._live, self._waiting = state, due, live, waiting
        self._found = True

    def values(self) -> Any:
        """Values of the channels that are shown."""
        plan, state = self._setting.plan, self._state
        if self._found or state.loose or (self.latest and state.done):
            self.look()
            channels = self._live.channels
        else:  # they are as they are, whatever runs next
            channels = asleep(plan, upcast(state, plan.nodes, plan.follows)).channels
        return read(channels, plan.stream)

    def next(self) -> tuple[str, ...]:
        """Nodes of the tasks that run next."""
        self.look()
        return tuple([task.name for task in self._waiting])

    def tasks(self) -> tuple[PregelTask, ...]:
        """Tasks of the step."""
        if self._rows is None:
            self.look()
            rows = self._setting.rows(self._due, self._state)
            if self.latest:
                rows = [
                    row._replace(interrupts=()) if task.writes is not None else row
                    for row, task in zip(rows, self._due, strict=True)
                ]
            self._rows = tuple(rows)
        return self._rows

    def interrupts(self) -> tuple[Any, ...]:
        """What they ask; and that the run waits for a larger budget."""
        asked = [question for row in self.tasks() for question in row.interrupts]
        if self.latest and self._state.exceeded:
            from dashflow.engine.meter import paused_for

            exceeded = BudgetExceeded(**self._state.exceeded, spent=self._state.spent)
            asked.append(paused_for(self._state.run, exceeded))
        return tuple(asked)


def _with_results(plan: GraphPlan, live: Live, state: ThreadState, due: Sequence[Task]) -> tuple[Live, bool]:
    """The channels with the writes of the tasks that are done; and whether those can be joined."""
    try:
        bumped = apply(plan, live, [task for task in due if task.writes is not None])
        if plan.rules is not None:
            plan.rules.state(live.channels, "", bumped)
    except Exception:  # such writes fail the run; who looks sees the state before them
        return live_of(plan, state), False
    return live, True
