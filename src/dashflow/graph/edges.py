"""Whether the edges of a graph that is being built lead from nodes to nodes. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

from dashflow.constants import END, START
from dashflow.graph.branch import Branch
from dashflow.graph.spec import NodeSpec

Branches = Mapping[str, Mapping[str, Branch]]


def check_edges(
    nodes: Mapping[str, NodeSpec[Any, Any]],
    edges: Set[tuple[str, str]],
    waiting: Iterable[tuple[tuple[str, ...], str]],
    branches: Branches,
    interrupt: Sequence[str],
) -> None:
    """Check that every edge and breakpoint names a node, and that there is a way in.

    Args:
        nodes: By name.
        edges: From where, to where.
        waiting: From several, to where.
        branches: By where they start.
        interrupt: Nodes with breakpoints.

    Raises:
        ValueError: Names what is wrong.
    """
    edges = edges | {(start, end) for starts, end in waiting for start in starts}
    leading = {name for name, spec in nodes.items() if spec.ends}
    sources = {start for start, _ in edges} | set(branches) | leading
    for source in sorted(sources):
        if source not in nodes and source != START:
            raise ValueError(f"Found edge starting at unknown node '{source}'")
    if START not in sources:
        raise ValueError("Graph must have an entrypoint: add at least one edge from START to another node")
    _check_branches(nodes, branches)
    targets = {end for _, end in edges}
    for name in leading:
        targets.update(nodes[name].ends or ())
    for target in sorted(targets):
        if target not in nodes and target != END:
            raise ValueError(f"Found edge ending at unknown node `{target}`")
    for node in interrupt:
        if node not in nodes:
            raise ValueError(f"Interrupt node `{node}` not found")


def _check_branches(nodes: Mapping[str, NodeSpec[Any, Any]], branches: Branches) -> None:
    for start, named in branches.items():
        for branch in named.values():
            for end in (branch.ends or {}).values():
                if end not in nodes and end != END:
                    raise ValueError(
                        f"At '{start}' node, '{branch.name}' branch found unknown target '{end}'"
                    )
