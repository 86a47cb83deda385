"""Broadcast: all agents get the same message at the same time; somebody may sum up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashflow.constants import START
from dashflow.graph.message import MessagesState
from dashflow.graph.state import StateGraph


def broadcast(
    agents: Mapping[str, Any], collect: Any = None, *, collect_name: str = "collect", state_schema: Any = None
) -> StateGraph[Any, Any, Any, Any]:
    """A graph that runs all agents beside each other, and then ``collect``, once.

    Args:
        agents: Nodes by name.
        collect: Node that sees all answers; None: nobody does.
        collect_name: Its name.
        state_schema: ``MessagesState``, or another.

    Raises:
        ValueError: No agents, or one that is called like ``collect``.
    """
    if not agents:
        raise ValueError("A broadcast needs at least one agent.")
    if collect_name in agents:
        raise ValueError(f"An agent cannot be called {collect_name!r}: that is the node that collects.")
    graph: StateGraph[Any, Any, Any, Any] = StateGraph(state_schema or MessagesState)
    for name, agent in agents.items():
        graph.add_node(name, agent)
        graph.add_edge(START, name)
    if collect is not None:
        graph.add_node(collect_name, collect)
        graph.add_edge(list(agents), collect_name)
    return graph
