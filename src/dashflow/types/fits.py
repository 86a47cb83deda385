"""ThreadFit: whether a thread could go on with a graph, and what would become of it. Data only."""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ("FitVerdict", "ThreadFit")

FitVerdict = Literal["same", "compatible", "migrated", "refused"]


class ThreadFit(msgspec.Struct, frozen=True):
    """What a dry run of going on with a thread came to.

    Attributes:
        thread_id: The thread.
        verdict: ``same``: it ran on this very graph. ``compatible``: on another one, which would be recorded.
            ``migrated``: the graph's migrations would bring it here. ``refused``: see ``problems``.
        status: Of the thread: ``idle``, ``running``, ``paused``, ``failed``, ``finished`` or ``dead``.
        version: Version of the graph that it ran on last; "" for none.
        changed: What is different in this graph.
        migrated: What the migrations would do.
        problems: What is in the way, and what to do about it.
    """

    thread_id: str
    verdict: FitVerdict
    status: str = "idle"
    version: str = ""
    changed: tuple[str, ...] = ()
    migrated: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
