"""Checks of a graph before it runs: every name means something. The texts are LangGraph's."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dashflow._util.reserved import RESERVED
from dashflow.pregel.node import PregelNode

Names = Sequence[str] | str


def validate_graph(
    nodes: Mapping[str, Any],
    channels: Mapping[str, Any],
    managed: Mapping[str, Any],
    *,
    inputs: Names,
    outputs: Iterable[str],
    breakpoints: Iterable[str],
) -> None:
    """Check a graph.

    Args:
        nodes: By name.
        channels: By name.
        managed: Managed values, by key.
        inputs: Channel or channels that take the input.
        outputs: Channels that are shown.
        breakpoints: Nodes that runs stop at.

    Raises:
        ValueError: Names what is wrong.
        TypeError: A node that is none.
    """
    known = f"in known channels: '{repr(sorted(channels))[:100]}'"
    _validate_names(Channel=channels, Managed=managed, Node=nodes)
    for name, node in nodes.items():
        _validate_reads(name, node, channels, managed, known)
    subscribed = {trigger for node in nodes.values() for trigger in node.triggers}
    for channel in sorted(subscribed):
        if channel not in channels:
            raise ValueError(f"Subscribed channel '{channel}' not {known}")
    _validate_inputs(inputs, channels, subscribed, known)
    for channel in outputs:
        if channel not in channels:
            raise ValueError(f"Output channel '{channel}' not {known}")
    for node in breakpoints:
        if node not in nodes:
            raise ValueError(f"Node {node} not in nodes")


def _names(names: Names) -> Sequence[str]:
    return (names,) if isinstance(names, str) else names


def _validate_names(**groups: Iterable[str]) -> None:
    for kind, names in groups.items():
        for name in names:
            if name in RESERVED:
                raise ValueError(f"{kind} name '{name}' is reserved")


def _validate_reads(
    name: str, node: Any, channels: Mapping[str, Any], managed: Mapping[str, Any], known: str
) -> None:
    if not isinstance(node, PregelNode):
        raise TypeError(f"Invalid node type {type(node)}, expected PregelNode or NodeBuilder")
    for channel in _names(node.channels):
        if channel not in channels and (channel not in managed or isinstance(node.channels, str)):
            raise ValueError(f"Node {name} reads channel '{channel}' not {known}")


def _validate_inputs(inputs: Names, channels: Mapping[str, Any], subscribed: set[str], known: str) -> None:
    for channel in _names(inputs):
        if channel not in channels:
            place = f"not {known}" if isinstance(inputs, str) else f"not in '{repr(sorted(channels))[:100]}'"
            raise ValueError(f"Input channel '{channel}' {place}")
    if isinstance(inputs, str):
        if inputs not in subscribed:
            raise ValueError(f"Input channel {inputs} is not subscribed to by any node")
    elif subscribed.isdisjoint(inputs):
        raise ValueError(f"None of the input channels {inputs} are subscribed to by any node")
