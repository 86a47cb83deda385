"""Between a graph's vocabulary and LangGraph Server's: configs, states and drawings as they travel.

Values in, values out; nothing is sent here. May import LangChain inside functions only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from dashflow._util import reserved
from dashflow.types.interrupts import Interrupt
from dashflow.types.snapshots import PregelTask, StateSnapshot

if TYPE_CHECKING:
    from langchain_core.runnables.graph import Graph

__all__ = ("checkpoint_of", "config_of", "drawing_of", "sanitized", "snapshot_of")

_LOCAL = frozenset(
    {
        reserved.CONFIG_KEY_CHECKPOINT_MAP,
        reserved.CONFIG_KEY_CHECKPOINT_ID,
        reserved.CONFIG_KEY_CHECKPOINT_NS,
        reserved.CONFIG_KEY_TASK_ID,
        reserved.CONFIG_KEY_STRICT_RESUME,
    }
)
"""Keys of ``configurable`` that mean something on this side only."""

_PLACE = ("thread_id", "checkpoint_ns", "checkpoint_id", "checkpoint_map")


def sanitized(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config with only what can be sent: limits, tags, and plain values."""
    out: dict[str, Any] = {}
    if "recursion_limit" in config:
        out["recursion_limit"] = config["recursion_limit"]
    if "tags" in config:
        out["tags"] = [tag for tag in config["tags"] if isinstance(tag, str)]
    if "metadata" in config:
        out["metadata"] = _plain(config["metadata"])
    if "configurable" in config:
        kept = {key: value for key, value in config["configurable"].items() if key not in _LOCAL}
        out["configurable"] = _plain(kept)
    return out


def _plain(value: Any) -> Any:
    """The value with only plain values in it; None when it is none itself."""
    if isinstance(value, str | int | float | UUID):
        return value
    if isinstance(value, Mapping):
        named = {key: _plain(inner) for key, inner in value.items() if isinstance(key, str)}
        return {key: inner for key, inner in named.items() if inner is not None}
    if isinstance(value, list | tuple):
        return [inner for inner in map(_plain, value) if inner is not None]
    return None


def checkpoint_of(config: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The checkpoint that a config names, as it is sent; None when it names nothing."""
    configurable = {} if config is None else config["configurable"]
    return {key: configurable[key] for key in _PLACE if key in configurable} or None


def config_of(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """The config that names a checkpoint which was received."""
    place = {key: checkpoint[key] for key in _PLACE[:3]}
    return {"configurable": {**place, "checkpoint_map": checkpoint.get("checkpoint_map", {})}}


def snapshot_of(state: Mapping[str, Any]) -> StateSnapshot:
    """A thread's state that was received."""
    tasks = tuple(map(_task_of, state["tasks"]))
    parent = state["parent_checkpoint"]
    return StateSnapshot(
        values=state["values"],
        next=tuple(state["next"] or ()),
        config=config_of(state["checkpoint"]),  # type: ignore[arg-type]  # a config
        metadata=dict(state["metadata"]),
        created_at=state["created_at"],
        parent_config=config_of(parent) if parent else None,  # type: ignore[arg-type]  # a config
        tasks=tasks,
        interrupts=tuple(question for task in tasks for question in task.interrupts),
    )


def _task_of(task: Mapping[str, Any]) -> PregelTask:
    inner: Any = None
    if task["state"]:
        inner = snapshot_of(task["state"])
    elif task["checkpoint"]:
        inner = {"configurable": task["checkpoint"]}
    return PregelTask(
        id=task["id"],
        name=task["name"],
        path=(),
        error=Exception(task["error"]) if task["error"] else None,
        interrupts=tuple(Interrupt(**question) for question in task["interrupts"]),
        state=inner,
        result=task.get("result"),
    )


def drawing_of(graph: Mapping[str, Any]) -> Graph:
    """A graph that was received, as LangChain draws graphs."""
    from langchain_core.runnables.graph import Edge, Graph, Node

    nodes = {}
    for node in graph["nodes"]:
        data = node.get("data", {})
        identifier = str(node["id"])
        name = node.get("name")
        if name is None:
            name = data.get("name", identifier) if isinstance(data, dict) else identifier
        nodes[identifier] = Node(id=identifier, name=name, data=data, metadata=node.get("metadata"))
    return Graph(nodes=nodes, edges=[Edge(**edge) for edge in graph["edges"]])
