"""Stream parts: what happened in a run, as its caller sees it; one renderer per mode.

Parts are made only for modes somebody listens to. May not look at the log.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from dashflow._util.reserved import INTERRUPT, RETURN, TASKS, path_of
from dashflow._util.sentinel import MISSING
from dashflow.channels.base import BaseChannel
from dashflow.core.superstep import Task, read

Part = tuple[tuple[str, ...], str, Any]
"""Namespace of the graph it comes from, mode, and data."""

SUPPORTED = frozenset({"values", "updates", "custom", "messages", "tasks", "checkpoints", "debug", "tools"})


class Audience(NamedTuple):
    """Somebody who listens: to which modes, and where parts go; ``put`` may be called from any thread."""

    modes: frozenset[str]
    put: Callable[[Part], None]


class Parts:
    """The parts of one run, in order, until the caller takes them.

    Args:
        modes: Which modes the caller listens to.
        keys: The key or keys that ``values`` and ``updates`` show.

    Attributes:
        modes: Which modes anybody listens to.
        keys: See above.
        waiting: What the caller has not taken yet.
    """

    def __init__(self, modes: frozenset[str], keys: Sequence[str] | str) -> None:
        self.modes = modes
        self.keys = keys
        self.waiting: deque[Part] = deque()
        self.namespace: tuple[str, ...] = ()
        self._own = modes
        self._above: Audience | None = None
        self._key_set = frozenset((keys,) if isinstance(keys, str) else keys)

    def overheard_by(self, audience: Audience | None, namespace: str) -> None:
        """Also show everything to who listens to the outermost graph, under this graph's namespace."""
        self.namespace = path_of(namespace)
        if audience is not None:
            self.modes |= audience.modes
            self._above = audience

    def take(self) -> list[Part]:
        """Everything since the last call."""
        waiting = self.waiting
        return [waiting.popleft() for _ in range(len(waiting))]

    def put(self, mode: str, data: Any) -> None:
        """Add a part if its mode is listened to."""
        if mode in self._own:
            self.waiting.append((self.namespace, mode, data))
        if self._above is not None and mode in self._above.modes:
            self._above.put((self.namespace, mode, data))

    def shows(self, updated: set[str], tasks: Sequence[Task]) -> bool:
        """Whether a step changed anything that ``values`` shows."""
        return not self._key_set.isdisjoint(updated) and any(
            chan in self._key_set for task in tasks for chan, _ in task.writes or ()
        )

    def values(self, channels: Mapping[str, BaseChannel[Any, Any, Any]]) -> None:
        """The state after a step."""
        if "values" in self.modes:
            self.put("values", read(channels, self.keys))

    def update(self, task: Task, *, cached: bool = False) -> None:
        """What a finished task wrote, as ``{node: update}``; ``cached``: in an earlier run."""
        if "updates" not in self.modes or task.node.hidden:
            return
        part = {task.name: self._shown(task)}
        self.put("updates", {**part, "__metadata__": {"cached": True}} if cached else part)

    def _shown(self, task: Task) -> Any:
        returned = next((value for chan, value in task.writes or () if chan == RETURN), MISSING)
        if returned is not MISSING:
            return returned
        keys = self._key_set
        shown = [(chan, value) for chan, value in task.writes or () if chan in keys and chan != TASKS]
        if isinstance(self.keys, str):
            updates: list[Any] = [value for _, value in shown]
        elif max(Counter(chan for chan, _ in shown).values(), default=0) > 1:
            updates = [{chan: value} for chan, value in shown]
        else:
            updates = [dict(shown)] if shown else []
        return updates[0] if len(updates) == 1 else (updates or None)

    def interrupted(
        self, interrupts: tuple[Any, ...], channels: Mapping[str, BaseChannel[Any, Any, Any]]
    ) -> None:
        """Somebody is asked."""
        self.put("updates", {INTERRUPT: interrupts})
        if interrupts and "values" in self.modes:
            current = read(channels, self.keys)
            shown = (
                {**current, INTERRUPT: interrupts} if isinstance(current, dict) else {INTERRUPT: interrupts}
            )
            self.put("values", shown)

    # -- tasks, checkpoints, debug --------------------------------------------------------------

    def hears(self, mode: str) -> bool:
        """Whether anybody listens to ``mode``, by itself or as part of ``debug``."""
        return mode in self.modes or "debug" in self.modes

    def detail(self, mode: str, payload: Any, *, kind: str, step: int, at: str) -> None:
        """Add a part of ``tasks`` or ``checkpoints``, and the same for ``debug``.

        Args:
            mode: Which.
            payload: What happened.
            kind: Its name in ``debug``.
            step: Number of the step it belongs to.
            at: Time, ISO 8601.
        """
        self.put(mode, payload)
        if "debug" in self.modes:
            self.put("debug", {"step": step, "timestamp": at, "type": kind, "payload": payload})
