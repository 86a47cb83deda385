"""Events that put checkpoints and writes into a stream: made from LangGraph's arguments, or from a stream.

Makes events only; the saver records them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from dashflow.checkpoint.base.checkpoint import WRITES_IDX_MAP, Checkpoint
from dashflow.checkpoint.imported import EMPTY_TAG, Table
from dashflow.checkpoint.serde.base import SerializerProtocol
from dashflow.checkpoint.thread import ThreadReader
from dashflow.checkpoint.view import as_tuple, places
from dashflow.core.events import CheckpointImported, CheckpointsForgotten, Event, WritesImported
from dashflow.core.fold import ThreadState


class Prepared(NamedTuple):
    """An import that needs only to be told whether it is the latest."""

    event: CheckpointImported

    @property
    def id(self) -> str:
        """The checkpoint's id."""
        return self.event.id

    def __call__(self, *, latest: bool) -> CheckpointImported:
        return self.event if latest else msgspec.structs.replace(self.event, latest=False)


def checkpoint_event(
    checkpoint: Checkpoint,
    metadata: Mapping[str, Any],
    serde: SerializerProtocol,
    *,
    parent: str | None,
    changed: Mapping[str, Any] | None,
    table: Table,
) -> Prepared:
    """A checkpoint that is put in.

    Args:
        checkpoint: What.
        metadata: How it came about.
        serde: Makes bytes of values.
        parent: Id of the checkpoint before it.
        changed: Versions of the channels whose values are to be kept; None: of all, whatever was
            imported before.
        table: What was imported before: a value that is the same is kept once.
    """
    told = {key: value for key, value in checkpoint.items() if key != "channel_values"}
    given, versions = checkpoint["channel_values"], checkpoint.get("channel_versions", {})
    values: list[list[Any]] = []
    same: list[list[Any]] = []
    if changed is not None:
        for channel, version in changed.items():
            typed = serde.dumps_typed(given[channel]) if channel in given else (EMPTY_TAG, b"")
            values.append([channel, version, *typed])
    else:
        for channel, value in given.items():
            typed = serde.dumps_typed(value)
            holder = table.holder(channel, typed)
            if holder is None:
                values.append([channel, versions.get(channel), *typed])
            else:
                same.append([channel, holder])
    return Prepared(
        CheckpointImported(
            checkpoint["id"],
            [*serde.dumps_typed(told)],
            [*serde.dumps_typed(dict(metadata))],
            parent or "",
            values=values,
            whole=changed is None,
            same=same,
        )
    )


def write_rows(writes: Sequence[tuple[str, Any]], serde: SerializerProtocol) -> list[list[Any]]:
    """A task's writes as ``WritesImported`` has them."""
    return [
        [WRITES_IDX_MAP.get(channel, index), channel, *serde.dumps_typed(value)]
        for index, (channel, value) in enumerate(writes)
    ]


def latest_again(
    reader: ThreadReader, stream: str, name: str, state: ThreadState, gone: list[str]
) -> list[Event]:
    """Forget checkpoints, the latest among them, and go on from the one of that name."""
    if not state.id:
        return [CheckpointsForgotten(gone, base=state.version)]
    put = reader.imports.table(stream).checkpoints[name]
    again = msgspec.structs.replace(put.event, latest=True)
    return [CheckpointsForgotten(gone), again]


def copy_events(
    reader: ThreadReader, stream: str, serde: SerializerProtocol
) -> Iterator[Callable[[str], Sequence[Event]]]:
    """What records a stream's checkpoints and their writes elsewhere, oldest first."""
    table = reader.imports.table(stream)
    copied = Table()  # of what the other stream has it is not known what is the same
    for name, state in reversed(places(reader, stream).items()):
        found = as_tuple(reader, stream, state)
        parent = found.parent_config["configurable"]["checkpoint_id"] if found.parent_config else None
        prepared = checkpoint_event(
            found.checkpoint, dict(found.metadata), serde, parent=parent, changed=None, table=copied
        )
        writes = _copied_writes(found.pending_writes or [], table, name, serde)
        yield _recording(prepared, writes)


def _recording(prepared: Prepared, writes: list[Event]) -> Callable[[str], Sequence[Event]]:
    return lambda newest: [prepared(latest=prepared.id >= newest), *writes]


def _copied_writes(
    pending: Sequence[tuple[str, str, Any]], table: Table, name: str, serde: SerializerProtocol
) -> list[Event]:
    """A checkpoint's pending writes, those that were imported with their indexes and paths."""
    events: list[Event] = []
    known = table.writes.get(name, {})
    for (task, index), (path, channel, (tag, data)) in known.items():
        events.append(WritesImported(name, task, [[index, channel, tag, data]], path))
    tasks: dict[str, list[tuple[str, Any]]] = {}
    imported = {task for task, _ in known}
    for task, channel, value in pending:
        if task not in imported:
            tasks.setdefault(task, []).append((channel, value))
    events.extend(WritesImported(name, task, write_rows(writes, serde)) for task, writes in tasks.items())
    return events
