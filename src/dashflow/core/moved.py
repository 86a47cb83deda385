"""Moved: what brought a thread to another version of its graph, as events tell it. Data only."""

from __future__ import annotations

from typing import Any

import msgspec


class Moved(msgspec.Struct, frozen=True, omit_defaults=True):
    """A thread was brought to another version of its graph, as that graph's migrations say.

    Attributes:
        nodes: New names of nodes, by their old ones.
        keys: New names of keys of the state, by their old ones.
        dropped: Keys, by their old names, that hold nothing any more.
        put: Keys, by their new names, and the value that they have now.
        since: Version of the graph that the thread was at; "" for none.
    """

    nodes: dict[str, str] = {}
    keys: dict[str, str] = {}
    dropped: list[str] = []
    put: dict[str, Any] = {}
    since: str = ""
