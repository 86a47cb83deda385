"""What a caller sees of a thread's checkpoints and branches: CheckpointInfo, ThreadBranch, StateDiff,
BranchMerge. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from dashflow._util.langchain import RunnableConfig

__all__ = ("BranchMerge", "CheckpointInfo", "ItemChange", "StateDiff", "ThreadBranch", "ValueChange")

Kind = Literal["added", "removed", "changed"]


def _config(thread: str, ns: str, checkpoint: str | None) -> RunnableConfig:
    place = {"thread_id": thread, "checkpoint_ns": ns}
    return {"configurable": place if checkpoint is None else {**place, "checkpoint_id": checkpoint}}


class CheckpointInfo(NamedTuple):
    """A line in the list of a thread's checkpoints: all but the values.

    Attributes:
        id: The checkpoint's.
        parent_id: Of the one before it; None for the first.
        step: Its number: -1 for the first input.
        source: ``input``, ``loop``, ``update``, ``fork`` or ``merge``.
        created_at: ISO 8601 time.
        next: Names of the nodes of the step after it, one per task.
        run_id: Of the run that made it; None: it was no run, or the saver does not know.
        branch: Name of the branch in whose thread it was made; None: in a thread that is no branch, or
            the saver does not know.
        thread_id: The thread.
        ns: Namespace of the graph; "" is the outermost.
    """

    id: str
    parent_id: str | None
    step: int
    source: str
    created_at: str
    next: tuple[str, ...]
    run_id: str | None
    branch: str | None
    thread_id: str
    ns: str

    @property
    def config(self) -> RunnableConfig:
        """Names the checkpoint: for ``get_state``, ``update_state`` and to go on from there."""
        return _config(self.thread_id, self.ns, self.id)


class ThreadBranch(NamedTuple):
    """A branch: a thread of its own that began at a checkpoint of another one.

    Attributes:
        name: No other living branch that began in the same thread has it.
        thread_id: The branch's own: whatever takes a thread's id takes it.
        parent: Id of the thread that it began in, which may be a branch itself.
        checkpoint_id: Where it began.
        step: Number of that checkpoint.
        head_id: Its latest checkpoint; ``checkpoint_id`` as long as nothing happened in it.
        head_step: Number of that one.
        status: ``idle``, ``running``, ``paused``, ``failed`` or ``finished``; "" where a saver does not say.
        created_at: ISO 8601 time; "" where a saver does not say.
    """

    name: str
    thread_id: str
    parent: str
    checkpoint_id: str
    step: int
    head_id: str
    head_step: int
    status: str = ""
    created_at: str = ""

    @property
    def config(self) -> RunnableConfig:
        """Names the branch in calls of a graph."""
        return {"configurable": {"thread_id": self.thread_id}}


class ItemChange(msgspec.Struct, frozen=True):
    """What became of one item of a list, dict or set.

    Attributes:
        kind: ``added``, ``removed`` or ``changed``.
        at: Key in a dict; index in a list: in the old one for what was removed, else in the new one; None
            in a set.
        before: The item as it was; None for an added one.
        after: The item as it is; None for a removed one.
    """

    kind: Kind
    at: Any
    before: Any = None
    after: Any = None


class ValueChange(msgspec.Struct, frozen=True):
    """What became of one key of the state.

    Attributes:
        kind: ``added``: there was no value; ``removed``: there is none any more; ``changed``.
        before: The old value.
        after: The new one.
        items: For two lists, dicts or sets: what became of their items. Empty: the value is to be taken
            as a whole.
    """

    kind: Kind
    before: Any = None
    after: Any = None
    items: tuple[ItemChange, ...] = ()

    def apply(self, before: Any) -> Any:
        """The new value, made from the old one.

        Args:
            before: Equal to ``self.before``; is not changed.
        """
        if not self.items:
            return self.after
        if isinstance(before, dict):
            return self._apply_dict(before)
        if isinstance(before, list):
            return self._apply_list(before)
        gone = [item.before for item in self.items if item.kind == "removed"]
        return (before - set(gone)) | {item.after for item in self.items if item.kind == "added"}

    def _apply_dict(self, before: dict[Any, Any]) -> dict[Any, Any]:
        new = dict(before)
        for item in self.items:
            if item.kind == "removed":
                del new[item.at]
            else:
                new[item.at] = item.after
        return new

    def _apply_list(self, before: list[Any]) -> list[Any]:
        gone = {item.at for item in self.items if item.kind == "removed"}
        new = [value for index, value in enumerate(before) if index not in gone]
        for item in self.items:
            if item.kind == "added":
                new.insert(item.at, item.after)
        for item in self.items:
            if item.kind == "changed":
                new[item.at] = item.after
        return new


class StateDiff(msgspec.Struct, frozen=True):
    """How one state differs from another. False when it does not.

    Attributes:
        before: Names the one.
        after: Names the other.
        base: Names the checkpoint that both come from; None: they have none in common.
        changes: Keys that differ, and how to get from the one to the other.
    """

    before: RunnableConfig
    after: RunnableConfig
    base: RunnableConfig | None
    changes: dict[str, ValueChange]

    def __bool__(self) -> bool:
        return bool(self.changes)

    def apply(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The other state's values, made from the one's."""
        new = dict(values)
        for key, change in self.changes.items():
            if change.kind == "removed":
                new.pop(key, None)
            else:
                new[key] = change.apply(values.get(key))
        return new


class BranchMerge(NamedTuple):
    """What a merge did.

    Attributes:
        config: Names the checkpoint that it made; where there was nothing to merge, the one there was.
        taken: Keys that only the branch had changed, and whose values were taken.
        reduced: Keys that both had changed, where the branch's writes went through the reducer.
        resolved: Keys that both had changed, and that ``resolve`` decided on.
    """

    config: RunnableConfig
    taken: tuple[str, ...] = ()
    reduced: tuple[str, ...] = ()
    resolved: tuple[str, ...] = ()
