"""Cancellation: what became of the wish to end a run. Data only."""

from __future__ import annotations

import msgspec

__all__ = ("Cancellation",)


class Cancellation(msgspec.Struct, frozen=True):
    """The answer of ``graph.cancel``.

    Attributes:
        thread: The thread.
        run: Id of its last run; "" if it has none.
        status: ``cancelling``: the wish is durable, the run can commit nothing any more, and its work has not
            stopped yet. ``cancelled``: it has. Else there was nothing to cancel, and this is how the thread
            stands: ``idle``, ``finished``, ``failed``, ``dead``.
        reason: Why, as it is recorded.
    """

    thread: str
    run: str
    status: str
    reason: str = ""
