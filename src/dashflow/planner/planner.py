"""``Planner``: the pure planner as one object, for programs that bring their own log and loop.

A thin face of ``core.process`` and ``core.fold``; no infrastructure. ``dashflow.planner.runs`` is the
one that runs plans.
"""

from __future__ import annotations

from collections.abc import Iterable

from dashflow.planner.core.commands import Command
from dashflow.planner.core.events import Event
from dashflow.planner.core.fold import fold_all
from dashflow.planner.core.process import process
from dashflow.planner.core.state import PlannerState


class Planner:
    """The planner of one run, at one moment. Never changes: new events make a new planner.

    ::

        planner = Planner()
        events = planner.process(Initialize(now=0, run="r1", goal="..."))
        ...                                  # append them to a log first
        planner = planner.apply(events)
    """

    __slots__ = ("_state",)

    def __init__(self, state: PlannerState | None = None) -> None:
        self._state = PlannerState() if state is None else state

    @property
    def state(self) -> PlannerState:
        """What is known of the plan."""
        return self._state

    def process(self, command: Command) -> list[Event]:
        """The events that ``command`` leads to; this planner stays as it is.

        Raises:
            UsageError: the run's state does not allow the command, or the command asks the impossible.
        """
        return process(self._state, command)

    def apply(self, events: Iterable[Event]) -> Planner:
        """The planner after ``events``."""
        return Planner(fold_all(events, self._state))

    @classmethod
    def fold(cls, events: Iterable[Event]) -> Planner:
        """The planner after ``events`` from the very first."""
        return cls(fold_all(events))
