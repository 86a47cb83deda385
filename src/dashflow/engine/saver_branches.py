"""Branches in a LangGraph saver of somebody else's: the checkpoints that led to one are copied to a thread of
the branch's, by the saver's own methods. Its guarantees are LangGraph's.

What a branch is stands in the metadata of the checkpoint that it began at.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Hashable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from dashflow.checkpoint.base.checkpoint import WRITES_IDX_MAP, CheckpointTuple
from dashflow.core.events import StateEdited
from dashflow.core.fold import ThreadState
from dashflow.core.merge import Contribution
from dashflow.core.plan import GraphPlan
from dashflow.core.superstep import Live
from dashflow.engine.branches import Line, LineStep, ordered, thread_names
from dashflow.engine.history import Worker, Writes
from dashflow.engine.ports import Host
from dashflow.engine.saver_history import SaverHistory
from dashflow.engine.saver_pen import accepts_path
from dashflow.errors import (
    BranchesUnsupportedError,
    BranchExistsError,
    UnknownCheckpointError,
    UsageError,
)
from dashflow.types.branches import ThreadBranch
from dashflow.types.commands import Overwrite

NAME, PARENT, BEGAN, STEP = "branch", "branch_of", "branch_at", "branch_step"
"""Keys of the metadata of the checkpoint where a branch began."""


class SaverBranches:
    """See ``Branches``.

    Args:
        host: The world.
        saver: The saver.
        plan: The graph.
        config: The caller's.
    """

    def __init__(self, host: Host, saver: Any, plan: GraphPlan, config: Mapping[str, Any]) -> None:
        self.host = host
        self.saver = saver
        self.plan = plan
        # What it says of a place is another thread's; what else a saver may want to know is not.
        given = config.get("configurable") or {}
        apart = {k: v for k, v in given.items() if not k.startswith(("checkpoint", "thread_id"))}
        self.config = {"configurable": apart, "metadata": dict(config.get("metadata") or {})}

    def _history(self, thread: str, ns: str = "") -> SaverHistory:
        metadata = {**self.config["metadata"], "thread_id": thread}
        return SaverHistory(
            self.host, self.saver, self.plan, thread, ns, {**self.config, "metadata": metadata}
        )

    @asynccontextmanager
    async def _able(self, method: str) -> AsyncIterator[None]:
        """Say it clearly when the saver cannot do something."""
        try:
            yield
        except NotImplementedError as error:
            name = f"a{method}" if self.host.asynchronous else method
            raise BranchesUnsupportedError(type(self.saver).__name__, name) from error

    # -- beginning and ending ---------------------------------------------------------------------

    async def begin(self, thread: str, checkpoint: str | None, name: str) -> ThreadBranch:
        """See ``Branches.begin``."""
        every = await self._of(thread)
        main = {_id(one): one for one in every if not _ns(one)}
        start = checkpoint or next(iter(main), None)
        if start is None:
            raise UsageError(f"Thread {thread!r} has no checkpoint where a branch could begin; run it first.")
        if start not in main:
            raise UnknownCheckpointError(thread, start)
        known = await self.all_of(thread)
        there = next((one for one in known if one.parent == thread and one.name == name), None)
        if there is not None:
            raise BranchExistsError(thread, name, there.thread_id)
        for identifier in thread_names(thread, name):
            if await self._history(identifier).tuple_at(None) is None:
                break
        mark = {NAME: name, PARENT: thread, BEGAN: start, STEP: (main[start].metadata or {}).get("step", -1)}
        await self._copy(_inherited(every, main, start), identifier, start, mark)
        return next(one for one in await self.all_of(thread) if one.thread_id == identifier)

    async def _copy(
        self, found: Iterable[CheckpointTuple], thread: str, start: str, mark: Mapping[str, Any]
    ) -> None:
        takes_path = accepts_path(self._history(thread).method("put_writes"))
        for one in found:
            history = self._history(thread, _ns(one))
            metadata = {**(one.metadata or {}), "thread_id": thread}
            if _id(one) == start and not _ns(one):
                metadata |= mark
            else:
                metadata = {k: v for k, v in metadata.items() if k not in (NAME, PARENT, BEGAN, STEP)}
            place = history.placed(_parent(one))
            place["metadata"] = {}
            checkpoint: Any = one.checkpoint
            async with self._able("put"):
                await history.call("put", place, checkpoint, metadata, dict(checkpoint["channel_versions"]))
            tasks: dict[str, list[tuple[str, Any]]] = {}
            for task, channel, value in one.pending_writes or ():
                tasks.setdefault(task, []).append((channel, value))
            for task, writes in tasks.items():
                path = ("",) if takes_path else ()
                async with self._able("put_writes"):
                    await history.call("put_writes", history.placed(_id(one)), writes, task, *path)

    async def all_of(self, thread: str) -> list[ThreadBranch]:
        """See ``Branches.all_of``."""
        found: list[ThreadBranch] = []
        parents = [thread]
        while parents:
            parent = parents.pop()
            async with self._able("list"):
                marked = await self._search({PARENT: parent})
            for one in marked:
                metadata: Mapping[str, Any] = one.metadata
                place = one.config["configurable"]
                head = await self._history(place["thread_id"]).tuple_at(None)
                if head is None or metadata.get(NAME) is None or _ns(one):
                    continue
                step, head_step = metadata[STEP], (head.metadata or {}).get("step", -1)
                branch = ThreadBranch(metadata[NAME], place["thread_id"], parent, metadata[BEGAN], step,
                                      _id(head), head_step)  # fmt: skip
                found.append(branch)
                parents.append(branch.thread_id)
        return ordered(found, thread)

    async def _search(self, matching: Mapping[str, Any]) -> list[CheckpointTuple]:
        """Checkpoints of all threads that have this metadata."""
        if not self.host.asynchronous:
            return list(await self.host.call(lambda: list(self.saver.list(None, filter=dict(matching)))))

        async def collect() -> list[CheckpointTuple]:
            return [one async for one in self.saver.alist(None, filter=dict(matching))]

        return list(await self.host.call(collect, blocking=False))

    async def delete(self, thread: str) -> None:
        """See ``Branches.delete``."""
        async with self._able("delete_thread"):
            await self._history(thread).call("delete_thread", thread)

    # -- what led to a state ----------------------------------------------------------------------

    async def _of(self, thread: str) -> list[CheckpointTuple]:
        """A thread's checkpoints in all namespaces, newest first."""
        async with self._able("list"):
            return await self._history(thread).listed(where={"thread_id": thread})

    async def line(self, thread: str, checkpoint: str | None) -> Line:
        """See ``Branches.line``."""
        history = self._history(thread)
        place = await history.locate(checkpoint, looking=True)
        if not place.state.checkpoint:
            raise UsageError(f"Thread {thread!r} has no checkpoint; run it first.")
        if checkpoint is not None:
            place = await history.locate(checkpoint)
        steps: dict[Hashable, LineStep] = {}
        await self._walk(thread, place.state.id, steps)
        return Line(thread, place.state.id, place, history, steps)

    async def _walk(self, thread: str, start: str, steps: dict[Hashable, LineStep]) -> None:
        there = {_id(one): one for one in await self._of(thread) if not _ns(one)}
        name: str | None = start
        while name is not None and name in there and name not in steps:
            one = there[name]
            before = there.get(_parent(one) or "")
            steps[name] = LineStep(name, thread, name, _contribution(before, one))
            metadata: Mapping[str, Any] = one.metadata or {}
            if metadata.get("source") == "merge" and metadata.get("merged_from"):
                await self._walk(metadata["merged_from"], metadata["merged_checkpoint"], steps)
            name = _parent(one)

    async def state(self, step: LineStep) -> tuple[str, ThreadState]:
        """See ``Branches.state``."""
        place = await self._history(step.thread).locate(step.at, looking=True)
        return place.state.id, place.state

    async def edit(
        self, line: Line, source: Line, plan: GraphPlan | None, event: StateEdited, live: Live
    ) -> dict[str, Any]:
        """See ``Branches.edit``."""
        assert plan is not None
        assert isinstance(line.history, SaverHistory)
        history = line.history
        history.config = {**history.config, "metadata": {**history.config["metadata"], **event.meta}}
        told = [(key, Overwrite(live.value_of(key))) for key in live.updated or () if key in plan.deltas]
        # Savers tell such channels by the writes that lead to them.
        results: Sequence[tuple[Worker, Writes]] = [(_Merge(source.checkpoint), told)] if told else []
        return await history.edit(plan, line.place, event, live, results)


