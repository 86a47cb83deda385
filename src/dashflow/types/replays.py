"""What a replay of a recorded thread comes to: ThreadReplay, Divergence. Data only."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

__all__ = ("Divergence", "DivergenceKind", "ReplayVerdict", "ThreadReplay")

ReplayVerdict = Literal["same", "diverged", "migrated", "not_replayable"]

DivergenceKind = Literal[
    "tasks",
    "triggers",
    "node",
    "edge",
    "channel",
    "state",
    "writes",
    "value",
    "class",
    "handler",
    "question",
    "end",
    "result",
    "route",
    "error",
]
"""What differs: which tasks come next, what wakes one, a node that is gone, an edge, a channel that is gone
or cannot hold what it held, a state that a node's schema refuses, writes that cannot be applied, the value
they make, a stored class, an error handler, a question's id, where the graph ends; and with nodes run: what
one wrote, where a conditional edge went, and that a node raised or asked."""


class Divergence(msgspec.Struct, frozen=True):
    """The first place where a graph does something else than what was recorded.

    Attributes:
        kind: What differs.
        step: Number of the superstep, as checkpoints count: -1 is the input, 0 the first one.
        checkpoint_id: The checkpoint that the superstep starts from; "" before the first.
        task: The node whose task it is about; "" for none.
        recorded: What the log has.
        present: What the graph does now.
        meaning: What that means for threads in flight, in a sentence or two.
        ns: Namespace of the graph; "" is the outermost.
        version: Version of the thread's stream, in that namespace, at the event that was not met.
        position: The event's position in the log.
    """

    kind: DivergenceKind
    step: int
    checkpoint_id: str
    task: str
    recorded: Any
    present: Any
    meaning: str
    ns: str = ""
    version: int = 0
    position: int = 0


class ThreadReplay(msgspec.Struct, frozen=True):
    """What the replay of a thread came to.

    Attributes:
        thread_id: The thread.
        verdict: ``same``: the graph does what was recorded, as far as it was asked. ``diverged``: see
            ``divergence``. ``migrated``: it ran on an earlier version, and the graph's migrations would bring
            it here, as ``reason`` says. ``not_replayable``: see ``reason``.
        status: Of the thread: ``idle``, ``running``, ``paused``, ``failed``, ``finished`` or ``dead``.
        steps: How many supersteps were replayed, those of graphs inside included.
        ran: How many tasks were run again.
        divergence: The first one.
        reason: Why the thread, or the rest of it, could not be replayed.
        unchecked: What could not be compared, once each.
    """

    thread_id: str
    verdict: ReplayVerdict
    status: str = "idle"
    steps: int = 0
    ran: int = 0
    divergence: Divergence | None = None
    reason: str = ""
    unchecked: tuple[str, ...] = ()
