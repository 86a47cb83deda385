"""How a log's checkpoints show delta channels, so that who repeats a saver's writes gets what the log holds.

Most checkpoints leave such a channel out, and the writes at the checkpoint before lead to its value. Where
those are not shown, or do not lead there, the checkpoint before tells the value; on a second branch from it
the channel is shown whole. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec

from dashflow.core.cadence import is_whole
from dashflow.core.fold import EMPTY, ThreadState
from dashflow.core.kept import part_of

_replace = msgspec.structs.replace
_Places = Mapping[int, ThreadState]


def left_out(state: ThreadState) -> list[str]:
    """Delta channels that were written to since a checkpoint showed them whole, and are not so here."""
    return [n for n, count in state.deltas.items() if count[1] and n in state.values and not is_whole(count)]


def link(found: dict[int, ThreadState], made: _Places, best: _Places) -> list[ThreadState]:
    """The states that are shown, oldest first, each with what the next one needs.

    Args:
        found: By version of their checkpoints.
        made: The same as they were when the checkpoint was made.
        best: The states at all checkpoints, not shown ones too.
    """
    children = Counter(state.parent for state in found.values())
    told: set[int] = set()
    for place in sorted(found):
        state = found[place]
        if state.deltas and not state.id:
            versions = made[place].versions
            altered = [n for n in state.deltas if state.versions.get(n) != versions.get(n)]
            state = found[place] = _whole(state, altered)  # by a command, and by no task
            if left := left_out(state):
                state = _linked(state, left, found, best, told, children[state.parent] == 1)
        told.add(state.parent)
    return [found[place] for place in sorted(found)]


def _linked(
    state: ThreadState,
    left: list[str],
    found: dict[int, ThreadState],
    best: _Places,
    told: set[int],
    only: bool,
) -> ThreadState:
    place, before = state.checkpoint, found.get(state.parent)
    if before is None:
        first = best[place]
        while first.parent in best:
            first = best[first.parent]
        if first.checkpoint == place:  # a thread's first checkpoint has everything
            return state
        before = found.get(first.checkpoint) or _replace(
            EMPTY,
            checkpoint=first.checkpoint,
            at=first.at,
            home=first.home,
            run=state.run,
            durability="exit",
            meta=state.meta,
        )
        state = found[place] = _replace(
            state, parent=before.checkpoint, parent_at=before.at, parent_home=before.home
        )
    if before.checkpoint in told:
        found[place] = _whole(state, left)
        return state
    written = {chan for writes in before.done.values() for chan, _ in writes}
    direct = only and best[place].parent == before.checkpoint and state.durability != "exit"
    plain = direct and state.source == "loop" and before.source != "fork"
    later = {
        name: part_of(state.values, name)
        for name in left
        if (name in written or state.versions[name] != before.versions.get(name))
        and not (plain and name in written)
    }
    found[before.checkpoint] = _replace(before, later=later)
    return state


def _whole(state: ThreadState, names: list[str]) -> ThreadState:
    if not names:
        return state
    counted = {name: (state.deltas[name][0], 0, 0) for name in names}
    return _replace(state, deltas={**state.deltas, **counted})
