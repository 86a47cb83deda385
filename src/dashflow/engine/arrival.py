"""Arriving: the part of a run that finds its thread, and sees that thread and graph belong together.

Reads only; what it finds is decided on in ``dashflow.engine.run``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dashflow.core.fold import ThreadState
from dashflow.engine.accept import Terms
from dashflow.engine.history import History, Place
from dashflow.engine.step import Step
from dashflow.errors import VersionConflictError

if TYPE_CHECKING:
    from dashflow.engine.changed import Meeting


class Arriving(Step):
    """A run on its way to its thread.

    Attributes:
        expects: Version of the thread's stream that the run was decided on; None: whatever it is at.
    """

    expects: int | None = None
    _meeting: Meeting | None = None
    _given: Any

    async def _find(self, history: History) -> Place:
        """Where to go on; a thread that was left by another graph is brought to this one."""
        replay, options = self.replay, self.options
        checkpoint = options.checkpoint if self.outer is None else options.around.get(self.namespace)
        if checkpoint is not None or replay is None:
            place = await history.locate(checkpoint)
            if self.expects is not None and place.end != self.expects:
                raise VersionConflictError(self._named, self.expects, place.end)
        else:
            self.resuming = None  # it takes its input anew, so that what woke its nodes does so again
            before = replay.checkpoint if replay.first_visit(self.namespace) else None
            place = await history.locate(None, before)
        if not place.state.checkpoint or place.state.print == self.plan.print:
            return place
        from dashflow.engine.changed import Meeting  # graphs that never change need not load it

        self._meeting = Meeting(self.plan, self.options.thread, self.namespace, place, recorded=history.diffs)
        return self._meeting.place

    async def _check(self, state: ThreadState, terms: Terms, *, fresh: bool) -> None:
        """What was stored must keep the rules; a graph that is another one must know what waits there."""
        if self.plan.rules is not None and state.checkpoint:
            self.plan.rules.load(self.live.channels, None if terms.resumes else self._given)
        if self._meeting is not None and terms.resumes:
            self._meeting.check(self.live, state, fresh=fresh)
            if not fresh and self._history is not None:
                await self._meeting.look_inside(self, self._history, state)
