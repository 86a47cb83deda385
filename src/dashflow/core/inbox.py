"""What can happen to a thread's inbox, as events: inputs that were accepted while the thread was busy.

An inbox is a stream beside the thread's. It holds what waits, in the order of acceptance; once nothing waits
it is empty again. An input counts as started when the thread's own stream says so (``RunStarted.ticket``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import msgspec


class InputQueued(msgspec.Struct, frozen=True, omit_defaults=True):
    """An input was accepted, and waits for its turn.

    Attributes:
        ticket: Its id.
        given: The input.
        since: The version that the thread's stream had.
        waiter: The stream that shows whether its caller lives.
        strategy: ``enqueue``, ``interrupt`` or ``rollback``; the latter two go first.
        graph: Name of the graph; "" when it was given none.
        run: Id that its caller gave to the run; "" for none.
        durability, meta, options: As in ``RunStarted``.
        checkpoint: Id of the checkpoint to start from; "": the latest.
        context: [value] of what nodes get as ``runtime.context``, if it can be stored.
    """

    type: ClassVar[str] = "InputQueued"
    ticket: str
    given: Any
    since: int
    waiter: str
    strategy: str = "enqueue"
    graph: str = ""
    run: str = ""
    durability: str = "async"
    meta: dict[str, Any] = {}
    options: dict[str, Any] = {}
    checkpoint: str = ""
    context: list[Any] = []


class InputTaken(msgspec.Struct, frozen=True, omit_defaults=True):
    """An input's run has started."""

    type: ClassVar[str] = "InputTaken"
    ticket: str


class InputWithdrawn(msgspec.Struct, frozen=True, omit_defaults=True):
    """An input's caller gave it up, or was told that it cannot be used; it will not run."""

    type: ClassVar[str] = "InputWithdrawn"
    ticket: str
    reason: str = ""


class ProcessReady(msgspec.Struct, frozen=True, omit_defaults=True):
    """A process says that it is there: while it owns the stream of this event, it lives.

    Attributes:
        graphs: Names of graphs whose orphans it finishes (a worker); none for a caller that waits.
    """

    type: ClassVar[str] = "ProcessReady"
    graphs: list[str] = []


InboxEvent = InputQueued | InputTaken | InputWithdrawn | ProcessReady

EVENTS: dict[str, type[InboxEvent]] = {
    kind.type: kind for kind in (InputQueued, InputTaken, InputWithdrawn, ProcessReady)
}


def waiting(events: Iterable[InboxEvent]) -> list[InputQueued]:
    """The inputs that wait, in the order in which their turns come."""
    left: dict[str, InputQueued] = {}
    for event in events:
        if isinstance(event, InputQueued):
            left[event.ticket] = event
        elif isinstance(event, InputTaken | InputWithdrawn):
            left.pop(event.ticket, None)
    return sorted(left.values(), key=lambda event: event.strategy == "enqueue")
