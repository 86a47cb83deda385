"""What a channel's value at a checkpoint is made of: a stored value, and the writes since. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dashflow._util.ids import task_id
from dashflow.checkpoint.base.checkpoint import CheckpointTuple, DeltaChannelHistory, PendingWrite
from dashflow.checkpoint.delta_lineage import left_out
from dashflow.checkpoint.thread import ThreadReader
from dashflow.checkpoint.view import as_tuple, parent_name, places
from dashflow.core.fold import ThreadState
from dashflow.types.commands import Overwrite


def delta_history(
    reader: ThreadReader, stream: str, target: str | None, channels: Sequence[str]
) -> dict[str, DeltaChannelHistory]:
    """What the channels' values are made of.

    Args:
        reader: The log's threads.
        stream: Where the checkpoint is.
        target: Its id; None: the latest.
        channels: Names.
    """
    if not channels:
        return {}
    states = places(reader, stream, forgotten=True)
    name = target or next(iter(places(reader, stream)), None)
    writes: dict[str, list[PendingWrite]] = {channel: [] for channel in channels}
    seeds: dict[str, Any] = {}
    whole: set[str] = set()
    later = states.get(name) if name else None
    while later is not None and len(seeds.keys() | whole) < len(writes):
        name = parent_name(stream, later)
        earlier = states.get(name) if name else None
        if earlier is None or name is None:
            break
        place = as_tuple(reader, stream, earlier)
        for channel in channels:
            if channel in seeds or channel in whole:
                continue
            writes[channel][:0] = between = _between(earlier, later, channel, place)
            if channel in place.checkpoint["channel_values"]:
                seeds[channel] = place.checkpoint["channel_values"][channel]
            elif between and not later.id and isinstance(between[-1][2], Overwrite):
                whole.add(channel)  # that is all of its value; nothing before counts
        later = earlier
    result: dict[str, DeltaChannelHistory] = {}
    for channel in channels:
        result[channel] = {"writes": writes[channel]}
        if channel in seeds:
            result[channel]["seed"] = seeds[channel]
    return result


def _between(
    earlier: ThreadState, later: ThreadState, channel: str, place: CheckpointTuple
) -> list[PendingWrite]:
    """The writes to a channel that lead from a checkpoint to the next.

    The log keeps what a step of a run made of a channel, not what was written to it.
    """
    writes = [write for write in place.pending_writes or () if write[1] == channel]
    if later.id or (writes and channel in left_out(later)):
        return writes
    if earlier.versions.get(channel) == later.versions.get(channel):
        return []
    outcome = Overwrite(later.values.get(channel))
    return [(task_id(b"", str(place.checkpoint["id"]), channel), channel, outcome)]
