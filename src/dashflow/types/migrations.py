"""Migration and Release: what a graph's author says of its versions. Data and the author's functions only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

__all__ = ("Migration", "Release")


class Migration(msgspec.Struct, frozen=True, kw_only=True):
    """How threads of an earlier version of a graph go on with this one.

    Attributes:
        since: The version that it is for: that of the thread's last run. None: any; it may only rename and
            drop then, and does so where a thread still has the old name and the graph has not.
        to: The version that it leads to; "" is the graph's own.
        nodes: New names of nodes by their old ones. A thread that waits at one waits at the other, with the
            same questions.
        keys: New names of keys of the state by their old ones.
        dropped: Keys (by their old names) whose values the graph does not need any more.
        upcasts: By new key, a function from the value it has to the value it shall have.
        fill: A function from the values, by new key, to those that shall be added or replaced.
    """

    since: str | None = None
    to: str = ""
    nodes: Mapping[str, str] = {}
    keys: Mapping[str, str] = {}
    dropped: Sequence[str] = ()
    upcasts: Mapping[str, Callable[[Any], Any]] = {}
    fill: Callable[[dict[str, Any]], Mapping[str, Any]] | None = None


class Release(msgspec.Struct, frozen=True):
    """Which version of a graph this is.

    Attributes:
        version: The author's name for it; "" for none.
        pinned: Whether runs that begin with it go on with it only.
        migrations: For threads of earlier versions, in the order of the versions.
    """

    version: str = ""
    pinned: bool = False
    migrations: tuple[Migration, ...] = ()

    def check(self) -> Release:
        """Itself, when it can be followed.

        Raises:
            ValueError: Values are to be changed, and nothing says from which version to which, so they might
                be changed twice; or two old names become one.
        """
        for one in self.migrations:
            if (one.upcasts or one.fill is not None) and (one.since is None or not self.version):
                raise ValueError(
                    "A migration that changes values needs the version that it is for, Migration(since=...), "
                    "and the graph one of its own, compile(version=...): else it might change them twice."
                )
            for what, names in (("nodes", one.nodes), ("keys", one.keys)):
                if len(set(names.values())) < len(names):
                    raise ValueError(f"A migration gives two {what} the same new name: {dict(names)}.")
        return self
