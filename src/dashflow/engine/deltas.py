"""Delta channels in savers' checkpoints: when one is stored whole, and where its writes go else.

A checkpoint leaves such a channel out; readers go back to the last one that has it and repeat the writes
that are stored at those between. So it must be stored whole wherever that way would lead them wrong. Pure.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

from dashflow._util import limits
from dashflow._util.reserved import INPUT, NULL_TASK_ID
from dashflow.core.bumps import bump
from dashflow.core.cadence import overwritten
from dashflow.core.fold import ThreadState
from dashflow.core.plan import GraphPlan
from dashflow.core.superstep import Live

COUNTERS = "counters_since_delta_snapshot"
"""Key in metadata: [updates, supersteps] of each channel since it was stored whole."""

STUB_STEP = -2
"""Number of the empty checkpoint that holds the writes of a thread's first run under durability "exit"."""

Write = tuple[str, Any]


class Deltas:
    """The delta channels of one thread, while a run or an edit writes checkpoints.

    Args:
        plan: The graph.
        state: Where the writer goes on from.
    """

    def __init__(self, plan: GraphPlan, state: ThreadState) -> None:
        self._channels = plan.delta_channels
        self._triggered_by = plan.triggered_by
        told = state.meta.get(COUNTERS) or {}
        self._counts: dict[str, tuple[int, int]] = {
            name: (told[name][0], told[name][1]) for name in plan.delta_channels if name in told
        }
        self._forced: set[str] = set()
        self._loaded: list[tuple[str, Write]] = []
        if plan.delta_channels and state.loose:
            self._loaded = [
                (task, (chan, value))
                for (_, task), rows in state.loose.get(state.id, {}).items()
                for _, chan, value in rows
                if chan in plan.delta_channels
            ]
        self.used: set[str] = set()
        self._late = _Late()

    def of(self, writes: Iterable[Write]) -> list[Write]:
        """Those of the writes that go to delta channels."""
        return [write for write in writes if write[0] in self._channels]

    # -- what must be stored whole -----------------------------------------------------------------

    def force(self, writes: Iterable[Write]) -> None:
        """The next checkpoint has these channels whole."""
        self._forced.update(chan for chan, _ in writes if chan in self._channels)

    def written(self, writes: Iterable[Write]) -> None:
        """These writes are stored, or taken from the store: after an ``Overwrite`` nothing older counts."""
        self._forced |= overwritten(self.of(writes))

    def branch(self) -> None:
        """A new branch begins: the writes at its first checkpoint led to some other one."""
        self.force(write for _, write in self._loaded)
        self._loaded = []

    def stepped(self) -> None:
        """A step is complete that began with stored results: those that were not used led nowhere."""
        for task, write in self._loaded:
            if task not in self.used and task != NULL_TASK_ID:
                self.force([write])
            self.written([write])
        self._loaded = []

    # -- checkpoints -------------------------------------------------------------------------------

    def count(self, updated: Iterable[str] | None) -> None:
        """One more superstep."""
        written = frozenset(updated or ())
        for name in self._channels:
            updates, steps = self._counts.get(name, (0, 0))
            self._counts[name] = (updates + (name in written), steps + 1)

    def due(self, live: Live) -> set[str]:
        """Channels that the next checkpoint has whole."""
        return self._forced | {
            name
            for name, channel in self._channels.items()
            if name in live.versions and self._is_due(channel.snapshot_frequency, name)
        }

    def _is_due(self, frequency: int, name: str) -> bool:
        updates, steps = self._counts.get(name, (0, 0))
        return updates >= frequency or steps >= limits.DELTA_MAX_SUPERSTEPS

    def written_ones(self, live: Live) -> set[str]:
        """All that were ever written to: what a new thread's first edit stores."""
        return {name for name in self._channels if name in live.versions}

    def whole(self) -> set[str]:
        """Those that the checkpoint where this began has whole."""
        return {name for name in self._channels if self._counts.get(name, (0, 0)) == (0, 0)}

    def stored(self, names: Iterable[str], live: Live, old: Mapping[str, Any]) -> None:
        """A checkpoint gets these channels whole; those that have the version of before get a new one, since
        savers store a value once per version.

        Args:
            names: The channels.
            live: Their values and versions.
            old: For channels that were stored before, the number of the version.
        """
        names = sorted(names)
        bump(
            live,
            (n for n in names if n not in live.versions or live.versions[n] == old.get(n)),
            self._triggered_by,
        )
        self._forced.difference_update(names)
        self._counts.update(dict.fromkeys(names, (0, 0)))

    def metadata(self) -> dict[str, Any]:
        """What a checkpoint's metadata say of the channels."""
        counts = {name: list(count) for name, count in self._counts.items() if count != (0, 0)}
        return {COUNTERS: counts} if counts else {}

    # -- durability "exit" -------------------------------------------------------------------------

    def hold(self, step: int, writes: Iterable[Write], task: str = NULL_TASK_ID, path: str = "") -> None:
        """Keep writes for the end of the run."""
        self._late.add(step, task, path, self.of(writes))

    def ran(self, step: int) -> None:
        """A superstep is complete; the first one is that of the checkpoint where the run began."""
        self._late.first = step if self._late.first is None else self._late.first

    def force_held(self) -> None:
        """Nothing that was kept for the end can be stored."""
        self.force(self._late.writes())

    def held(self, live: Live) -> list[tuple[str, str, list[Write]]]:
        """What was kept for the end and is in no channel stored whole: (task id, path, writes)."""
        return self._late.grouped(self.due(live))


class _Late:
    """Writes that are stored at the end of a run, all at the checkpoint where it began."""

    def __init__(self) -> None:
        self.first: int | None = None
        self._writes: list[tuple[int, str, str, Write]] = []

    def add(self, step: int, task: str, path: str, writes: Iterable[Write]) -> None:
        self._writes.extend((step, task, path, write) for write in writes)

    def writes(self) -> Iterable[Write]:
        return (write for _, _, _, write in self._writes)

    def grouped(self, whole: set[str]) -> list[tuple[str, str, list[Write]]]:
        """Under ids and paths that sort as the supersteps came, whichever of the two a saver sorts by.

        The ids are never those of tasks: when the last checkpoint cannot be stored, the tasks must not look
        as if they were done.
        """
        groups: dict[tuple[str, str], list[Write]] = {}
        for step, task, path, write in self._writes:
            if write[0] in whole:
                continue
            if task == NULL_TASK_ID:
                key = (exit_task_id(step, task), "")
            elif step == self.first:
                key = (exit_task_id(step, task), path)
            else:
                key = (late_task_id(step, task), f"~~{step:010d}{path}")
            groups.setdefault(key, []).append(write)
        return [(task, path, writes) for (task, path), writes in groups.items()]


def exit_task_id(step: int, task: str) -> str:
    """A UUID that sorts by the superstep: its number takes the first eight digits of the task's id."""
    return f"{step - STUB_STEP:08d}{str(uuid.UUID(task))[8:]}"


def late_task_id(step: int, task: str) -> str:
    """The same, behind every task's own id."""
    number = step - STUB_STEP
    return f"ffffffff-{number >> 16:04x}-{number & 0xFFFF:04x}-{str(uuid.UUID(task))[19:]}"


def input_task_id(checkpoint: str) -> str:
    """Under which an input's writes are stored at the checkpoint that it comes to."""
    return str(uuid.uuid5(uuid.UUID(checkpoint), INPUT))
