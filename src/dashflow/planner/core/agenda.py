"""Agenda: what a plan could do next, kept up to date from event to event instead of looked for in all tasks.

Says the same as ``dag.ready`` and ``dag.blocked`` of the same tasks; a property test compares them. Pure. An
event costs as much as the tasks that wait for its task, whatever the size of the plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from dashflow.planner.core import dag
from dashflow.planner.core.table import Table
from dashflow.planner.core.task import Task, TaskStatus

_ACTIVE: Final = frozenset({TaskStatus.RUNNING})


class Shape:
    """What of a plan never changes: ranks in the order of dispatch, and who waits for whom."""

    __slots__ = ("followers", "order", "rank")

    def __init__(self, tasks: Mapping[str, Task], order: Sequence[str]) -> None:
        self.order = tuple(order)
        self.rank = {one: number for number, one in enumerate(self.order)}
        self.followers: dict[str, list[tuple[str, bool]]] = {one: [] for one in tasks}
        for task in tasks.values():
            hard = {*task.dependencies}
            for one in dict.fromkeys(dag.awaited(task)):
                self.followers[one].append((task.id, one in hard))


class Agenda:
    """What could be done, after some events. Frozen: ``moved`` makes another one.

    Sets of tasks are the bits of a number, by rank: the lowest one set comes first.

    Attributes:
        running: Ids of the tasks that an executor has.
        held: How many tasks wait for an approval.
        failed: How many failed.
    """

    __slots__ = ("_blocked", "_ready", "_shape", "_waits", "_wants", "failed", "held", "running")

    derived = True

    def __init__(self, tasks: Mapping[str, Task], order: Sequence[str]) -> None:
        self._shape = Shape(tasks, order)
        cannot = dag.blocked(tasks)
        self._blocked = sum(1 << self._shape.rank[one] for one in cannot)
        waits = {}
        for task in tasks.values():
            hard = {*task.dependencies}
            waits[task.id] = sum(
                not (
                    tasks[one].status is TaskStatus.COMPLETED
                    if one in hard
                    else tasks[one].status in dag.TERMINAL or one in cannot
                )
                for one in dict.fromkeys(dag.awaited(task))
            )
        self._waits: Table[int] = Table(waits)
        ready = (one for one, left in waits.items() if not left and tasks[one].status is TaskStatus.PLANNED)
        self._ready = sum(1 << self._shape.rank[one] for one in ready)
        wants = (one.id for one in tasks.values() if one.approval is not None and not one.approved)
        self._wants = sum(1 << self._shape.rank[one] for one in wants)
        self.running = tuple(one.id for one in tasks.values() if one.status is TaskStatus.RUNNING)
        self.held = sum(one.status is TaskStatus.NEEDS_APPROVAL for one in tasks.values())
        self.failed = sum(one.status is TaskStatus.FAILED for one in tasks.values())

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nothing could."""
        return not self.running and not self._ready

    def ready(self) -> Iterator[str]:
        """Ids of tasks that wait for no other, in the order of dispatch."""
        return self._named(self._ready)

    def startable(self) -> Iterator[str]:
        """Those of them that nobody has to approve any more."""
        return self._named(self._ready & ~self._wants)

    def unasked(self) -> Iterator[str]:
        """Those of them that somebody has to approve first, and was not asked for."""
        return self._named(self._ready & self._wants)

    def _named(self, left: int) -> Iterator[str]:
        order = self._shape.order
        while left:
            lowest = left & -left
            yield order[lowest.bit_length() - 1]
            left ^= lowest

    def is_ready(self, task: str) -> bool:
        """Whether a task could start now."""
        return bool(self._ready >> self._shape.rank[task] & 1)

    def is_blocked(self, task: str) -> bool:
        """Whether a task can never start: one that it needs failed, or is itself blocked."""
        return bool(self._blocked >> self._shape.rank[task] & 1)

    def moved(self, task: str, before: TaskStatus, after: TaskStatus) -> Agenda:
        """The agenda once a task has another status."""
        made: Agenda = Agenda.__new__(Agenda)
        made._shape, made._waits = self._shape, self._waits
        made._blocked, made._ready, made._wants = self._blocked, self._ready, self._wants
        made.running = (
            tuple(one for one in self.running if one != task) if before in _ACTIVE else self.running
        )
        if after in _ACTIVE:
            made.running = (*made.running, task)
        needs, failed = TaskStatus.NEEDS_APPROVAL, TaskStatus.FAILED
        made.held = self.held + (after is needs) - (before is needs)
        made.failed = self.failed + (after is failed) - (before is failed)
        if before is needs and after is TaskStatus.PLANNED:
            made._wants &= ~(1 << self._shape.rank[task])  # it was approved
        made._set_ready(task, after is TaskStatus.PLANNED and not made._waits[task])
        if after is not before and after is TaskStatus.COMPLETED:
            for follower, _ in self._shape.followers[task]:
                made._waits_less(follower)
        elif after is not before and after is failed:
            made._give_up_behind(task)
        return made

    def _set_ready(self, task: str, ready: bool) -> None:
        bit = 1 << self._shape.rank[task]
        self._ready = self._ready | bit if ready else self._ready & ~bit

    def _waits_less(self, task: str) -> None:
        """One that it waits for came to its end."""
        left = self._waits[task] - 1
        self._waits = self._waits.put(task, left)
        if not left and not self.is_blocked(task):
            self._set_ready(task, True)  # nothing has happened to it yet: it waited

    def _give_up_behind(self, failed: str) -> None:
        """Block what needs a task that failed, and what needs that; who only would have liked it goes on."""
        frontier = [failed]
        while frontier:
            for follower, hard in self._shape.followers[frontier.pop()]:
                if not hard:
                    self._waits_less(follower)
                elif not self.is_blocked(follower):
                    self._blocked |= 1 << self._shape.rank[follower]
                    self._set_ready(follower, False)
                    frontier.append(follower)

    def __eq__(self, other: object) -> bool:
        """Made from the tasks: states are equal when those are."""
        return other is None or isinstance(other, Agenda)

    __hash__ = None  # type: ignore[assignment]  # see __eq__
