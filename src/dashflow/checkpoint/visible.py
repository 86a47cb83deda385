"""Which checkpoints of a stream people see, and what they see at each: as LangGraph's savers would have it.

The log keeps everything. A run with durability "exit" shows only where it ended. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from dashflow._util.reserved import BRANCH_TO, NS_END, TASKS
from dashflow.core.fold import EMPTY, ThreadState
from dashflow.core.written import wrote_kept

_replace = msgspec.structs.replace


def visible(states: Sequence[ThreadState], ns: str = "") -> list[ThreadState]:
    """One state per checkpoint that is shown, oldest first, with all that was done and asked at it.

    Args:
        states: After each event of the stream.
        ns: The stream's namespace.
    """
    ended_at = {state.run: state.checkpoint for state in states if state.run}
    finished = {state.run for state in states if state.status == "finished"}
    made: dict[int, ThreadState] = {}
    last_made: dict[str, int] = {}
    best: dict[int, ThreadState] = {}
    for state in states:
        place = state.checkpoint
        if not place:
            continue
        if place not in made:
            made[place] = best[place] = state
            last_made[state.run] = place
        elif state.durability != "exit" or ended_at.get(state.run) == place:
            best[place] = _joined(best[place], state)
    _tell_results(best, states)
    for place, state in best.items():
        maker = made[place]
        if state.seen is not maker.seen or state.run != maker.run:
            best[place] = _replace(state, seen=maker.seen, run=maker.run)

    def shows(maker: ThreadState) -> bool:
        if maker.durability != "exit" or maker.id or maker.source in ("update", "merge") or not maker.run:
            return True
        # A graph inside a task that is done has nothing to say any more, when only ends are kept.
        fleeting = NS_END in ns and maker.run in finished
        return last_made[maker.run] == maker.checkpoint and not fleeting

    shown = {place: state for place, state in best.items() if shows(made[place])}
    found = {place: _under_shown_parent(state, shown, best) for place, state in shown.items()}
    if any(state.deltas for state in found.values()):
        from dashflow.checkpoint.delta_lineage import link  # only for graphs that have such channels

        return link(found, made, best)
    return list(found.values())


def _joined(before: ThreadState, after: ThreadState) -> ThreadState:
    """The later state, and what was asked and went wrong at the same checkpoint before."""
    questions: dict[str, Any] = {**before.questions, **after.questions}
    # What answered the last question is not the checkpoint's: whoever goes back to it is asked that again.
    answers = after.answers if after.questions else before.answers
    errors = {**before.errors, **after.errors}
    bound = {**before.bound, **after.bound}
    return _replace(after, questions=questions, answers=answers, errors=errors, bound=bound)


def _tell_results(best: dict[int, ThreadState], states: Sequence[ThreadState]) -> None:
    """Let each checkpoint know what the step after it wrote, where the next checkpoint tells."""
    for later in states:
        before = best.get(later.parent) if later.wrote and later.durability != "exit" else None
        if before is not None:
            names = {**later.wrote_names, **before.names}
            wrote = wrote_kept(later)
            if len(wrote) == 1 and later.source == "loop":
                wrote = {key: [*writes, *_led(later, names[key])] for key, writes in wrote.items()}
            best[later.parent] = _replace(before, done={**wrote, **before.done}, names=names)


def _led(later: ThreadState, name: str) -> list[tuple[str, Any]]:
    """Where the only task of a step led, as it wrote it: what it woke is what the step updated."""
    writes: list[tuple[str, Any]] = [(TASKS, packet) for packet in later.values.get(TASKS, ())]
    for channel in sorted(later.updated):
        if channel.startswith(BRANCH_TO):
            writes.append((channel, None))
        elif channel.startswith("join:"):
            writes.append((channel, name))
    return writes


def _under_shown_parent(
    state: ThreadState, shown: Mapping[int, ThreadState], best: Mapping[int, ThreadState]
) -> ThreadState:
    """The state with the nearest checkpoint before it that is shown as its parent."""
    parent = state.parent
    while parent and parent not in shown:
        parent = best[parent].parent if parent in best else 0
    if parent == state.parent:
        return state
    known = shown.get(parent, EMPTY)
    return _replace(state, parent=parent, parent_at=known.at, parent_home=known.home)
