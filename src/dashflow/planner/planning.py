"""The planning port: who makes a plan of a goal. Like an executor, it works outside the pure handler.

Knows tasks; neither the log nor hosts.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from dashflow.planner.core.events import PlannerConfig
from dashflow.planner.core.task import Task


class PlanningRequest(msgspec.Struct, frozen=True):
    """What a planner is given.

    Attributes:
        goal: The goal's words.
        folder: The folder that the goal is about, absolute; None when there is none.
        config: As recorded with the run.
        problem: Why the plan proposed before could not be run; empty at first.
    """

    goal: str
    folder: str | None = None
    config: PlannerConfig = PlannerConfig()
    problem: str = ""


class Proposal(msgspec.Struct, frozen=True):
    """A plan that somebody proposes.

    ``planner`` names who (``rules`` or a model's name); ``notes`` say what was left out or repaired.
    """

    tasks: tuple[Task, ...]
    planner: str
    notes: tuple[str, ...] = ()


class Planning(Protocol):
    """Makes plans. ``plan`` may block and may fail; nothing is recorded until it has returned."""

    def plan(self, request: PlanningRequest) -> Proposal:
        """Propose tasks.

        Raises:
            PlanError: no plan can be made of this; the run fails with its text.
            Exception: anything else leaves the run as it was, to be resumed.
        """
        ...
