"""Checkpoints as LangGraph shows them, and what they are called. Types only."""

from __future__ import annotations

from typing import Any, NamedTuple, TypedDict

__all__ = ("Checkpoint", "CheckpointMetadata", "CheckpointTuple")


class Checkpoint(TypedDict):
    """A thread's state at one position.

    ``v`` is the layout's version, ``ts`` ISO 8601; the channels' values, versions and what each node has
    seen of them are as in LangGraph.
    """

    v: int
    id: str
    ts: str
    channel_values: dict[str, Any]
    channel_versions: dict[str, int]
    versions_seen: dict[str, dict[str, int]]
    updated_channels: list[str] | None


class CheckpointMetadata(TypedDict, total=False):
    """How a checkpoint came about: ``input`` (step -1), ``loop``, ``update`` or ``fork``."""

    source: str
    step: int
    parents: dict[str, str]
    run_id: str


class CheckpointTuple(NamedTuple):
    """A checkpoint with where it is, where it came from, and what tasks wrote after it."""

    config: dict[str, Any]
    checkpoint: Checkpoint
    metadata: dict[str, Any]
    parent_config: dict[str, Any] | None = None
    pending_writes: list[tuple[str, str, Any]] | None = None
