"""Where a run goes on: the thread's latest state, or an old checkpoint of it. Reads only."""

from __future__ import annotations

from typing import Any, NamedTuple

from dashflow.checkpoint.thread import ThreadReader, stream_of
from dashflow.checkpoint.view import checkpoints, name_of, places
from dashflow.core.fold import EMPTY, ThreadState
from dashflow.core.ids import checkpoint_version
from dashflow.errors import UnknownCheckpointError
from dashflow.types.commands import Command


class Place(NamedTuple):
    """A state to go on from; whether that replays work done before; the stream's last version."""

    state: ThreadState
    replays: bool
    end: int


def checkpoint_name(thread: str, state: ThreadState) -> str:
    """The checkpoint id of a state."""
    return name_of(stream_of(thread), state)


def locate(reader: ThreadReader, thread: str, checkpoint: str | None, given: Any) -> Place:
    """Where to go on. The state is the caller's own: changing its values changes nothing else.

    Args:
        reader: The log's threads.
        thread: Thread id.
        checkpoint: Checkpoint id, or None for the latest.
        given: The run's input: an answer goes on with the questions asked at that checkpoint.

    Raises:
        UnknownCheckpointError: The thread has no such checkpoint.
    """
    head = reader.head(thread)
    if checkpoint is None or (head.checkpoint and checkpoint == checkpoint_name(thread, head)):
        return Place(reader.own(head), False, head.version)
    state = find(reader, thread, checkpoint)
    if not (isinstance(given, Command) and given.resume is not None):
        return Place(state, given is None or isinstance(given, Command), head.version)
    asked = next((s for s in checkpoints(reader, thread) if s.checkpoint == state.checkpoint), state)
    return Place(reader.own(asked), False, head.version)


def find(reader: ThreadReader, thread: str, checkpoint: str) -> ThreadState:
    """The state at a checkpoint.

    Raises:
        UnknownCheckpointError: The thread has no such checkpoint.
    """
    version = checkpoint_version(checkpoint)
    stream = stream_of(thread)
    state = EMPTY
    if version is not None and 0 < version <= reader.log.version(stream):
        state = reader.at(thread, version)
    table = reader.imports.table(stream)
    if table.checkpoints or table.forgotten or table.cleared:
        found = places(reader, stream).get(checkpoint)
        if found is None:
            raise UnknownCheckpointError(thread, checkpoint)
        if found.id:
            return reader.own(found)
    if state.checkpoint != version or version is None or checkpoint_name(thread, state) != checkpoint:
        raise UnknownCheckpointError(thread, checkpoint)
    return state
