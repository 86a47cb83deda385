"""Stage: where recorded tasks are run again, in a setting of no run. Nothing they do is written down.

Answers, and the results of functions that a task called, are those that were recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dashflow._util.reserved import RETURN
from dashflow.core.fold import ThreadState
from dashflow.core.superstep import Task
from dashflow.engine.setting import Setting
from dashflow.engine.steps import kept, look_up, returned
from dashflow.engine.task import Scope, execute

Writes = Sequence[tuple[str, Any]]


class StrayCallError(RuntimeError):
    """A task calls a function that it did not call when it was recorded."""


class Stage(Setting):
    """A setting that looks at a recorded thread; arguments as for ``Setting``, without a history."""

    _done: Mapping[str, Writes] = {}
    _errors: Mapping[str, Any] = {}

    def set_scene(self, state: ThreadState, answers: Mapping[str, Any]) -> None:
        """Let tasks find what was done and answered when their step was recorded; ``answers`` are those that
        were given elsewhere in the thread."""
        self.look_at(state)
        self.around = dict(state.parents)
        self.answers.give({**answers, **state.answers}, state.answer, state.bound)
        self._done, self._errors = state.done, state.errors

    def call(self, scope: Scope, node: Any, given: Any) -> Any:
        """The recorded result of a function that a task calls.

        Raises:
            StrayCallError: There is none.
            RuntimeError: It failed then.
        """
        number, scope.calls = scope.calls, scope.calls + 1
        key = f"{scope.task.key}>{number}"
        writes = self._done.get(key)
        if writes is None and key in self._errors:
            raise RuntimeError(str(self._errors[key]))
        if writes is None:
            raise StrayCallError(f"Node {scope.task.name!r} calls {node.name!r}, which it did not call then")
        return self.host.ready(next((value for chan, value in writes if chan == RETURN), None))

    def step(self, scope: Scope, node: Any, given: Any, asynchronous: bool) -> Any:
        """The recorded result of a step.

        Raises:
            StrayCallError: There is none.
            NondeterministicStepError: Another one was recorded at this place.
        """
        _, _, writes = look_up(scope, node, given)
        if writes is None:
            raise StrayCallError(f"Node {scope.task.name!r} has a step {node.name!r}, which it had not then")
        return kept(writes) if asynchronous else returned(writes)

    def recorded(self, task: Task) -> Writes | None:
        """What a task wrote then."""
        return self._done.get(task.key)

    def all_recorded(self) -> Iterable[Writes]:
        """What all tasks wrote then."""
        return self._done.values()

    async def perform(self, task: Task) -> list[tuple[str, Any]]:
        """What a task writes now.

        Raises:
            Whatever its node raises; ``GraphInterrupt`` when it asks what was not answered.
        """
        return await execute(self.host, self, task)

    async def ask_edges(self, task: Task, writes: Writes) -> list[tuple[str, Any]]:
        """Where the conditional edges of a task's node lead now, after what was recorded of it.

        Raises:
            Whatever a path function raises.
        """
        found: list[tuple[str, Any]] = []
        scope, body = Scope(self, task), task.node.body
        result = task.input if body.thing is None else {}  # the graph's start passes its input on
        for route in body.routes:
            state = route.read(self.live, writes)
            free = route.asynchronous and self.host.asynchronous
            decision = route.decide(state, result, scope, free)
            found.extend(route.writes(await decision if free else decision))
        return found
