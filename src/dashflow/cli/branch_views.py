"""What the ``branch`` commands have to say, as plain frozen data: see ``views``."""

from __future__ import annotations

from typing import Any

import msgspec

from dashflow.cli.threads import shown
from dashflow.cli.views import SCHEMA, plain_data
from dashflow.types.branches import BranchMerge, StateDiff, ThreadBranch


class BranchRow(msgspec.Struct, frozen=True):
    """A branch; ``checkpoint`` and ``step`` are where it began, ``head`` and ``head_step`` where it is."""

    name: str
    thread: str
    parent: str
    checkpoint: str
    step: int
    head: str
    head_step: int
    status: str
    created_at: str


class BranchView(msgspec.Struct, frozen=True):
    """A branch that was begun; ``next`` holds commands to try."""

    schema: int
    branch: BranchRow
    next: tuple[str, ...]


class BranchList(msgspec.Struct, frozen=True):
    """A thread with its branches, each followed by those that began in it."""

    schema: int
    log: str
    thread: str
    step: int
    status: str
    branches: tuple[BranchRow, ...]


class PlaceView(msgspec.Struct, frozen=True):
    """A checkpoint of a thread."""

    thread: str
    checkpoint: str


class ItemView(msgspec.Struct, frozen=True):
    """What became of an item of a list, dict or set; ``at`` is its index or key."""

    kind: str
    at: Any
    before: Any
    after: Any


class ChangeView(msgspec.Struct, frozen=True):
    """What became of a key of the state; without ``items`` it is to be taken as a whole."""

    key: str
    kind: str
    before: Any
    after: Any
    items: tuple[ItemView, ...]


class DiffView(msgspec.Struct, frozen=True):
    """How two states differ; ``base`` is the newest checkpoint that both come from."""

    schema: int
    before: PlaceView
    after: PlaceView
    base: PlaceView | None
    changes: tuple[ChangeView, ...]


class MergeView(msgspec.Struct, frozen=True):
    """What a merge did; the keys are those whose value was taken, reduced, or chosen with --take."""

    schema: int
    thread: str
    source: str
    checkpoint: str
    merged: bool
    taken: tuple[str, ...]
    reduced: tuple[str, ...]
    resolved: tuple[str, ...]


def branch_row(branch: ThreadBranch) -> BranchRow:
    """A branch as a line of a list."""
    return BranchRow(
        name=branch.name,
        thread=branch.thread_id,
        parent=branch.parent,
        checkpoint=branch.checkpoint_id,
        step=branch.step,
        head=branch.head_id,
        head_step=branch.head_step,
        status=branch.status,
        created_at=branch.created_at,
    )


def diff_view(found: StateDiff) -> DiffView:
    """A difference; objects of classes that are not known here are shown by their fields."""
    return DiffView(
        SCHEMA,
        _place(found.before),
        _place(found.after),
        None if found.base is None else _place(found.base),
        tuple(
            ChangeView(
                key,
                change.kind,
                plain_value(change.before),
                plain_value(change.after),
                tuple(
                    ItemView(
                        item.kind, plain_value(item.at), plain_value(item.before), plain_value(item.after)
                    )
                    for item in change.items
                ),
            )
            for key, change in found.changes.items()
        ),
    )


def merge_view(thread: str, source: str, done: BranchMerge) -> MergeView:
    """What a merge did."""
    keys = (done.taken, done.reduced, done.resolved)
    return MergeView(SCHEMA, thread, source, _place(done.config).checkpoint, any(keys), *keys)


def _place(config: Any) -> PlaceView:
    place = config["configurable"]
    return PlaceView(place["thread_id"], place["checkpoint_id"])


def plain_value(value: Any) -> Any:
    """A value as data that JSON can hold."""
    return plain_data(value, _shown)


def _shown(value: Any) -> Any:
    """Messages by what they say, all else as ``state`` shows it."""
    kind, content = getattr(value, "type", None), getattr(value, "content", None)
    if not isinstance(kind, str) or content is None:
        return shown(value)
    told = {"type": kind, "content": content, "id": getattr(value, "id", None)}
    calls = getattr(value, "tool_calls", None)
    return {**told, "tool_calls": calls} if calls else told
