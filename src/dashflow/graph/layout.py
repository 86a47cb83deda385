"""From a builder to a ``GraphPlan``: which channels there are, and who wakes whom.

The channel names are LangGraph's, since checkpoints show them: a channel per state key, ``__start__`` for
the input, ``branch:to:<node>`` for every node, ``join:<a>+<b>:<node>`` for an edge from several nodes,
``__pregel_tasks`` for packets.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any, Protocol

from dashflow._util.reserved import TASKS
from dashflow.channels.base import BaseChannel
from dashflow.channels.ephemeral_value import EphemeralValue
from dashflow.channels.last_value import LastValueAfterFinish
from dashflow.channels.named_barrier_value import NamedBarrierValue, NamedBarrierValueAfterFinish
from dashflow.channels.topic import Topic
from dashflow.constants import END, START, TAG_HIDDEN
from dashflow.core.plan import GraphPlan, NodePlan
from dashflow.core.superstep import Live
from dashflow.graph.branch import Branch, BranchRoute
from dashflow.graph.message import add_messages
from dashflow.graph.node import NodeBody, reader
from dashflow.graph.policies import Wishes, settle, with_default_handler
from dashflow.graph.schema import ROOT, Schema
from dashflow.types.commands import Send

PURE_REDUCERS = (operator.add, operator.concat, operator.or_, add_messages)
"""Reducers that build a new value and leave the parts of the old one alone."""


class Builder(Protocol):
    """What a plan is made from (``dashflow.graph.state.StateGraph``)."""

    nodes: dict[str, Any]
    node_defaults: Wishes
    default_handler: Any
    edges: set[tuple[str, str]]
    waiting_edges: set[tuple[tuple[str, ...], str]]
    branches: dict[str, dict[str, Branch]]
    schemas: dict[Any, Schema]
    channels: dict[str, BaseChannel[Any, Any, Any]]
    managed: dict[str, Any]
    state_schema: Any
    input_schema: Any
    output_schema: Any


def _branch_to(node: str) -> str:
    return f"branch:to:{node}"


def plan_of(builder: Builder, name: str) -> GraphPlan:
    """The plan of a graph that was validated."""
    channels: dict[str, BaseChannel[Any, Any, Any]] = dict(builder.channels)
    channels[START] = EphemeralValue(builder.input_schema)
    channels[TASKS] = Topic(Send, accumulate=False)
    triggers: dict[str, list[str]] = {START: [START]}
    bodies = {START: _start_body(builder)}
    keys = [*builder.channels, *builder.managed]
    specs = with_default_handler(builder.nodes, builder.default_handler)
    for node, spec in specs.items():
        channels[_branch_to(node)] = (
            LastValueAfterFinish(Any) if spec.defer else EphemeralValue(Any, guard=False)
        )
        triggers[node] = [_branch_to(node)]
        bodies[node] = NodeBody(node, spec.action, keys)
    for start, end in sorted(builder.edges):
        if end != END:
            bodies[start].static.append((_branch_to(end), None))
    for starts, end in sorted(builder.waiting_edges):
        if end == END:
            continue
        join = f"join:{'+'.join(starts)}:{end}"
        barrier = NamedBarrierValueAfterFinish if builder.nodes[end].defer else NamedBarrierValue
        channels[join] = barrier(str, set(starts))
        triggers[end].append(join)
        for start in starts:
            bodies[start].static.append((join, start))
    for start, branches in builder.branches.items():
        schema = (
            builder.nodes[start].schema if start in builder.nodes else builder.schemas[builder.state_schema]
        )
        for branch in branches.values():
            bodies[start].routes.append(BranchRoute(branch, schema, reader(schema)))
    bodies[START].inline = not bodies[START].routes
    for key, channel in channels.items():
        channel.key = key
    return GraphPlan(
        name,
        nodes=_nodes(specs, builder.node_defaults, triggers, bodies),
        channels=channels,
        managed=builder.managed,
        input_channel=START,
        output=_shown(builder.schemas[builder.output_schema].channels),
        stream=_shown(builder.channels),
        pure_reducers=PURE_REDUCERS,
    )


def _shown(channels: Mapping[str, Any]) -> list[str] | str:
    return ROOT if list(channels) == [ROOT] else list(channels)


def _start_body(builder: Builder) -> NodeBody:
    """The start passes the input on to the channels of the input schema."""
    return NodeBody(START, None, list(builder.schemas[builder.input_schema].channels))


def _read_start(channels: Any, progress: Live | Any) -> Any:
    return channels[START].get()


def _nodes(
    specs: Mapping[str, Any],
    defaults: Wishes,
    triggers: Mapping[str, list[str]],
    bodies: Mapping[str, NodeBody],
) -> dict[str, NodePlan]:
    nodes = {
        START: NodePlan(
            START,
            triggers=(START,),
            reads=START,
            read=_read_start,
            body=bodies[START],
            hidden=True,
            tags=(TAG_HIDDEN,),
        )
    }
    for node, spec in specs.items():
        schema = spec.schema
        nodes[node] = NodePlan(
            node,
            triggers=triggers[node],
            reads=ROOT if schema.is_root else schema.keys,
            read=reader(schema),
            body=bodies[node],
            metadata=spec.metadata,
            policies=settle(node, spec, defaults),
        )
    return nodes
