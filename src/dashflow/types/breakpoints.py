"""Breakpoint: where a thread's runs are to stop, as somebody said from outside. Data only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec

__all__ = ("Breakpoint", "Breakpoints")

Breakpoints = str | Sequence[str] | Mapping[str, Callable[[Any], bool] | None]
"""Where a run stops, as a program says: names of nodes, ``"*"`` for all, or names (``"*"`` too) and on which
condition: a function of the state's values; None stops always."""


class Breakpoint(msgspec.Struct, frozen=True):
    """A breakpoint on a live thread (``graph.set_breakpoint``).

    Attributes:
        node: A node, or ``"*"`` for all. In a graph inside a node: the names on the way there with ``|``
            between them, such as ``research|search`` or ``research|*``.
        at: ``before`` or ``after`` the node.
        when: A condition on the state; "" holds always.
    """

    node: str
    at: Literal["before", "after"] = "before"
    when: str = ""
