"""Items run by the planner: every item is a goal, or a request with one.

The run of an item has an id made of batch and key, so an attempt goes on inside the plan where the last one
was. A run that failed for good is followed by a new one, with the number of the run behind its id.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import msgspec

from dashflow.batch.work import Item
from dashflow.errors import ItemFailedError, ItemWaitingError, UnknownRunError, UsageError
from dashflow.log.base import EventLog
from dashflow.log.codec import Registry
from dashflow.planner.core.events import PlannerConfig
from dashflow.planner.core.state import PlannerState, RunStatus
from dashflow.planner.runs import PlanRequest, PlanRuns


class PlanWork:
    """Plans and works off every item.

    Args:
        runs: The plan runs of the log that keeps the plans.

    The result of an item is a dict: ``run``, ``out`` (the folder of what it produced), and ``results``, the
    results of its tasks by their ids.
    """

    kind = "plan"
    awaitable = False

    def __init__(self, runs: PlanRuns) -> None:
        self._runs = runs
        self.registry = Registry((PlanRequest, PlannerConfig))

    @property
    def log(self) -> EventLog:
        """The log that keeps the plans."""
        return self._runs.log

    def run(self, item: Item) -> Any:
        """See ``Work.run``.

        Raises:
            ItemWaitingError: The plan waits for an answer.
            ItemFailedError: The plan failed or was cancelled.
            UsageError: The item is no goal, or one that cannot be.
        """
        state = self._runs.run(self._accepted(item, request_of(item)))
        if state.status is RunStatus.WAITING:
            held = [task.id for task in state.held]
            asked = state.questions[0] if state.questions else held[0]
            raise ItemWaitingError(item.key, state.run, state.tasks[asked].question or f"may {asked} start?")
        if state.status is not RunStatus.COMPLETED:
            raise ItemFailedError(item.key, f"run {state.run!r} {state.status.value}: {state.error}")
        results = {name: task.result for name, task in state.tasks.items()}
        return {"run": state.run, "out": state.out, "results": results}

    def arun(self, item: Item) -> Awaitable[Any]:
        """Never called: plans run on threads."""
        raise UsageError("Plans run on threads; this work is not awaitable.")

    def _accepted(self, item: Item, request: PlanRequest) -> str:
        """The run of this item: the one that is there and did not end badly, or a new one."""
        number = 1
        while True:
            run = item.run if number == 1 else f"{item.run}+{number}"
            state = self._known(run)
            if state is None:
                return self._runs.accept(request, run)
            if state.outcome in (None, RunStatus.COMPLETED):
                return run
            number += 1

    def _known(self, run: str) -> PlannerState | None:
        try:
            return self._runs.state(run)
        except UnknownRunError:
            return None


def request_of(item: Item) -> PlanRequest:
    """What an item asks for: a goal's words, or a mapping with the fields of ``PlanRequest``.

    Raises:
        UsageError: It is neither.
    """
    value = item.value
    if isinstance(value, PlanRequest):
        return value
    if isinstance(value, str):
        return PlanRequest(goal=value)
    try:
        return msgspec.convert(value, PlanRequest)
    except msgspec.ValidationError as error:
        raise UsageError(
            f"Item {item.key!r} is no goal: {error}. Give its words, or a mapping with 'goal' and, as "
            "needed, 'folder', 'out', 'answers', 'model', 'workers'."
        ) from error