class _Merge:
    """As what the writes of a merge are stored."""

    path = ""
    namespace = ""

    def __init__(self, identifier: str) -> None:
        self.id = identifier
        self.asked = 0


def _id(one: CheckpointTuple) -> str:
    return str(one.checkpoint["id"])


def _ns(one: CheckpointTuple) -> str:
    return one.config["configurable"].get("checkpoint_ns") or ""


def _parent(one: CheckpointTuple) -> str | None:
    return (one.parent_config or {}).get("configurable", {}).get("checkpoint_id") or None


def _inherited(
    every: Sequence[CheckpointTuple], main: Mapping[str, CheckpointTuple], start: str
) -> list[CheckpointTuple]:
    """What a branch begins with, oldest first: what led to its checkpoint, and of graphs inside what was
    there before the thread went on."""
    line: set[str] = set()
    name: str | None = start
    while name is not None and name in main:
        line.add(name)
        name = _parent(main[name])
    later = [identifier for identifier, one in main.items() if _parent(one) == start]
    end = min(later, default=None)
    kept = [one for one in every if (_id(one) in line if not _ns(one) else end is None or _id(one) < end)]
    return [_unanswered(one) if _id(one) == start else one for one in reversed(kept)]


def _unanswered(one: CheckpointTuple) -> CheckpointTuple:
    """The checkpoint as it was left: answers to its questions, and what they led to, are not taken."""
    asked = {task for task, channel, _ in one.pending_writes or () if channel == "__interrupt__"}
    writes = [
        write for write in one.pending_writes or () if write[0] not in asked or write[1] == "__interrupt__"
    ]
    return one._replace(pending_writes=writes)


def _contribution(before: CheckpointTuple | None, after: CheckpointTuple) -> Contribution:
    """What a step wrote: it is stored with the checkpoint before."""
    metadata: Mapping[str, Any] = after.metadata or {}
    if before is None or metadata.get("source") == "merge":
        return Contribution(())
    writes = [(c, v) for _, c, v in before.pending_writes or () if c not in WRITES_IDX_MAP]
    was, now = before.checkpoint["channel_versions"], after.checkpoint["channel_versions"]
    told = {channel for channel, _ in writes}
    changed = {channel for channel, version in now.items() if was.get(channel) != version}
    return Contribution(writes, frozenset(changed - told))
