"""fold_steps: many completed steps at once, as a long thread has them. Pure; means what ``fold`` means."""

from __future__ import annotations

from collections.abc import Sequence

from dashflow.core.events import StepCompleted
from dashflow.core.fold import ThreadState, change_in_place, fold, replace, see
from dashflow.core.kept import Owned


def fold_steps(state: ThreadState, steps: Sequence[tuple[StepCompleted, int, int]]) -> ThreadState:
    """``fold`` of completed steps one after the other, without a state for each.

    Args:
        state: The thread before them, of a graph without delta channels; changed in place if it is
            ``Owned``, which it is not where all of it was forgotten just before.
        steps: The events, their versions and times.

    Raises:
        ValueError: As ``fold``.
    """
    *before, last = steps
    if not before or type(state.values) is not Owned:
        for step in steps:
            state = fold(state, *step)
        return state
    state = fold(state, *before[0])  # clears what the step was about, and what was imported
    values, versions, seen = state.values, state.versions, state.seen
    assert type(values) is Owned
    for event, _, _ in before[1:]:
        see(seen, versions, event.ran, owned=True)
        change_in_place(values, versions, event.change, owned=True)
    _, version, at = before[-1]
    return fold(replace(state, checkpoint=version, at=at), *last)
