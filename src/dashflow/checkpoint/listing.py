"""A thread's checkpoints as lines of a list: what there is to say of them without their values. Reads only.

Which nodes come next is told by the graph; where there is none, by the names of a ``StateGraph``'s channels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dashflow._util.reserved import BRANCH_TO, TASKS
from dashflow.checkpoint.base.checkpoint import CheckpointTuple
from dashflow.constants import START
from dashflow.core.fold import ThreadState
from dashflow.types.branches import CheckpointInfo

if TYPE_CHECKING:
    from dashflow.checkpoint.thread import ThreadReader

Seen = Mapping[str, Mapping[str, Any]]
Waiting = Callable[[str, Mapping[str, Any], Mapping[str, Any], Seen], tuple[str, ...]]
"""Given a namespace, the channels' values and versions, and the versions that each node has seen: the nodes
of the next step, one per task."""

JOIN = "join:"


def waiting(ns: str, values: Mapping[str, Any], versions: Mapping[str, Any], seen: Seen) -> tuple[str, ...]:
    """The nodes of the next step, of a graph that is made of edges."""
    due: set[str] = set()
    for channel, version in versions.items():
        if channel not in values:
            continue
        name = _woken(channel, values[channel])
        known = seen.get(name, {}).get(channel) if name else version
        if name and (known is None or version > known):
            due.add(name)
    return (*sent(values), *sorted(due))


def sent(values: Mapping[str, Any]) -> list[str]:
    """The nodes that packets are on their way to."""
    found = []
    for packet in values.get(TASKS) or ():
        fields = getattr(packet, "fields", None)  # of an object whose class is not known here
        name = fields.get("node") if isinstance(fields, Mapping) else getattr(packet, "node", None)
        found.append(str(name))
    return found


def _woken(channel: str, value: Any) -> str:
    """The node that a channel wakes; "" for none."""
    if channel == START:
        return START
    if channel.startswith(BRANCH_TO):
        return channel.removeprefix(BRANCH_TO)
    if channel.startswith(JOIN):
        names, _, name = channel.removeprefix(JOIN).rpartition(":")
        complete = not isinstance(value, set | list | tuple) or set(names.split("+")) <= set(value)
        return name if complete else ""
    return ""


def list_config(thread: str, ns: str, subgraphs: bool) -> Any:
    """The config with which savers list a thread: of one namespace, or of all."""
    place = {"thread_id": thread}
    return {"configurable": place if subgraphs and not ns else {**place, "checkpoint_ns": ns}}


def bound_of(thread: str, ns: str, before: str | None) -> Any:
    """The config that names the checkpoint before which a list begins; None for no bound."""
    if before is None:
        return None
    return {"configurable": {"thread_id": thread, "checkpoint_ns": ns, "checkpoint_id": before}}


def info_of_tuple(found: CheckpointTuple, next_of: Waiting = waiting) -> CheckpointInfo:
    """What there is to say of a saver's checkpoint."""
    checkpoint: Any = found.checkpoint
    metadata: Mapping[str, Any] = found.metadata or {}
    place = found.config["configurable"]
    ns = place.get("checkpoint_ns") or ""
    parent = (found.parent_config or {}).get("configurable", {}).get("checkpoint_id")
    values = checkpoint.get("channel_values") or {}
    versions = checkpoint.get("channel_versions") or {}
    return CheckpointInfo(
        str(checkpoint["id"]),
        parent or None,
        metadata.get("step", -1),
        metadata.get("source", "input"),
        str(checkpoint.get("ts") or ""),
        next_of(ns, values, versions, checkpoint.get("versions_seen") or {}),
        metadata.get("run_id"),
        None,
        str(place["thread_id"]),
        ns,
    )


def info_of_state(
    reader: ThreadReader, stream: str, state: ThreadState, next_of: Waiting = waiting
) -> CheckpointInfo:
    """What there is to say of a checkpoint in a log."""
    from dashflow.checkpoint.thread import thread_of
    from dashflow.checkpoint.view import metadata_of, name_of, parent_name, timestamp

    thread, ns = thread_of(stream)
    metadata = metadata_of(state)
    began = reader.lines.beginning(thread_of(state.home or stream)[0])
    return CheckpointInfo(
        name_of(stream, state),
        parent_name(stream, state),
        state.step,
        state.source,
        timestamp(state.at),
        next_of(ns, state.values, state.versions, state.seen),
        metadata.get("run_id") or state.run or None,
        None if began is None else began.event.name,
        thread,
        ns,
    )
