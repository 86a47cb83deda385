"""Checkpoints of old layouts: their channels' names become today's. Pure.

Until layout 3, what woke a node was a channel of the edge: ``start:node``, ``branch:source:condition:node``,
or that of the node before, under its name. Now it is the node's own: ``branch:to:node``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

import msgspec

from dashflow._util.reserved import BRANCH_TO, INTERRUPT
from dashflow._util.sentinel import MISSING
from dashflow.constants import START
from dashflow.core.fold import ThreadState

RENAMED_IN = 3
"""The first layout with today's names."""


def upcast(state: ThreadState, nodes: Collection[str], follows: Mapping[str, Collection[str]]) -> ThreadState:
    """The state with today's names of channels.

    Args:
        state: At an imported checkpoint.
        nodes: Names of the graph's nodes.
        follows: For each node, those that an edge leads to from it.
    """
    if state.layout >= RENAMED_IN or not state.versions:
        return state
    values, versions = dict(state.values), dict(state.versions)
    seen = {name: dict(known) for name, known in state.seen.items()}
    for old, targets in _renames(state.versions, nodes, follows):
        version, value = versions.pop(old), values.pop(old, MISSING)
        for node in targets:
            new = f"{BRANCH_TO}{node}"
            versions[new] = max(version, versions.get(new, version))
            if value is not MISSING:
                values.setdefault(new, value)
            for known in (seen.get(node, {}), seen.get(INTERRUPT, {})):
                if old in known:
                    known[new] = max(known[old], known.get(new, 0))
    gone = state.versions.keys() - versions.keys()
    seen = {name: {ch: v for ch, v in known.items() if ch not in gone} for name, known in seen.items()}
    return msgspec.structs.replace(state, values=values, versions=versions, seen=seen, layout=4)


def _renames(
    versions: Collection[str], nodes: Collection[str], follows: Mapping[str, Collection[str]]
) -> Iterator[tuple[str, Collection[str]]]:
    """Old names and the nodes that each now wakes."""
    for channel in versions:
        kind, _, rest = channel.partition(":")
        node = rest.rpartition(":")[2]
        if node in nodes and (
            (kind == "start" and ":" not in rest) or (kind == "branch" and rest.count(":") == 2)
        ):
            yield channel, (node,)
        elif channel in nodes and channel != START:
            yield channel, follows.get(channel, ())
