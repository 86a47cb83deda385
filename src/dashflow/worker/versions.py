"""Versions: the graphs that a worker has, some in several versions, and which one a thread goes on with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from dashflow.core.fold import ThreadState
from dashflow.core.plan import UNNAMED
from dashflow.errors import UsageError
from dashflow.pregel.main import Pregel

Graph = Pregel[Any, Any, Any, Any]


class Versions:
    """Graphs by name and version.

    Args:
        graphs: Of those with the same name, the last one is the present one.

    Raises:
        UsageError: Two of one name and version.
    """

    def __init__(self, graphs: Sequence[Graph]) -> None:
        self._named: dict[str, dict[str, Graph]] = {}
        for graph in graphs:
            versions = self._named.setdefault(graph.name, {})
            if graph.release.version in versions:
                what = "without a name" if graph.name == UNNAMED else f"named {graph.name!r}"
                raise UsageError(
                    f"Two graphs {what}: give each one its own, compile(name=...), or where these are "
                    "versions of one graph, compile(name=..., version=...)."
                )
            versions[graph.release.version] = graph

    def __iter__(self) -> Iterator[str]:
        return iter(self._named)

    def __contains__(self, name: str) -> bool:
        return name in self._named

    def present(self, name: str) -> Graph:
        """The present version of a graph."""
        return [*self._named[name].values()][-1]

    def for_thread(self, state: ThreadState) -> Graph | None:
        """The graph that a thread goes on with: that it ran on last, if it is here, else the present one.

        Returns:
            None where there is none of its name, or its run is pinned to a version that is not here.
        """
        versions = self._named.get(state.graph or UNNAMED, {})
        same = [graph for graph in versions.values() if state.print and graph.plan.print == state.print]
        if same:
            return same[0]
        if state.release and state.release in versions:
            return versions[state.release]
        if state.pinned:
            return None
        return self.present(state.graph or UNNAMED) if versions else None
