"""Halt: the one word by which a run, the graphs inside of it and whatever records for them learn that the
run is being cancelled. Data only; who is to stop then, and how, is in ``dashflow.engine.run``.
"""

from __future__ import annotations

from dashflow.errors import RunCancelledError


class Halt:
    """Of a run and all graphs inside; may be looked at from any thread.

    Attributes:
        asked: Whether the run is being cancelled. Nothing is recorded any more then.
        reason: Why, as far as it is known here.
        thread: The run's thread.
        run: Its id.
    """

    __slots__ = ("asked", "reason", "run", "thread")

    def __init__(self, thread: str = "", run: str = "") -> None:
        self.asked = False
        self.reason = ""
        self.thread = thread
        self.run = run

    def error(self) -> RunCancelledError:
        """What to raise for a cancelled run."""
        return RunCancelledError(self.thread, self.run, self.reason)

    def check(self) -> None:
        """Raises RunCancelledError when the run is being cancelled."""
        if self.asked:
            raise self.error()


NEVER = Halt()
"""That of what nobody cancels."""
