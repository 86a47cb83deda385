"""Whether the edges of a graph that is being built lead from nodes to nodes. Changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from dashflow.constants import END, START

if TYPE_CHECKING:
    from dashflow.graph.state import StateGraph


def check_edges(graph: StateGraph[Any, Any, Any, Any], interrupt: Sequence[str]) -> None:
    """Check that every edge and breakpoint names a node, and that there is a way in.

    Raises:
        ValueError: Names what is wrong.
    """
    nodes = graph.nodes
    edges = graph.edges | {(start, end) for starts, end in graph.waiting_edges for start in starts}
    leading = {name for name, spec in nodes.items() if spec.ends}
    sources = {start for start, _ in edges} | set(graph.branches) | leading
    for source in sorted(sources):
        if source not in nodes and source != START:
            raise ValueError(f"Found edge starting at unknown node '{source}'")
    if START not in sources:
        raise ValueError("Graph must have an entrypoint: add at least one edge from START to another node")
    _check_branches(graph)
    targets = {end for _, end in edges}
    for name in leading:
        targets.update(nodes[name].ends or ())
    for target in sorted(targets):
        if target not in nodes and target != END:
            raise ValueError(f"Found edge ending at unknown node `{target}`")
    for node in interrupt:
        if node not in nodes:
            raise ValueError(f"Interrupt node `{node}` not found")


def _check_branches(graph: StateGraph[Any, Any, Any, Any]) -> None:
    for start, branches in graph.branches.items():
        for branch in branches.values():
            for end in (branch.ends or {}).values():
                if end not in graph.nodes and end != END:
                    raise ValueError(
                        f"At '{start}' node, '{branch.name}' branch found unknown target '{end}'"
                    )
