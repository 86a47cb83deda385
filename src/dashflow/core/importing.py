"""What a thread is after somebody put something in by hand or from elsewhere: a part of the fold.

Pure. States are ``dashflow.core.fold.ThreadState``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from dashflow.core.bindings import root_name
from dashflow.core.events import CheckpointImported, ValuesImported, WritesImported


def checkpoint_imported(state: Any, event: CheckpointImported, version: int, at: int) -> Any:
    """The thread is what the checkpoint says, if its id was the greatest."""
    if not event.latest:
        return msgspec.structs.replace(state, version=version)
    if (told := event.content) is None:
        raise ValueError("the import was not read")
    return type(state)(
        version=version,
        checkpoint=version,
        at=told.at,
        step=told.step,
        source=told.source,
        meta=told.meta,
        values=told.values,
        versions=told.versions,
        seen=told.seen,
        updated=told.updated,
        id=event.id,
        parent_id=event.parent,
        labels=told.labels,
        layout=told.layout,
        loose=state.loose,
        root=root_name(version, at),
    )


def values_imported(state: Any, event: ValuesImported, version: int, at: int) -> Any:
    """A checkpoint that comes later may need them; the thread does not change."""
    return msgspec.structs.replace(state, version=version)


def writes_imported(state: Any, event: WritesImported, version: int, at: int) -> Any:
    """Special writes (negative indexes) replace what was there, others do not."""
    there = state.loose.get(event.checkpoint, {})
    task = (event.path, event.task)
    writes = {write[0]: write for write in there.get(task, ())}
    for write in event.read:
        if write[0] < 0 or write[0] not in writes:
            writes[write[0]] = write
    loose = {**state.loose, event.checkpoint: {**there, task: list(writes.values())}}
    return msgspec.structs.replace(state, version=version, loose=loose)
