"""Report: what a worker tells of its doings. Plain data; who listens is not known here."""

from __future__ import annotations

from typing import Literal

import msgspec

What = Literal[
    "taken over",
    "answered",
    "finished",
    "paused",
    "failed",
    "lost",
    "dead letter",
    "left",
    "put back",
    "cancelled",
    "trouble",
]


class Report(msgspec.Struct, frozen=True):
    """Something that a worker did, or came upon.

    Attributes:
        what: ``taken over`` (it begins to work on a run), ``answered`` (it goes on with a run that waited for
            an approval, which is decided), ``finished``, ``paused`` (the run waits for a
            person), ``failed`` (a node raised; that is recorded), ``lost`` (another process took the run
            over meanwhile), ``dead letter`` (tried too often), ``left`` (its graph is not known here),
            ``put back`` (the worker was stopped; another one goes on), ``cancelled`` (somebody cancelled the
            run), ``trouble`` (the log could not be
            used just now).
        kind: ``graph`` or ``plan``; "" for trouble with the log as a whole.
        name: The graph's thread, or the plan's run.
        run: Id of the run.
        graph: Name of the graph; "" when it was given none.
        attempt: How often the run was taken over, this time included.
        text: More, for people.
    """

    what: What
    kind: str = ""
    name: str = ""
    run: str = ""
    graph: str = ""
    attempt: int = 0
    text: str = ""

    def __str__(self) -> str:
        """One line for a log."""
        words = [f"{self.kind} {self.name}".strip(), self.what]
        if self.attempt > 1:
            words.append(f"(attempt {self.attempt})")
        return " ".join(word for word in words if word) + (f": {self.text}" if self.text else "")
