"""Checkpoints as LangGraph shows them: their types, and the small functions that programs use on them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple, NotRequired, TypedDict, cast

from dashflow._util.langchain import RunnableConfig
from dashflow._util.reserved import ERROR, INTERRUPT, RESUME, SCHEDULED
from dashflow._util.sentinel import MISSING
from dashflow.checkpoint.base.id import uuid6
from dashflow.checkpoint.serde.types import ChannelProtocol
from dashflow.errors import EmptyChannelError

ChannelVersions = dict[str, str | int | float]
"""Version of each channel."""

PendingWrite = tuple[str, str, Any]
"""(task id, channel, value)."""


class Checkpoint(TypedDict):
    """A thread's state at one position.

    ``v`` is the layout's number, ``id`` sorts by time, ``ts`` is ISO 8601; ``versions_seen`` has for each
    node the versions of the channels when it last ran.
    """

    v: int
    id: str
    ts: str
    channel_values: dict[str, Any]
    channel_versions: ChannelVersions
    versions_seen: dict[str, ChannelVersions]
    updated_channels: list[str] | None


class CheckpointMetadata(TypedDict, total=False):
    """How a checkpoint came about.

    ``source`` is ``input`` (step -1 on a new thread), ``loop``, ``update`` or ``fork``; ``parents`` has
    the ids of the checkpoints of the graphs around, by namespace. ``counters_since_delta_snapshot`` has
    for each ``DeltaChannel`` the updates and the steps since its value was last stored whole.
    """

    source: Literal["input", "loop", "update", "fork", "merge"]
    step: int
    parents: dict[str, str]
    run_id: str
    counters_since_delta_snapshot: dict[str, tuple[int, int]]


class CheckpointTuple(NamedTuple):
    """A checkpoint with where it is, where it came from, and what tasks wrote after it."""

    config: RunnableConfig
    checkpoint: Checkpoint
    metadata: CheckpointMetadata
    parent_config: RunnableConfig | None = None
    pending_writes: list[PendingWrite] | None = None


class DeltaChannelHistory(TypedDict):
    """What a channel's value at a checkpoint is made of.

    ``seed`` is what the nearest checkpoint before it stores of the channel, and is not there when none
    does; ``writes`` are those made since, oldest first, within a step in ``writes_sort_key`` order.
    """

    writes: list[PendingWrite]
    seed: NotRequired[Any]


LATEST_VERSION = 2
"""``v`` of checkpoints made by the functions below."""

WRITES_IDX_MAP = {ERROR: -1, SCHEDULED: -2, INTERRUPT: -3, RESUME: -4}
"""The index of special writes of a task, of which there is one each; others have that of their place."""

EXCLUDED_METADATA_KEYS = {
    "thread_id",
    "checkpoint_id",
    "checkpoint_ns",
    "checkpoint_map",
    "langgraph_step",
    "langgraph_node",
    "langgraph_triggers",
    "langgraph_path",
    "langgraph_checkpoint_ns",
}
"""What of a config is not metadata of its checkpoints: where they are, and what is only true of a task."""


def writes_sort_key(task_path: str, task_id: str = "", idx: int = 0) -> tuple[str, str, int]:
    """Sorts the writes of a step as running it applies them, which matters to reducers."""
    return task_path, task_id, idx


def get_checkpoint_id(config: RunnableConfig) -> str | None:
    """The checkpoint that a config names; None: the latest."""
    return config["configurable"].get("checkpoint_id")


def get_checkpoint_metadata(config: RunnableConfig, metadata: CheckpointMetadata) -> CheckpointMetadata:
    """``metadata`` with what the config's caller said besides: plain values, without NUL characters."""
    found = {key: _without_nul(value) for key, value in metadata.items()}
    for given in (config.get("metadata"), config.get("configurable")):
        for key, value in (given or {}).items():
            if key in found or key in EXCLUDED_METADATA_KEYS or key.startswith("__"):
                continue
            if isinstance(value, str | int | float):
                found[key] = _without_nul(value)
    return cast(CheckpointMetadata, found)


def _without_nul(value: Any) -> Any:
    """Text as databases take it."""
    return value.replace("\x00", "") if isinstance(value, str) else value


def get_serializable_checkpoint_metadata(
    config: RunnableConfig, metadata: CheckpointMetadata
) -> CheckpointMetadata:
    """``get_checkpoint_metadata`` without ``writes``, which hold values of any class."""
    found = cast(dict[str, Any], get_checkpoint_metadata(config, metadata))
    found.pop("writes", None)
    return cast(CheckpointMetadata, found)


def empty_checkpoint() -> Checkpoint:
    """A checkpoint before everything."""
    return _made(str(uuid6(clock_seq=-2)), {}, {}, {}, [])


def create_checkpoint(
    checkpoint: Checkpoint,
    channels: Mapping[str, ChannelProtocol[Any, Any, Any]] | None,
    step: int,
    *,
    id: str | None = None,  # noqa: A002  # LangGraph's name
) -> Checkpoint:
    """The next checkpoint after ``checkpoint``, of these channels; None: with the same values."""
    values = checkpoint["channel_values"]
    if channels is not None:
        values = {}
        for name, channel in channels.items():
            if name in checkpoint["channel_versions"] and (stored := _stored(channel)) is not MISSING:
                values[name] = stored
    return _made(
        id or str(uuid6(clock_seq=step)),
        values,
        checkpoint["channel_versions"],
        checkpoint["versions_seen"],
        cast(dict[str, Any], checkpoint).get("pending_sends", []),
    )


def _stored(channel: ChannelProtocol[Any, Any, Any]) -> Any:
    try:
        return channel.checkpoint()
    except EmptyChannelError:
        return MISSING


def _made(
    identifier: str,
    values: dict[str, Any],
    versions: ChannelVersions,
    seen: dict[str, ChannelVersions],
    sends: list[Any],
) -> Checkpoint:
    told: dict[str, Any] = {
        "v": LATEST_VERSION,
        "ts": datetime.now(UTC).isoformat(),
        "id": identifier,
        "channel_values": values,
        "channel_versions": versions,
        "versions_seen": seen,
        "pending_sends": sends,
        "updated_channels": None,
    }
    return cast(Checkpoint, told)


def copy_checkpoint(checkpoint: Checkpoint) -> Checkpoint:
    """A copy that shares only the values themselves."""
    told: dict[str, Any] = {
        "v": checkpoint["v"],
        "ts": checkpoint["ts"],
        "id": checkpoint["id"],
        "channel_values": checkpoint["channel_values"].copy(),
        "channel_versions": checkpoint["channel_versions"].copy(),
        "versions_seen": {name: seen.copy() for name, seen in checkpoint["versions_seen"].items()},
        "pending_sends": cast(dict[str, Any], checkpoint).get("pending_sends", []).copy(),
        "updated_channels": checkpoint.get("updated_channels"),
    }
    return cast(Checkpoint, told)
