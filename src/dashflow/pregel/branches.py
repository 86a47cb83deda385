"""What a compiled graph can do with branches of its threads, and the list of a thread's checkpoints. Sync and
async side by side; what they do is in ``dashflow.engine``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from dashflow._util.drive import drive
from dashflow.engine.log_history import LogHistory
from dashflow.engine.ports import Host
from dashflow.errors import UsageError
from dashflow.pregel.start import loop_host, sync_host
from dashflow.pregel.threads import Look
from dashflow.types.branches import BranchMerge, CheckpointInfo, StateDiff, ThreadBranch

if TYPE_CHECKING:
    from dashflow.core.merge import Resolve
    from dashflow.engine.branches import Branches, Line
    from dashflow.pregel.shape import GraphShape

Config = Mapping[str, Any]
Other = str | Config | ThreadBranch
"""A branch by its name, or any thread or checkpoint by its config."""


class _Desk:
    """A compiled graph at work on the branches of one thread, on one host."""

    def __init__(self, graph: Any, host: Host, config: Config) -> None:
        self.look: Look = Look(graph, host, config)
        if self.look.ns:
            raise UsageError(
                f"checkpoint_ns {self.look.ns!r} names a graph inside of another one. Branches are of whole "
                "threads; leave it out."
            )
        self.branches: Branches = _kept_in(self.look, host)
        self.thread = self.look.options.thread

    async def create(self, name: str) -> ThreadBranch:
        from dashflow.engine.branches import check_name

        return await self.branches.begin(self.thread, self.look.checkpoint, check_name(name))

    async def all_of(self) -> list[ThreadBranch]:
        return await self.branches.all_of(self.thread)

    async def delete(self, name: str) -> None:
        from dashflow.engine.branches import find

        await self.branches.delete((await find(self.branches, self.thread, name)).thread_id)

    async def compare(self, other: Other) -> StateDiff:
        from dashflow.engine.branches import compare

        one = await self.branches.line(self.thread, self.look.checkpoint)
        return await compare(self.branches, self.look.graph.plan, one, await self._line(other))

    async def merge(self, source: Other, resolve: Resolve | None) -> BranchMerge:
        from dashflow.engine.branches import merge_into

        theirs = await self._line(source)
        ours = await self.branches.line(self.thread, self.look.checkpoint)
        return await merge_into(self.branches, self.look.setting(), ours, theirs, resolve)

    async def _line(self, other: Other) -> Line:
        if isinstance(other, str):
            from dashflow.engine.branches import find

            other = await find(self.branches, self.thread, other)
        if isinstance(other, ThreadBranch):
            return await self.branches.line(other.thread_id, None)
        place = other.get("configurable") or {}
        return await self.branches.line(str(place["thread_id"]), place.get("checkpoint_id") or None)


def _kept_in(look: Look, host: Host) -> Branches:
    if isinstance(look.history, LogHistory):
        from dashflow.engine.log_branches import LogBranches

        return LogBranches(host, look.history.reader, look.graph.plan)
    from dashflow.engine.saver_branches import SaverBranches

    return SaverBranches(host, look.saver, look.graph.plan, look.options.config)


class BranchMethods:
    """The part of ``Pregel`` that works on branches."""

    def _desk(self, config: Config) -> _Desk:
        return _Desk(self, sync_host(cast("GraphShape", self)), config)

    def _adesk(self, config: Config) -> _Desk:
        return _Desk(self, loop_host(), config)

    def create_branch(self, config: Config, name: str) -> ThreadBranch:
        """Begin a branch of a thread: another thread that goes on from the same checkpoint, apart from it.

        It begins with all that led to the checkpoint, with the questions that are open there and with the
        threads of graphs inside. In a DashFlow checkpointer that copies nothing.

        Args:
            config: Names the thread, and with ``checkpoint_id`` where the branch begins; else where it is
                now.
            name: For people: letters, digits, ``.``, ``-`` and ``_``.

        Returns:
            The branch; its ``config`` goes wherever a thread's does.

        Raises:
            BranchExistsError: The thread has a branch of that name.
            UnknownCheckpointError: The thread has no such checkpoint.
            UsageError: The name is none, or the thread has no checkpoint at all.
            BranchesUnsupportedError: The checkpointer is somebody else's and cannot do it.
        """
        return drive(self._desk(config).create(name))

    async def acreate_branch(self, config: Config, name: str) -> ThreadBranch:
        """``create_branch`` for asyncio callers."""
        return await self._adesk(config).create(name)

    def list_branches(self, config: Config) -> list[ThreadBranch]:
        """The branches that began in a thread, oldest first, each followed by those that began in it."""
        return drive(self._desk(config).all_of())

    async def alist_branches(self, config: Config) -> list[ThreadBranch]:
        """``list_branches`` for asyncio callers."""
        return await self._adesk(config).all_of()

    def compare_branches(self, config: Config, other: Other) -> StateDiff:
        """How the state of a branch differs from a thread's.

        Args:
            config: Names the thread, or one of its checkpoints.
            other: What it is compared with: a branch of it by name, or any thread or checkpoint by config.

        Raises:
            UnknownBranchError: No such branch began in the thread.
        """
        return drive(self._desk(config).compare(other))

    async def acompare_branches(self, config: Config, other: Other) -> StateDiff:
        """``compare_branches`` for asyncio callers."""
        return await self._adesk(config).compare(other)

    def merge_branch(self, config: Config, source: Other, *, resolve: Resolve | None = None) -> BranchMerge:
        """Bring what happened in a branch since the last common checkpoint into a thread: one checkpoint.

        Keys that only one side changed have that side's value. Where both did, what the branch wrote goes
        through the key's reducer; for keys without one ``resolve`` decides. What is to run next stays as it
        is.

        Args:
            config: Names the thread that it goes into.
            source: A branch of it by name, or any thread or checkpoint of the same origin by config: its
                sibling, or the thread that ``config``'s began in.
            resolve: ``(key, base, ours, theirs) -> value``.

        Raises:
            MergeConflictError: Both changed keys that have no reducer; nothing was written.
            UnrelatedThreadsError: They have no checkpoint in common.
            OwnershipConflictError: A run of the thread is going on.
            VersionConflictError: Somebody wrote to the thread at the same moment; merge again.
        """
        return drive(self._desk(config).merge(source, resolve))

    async def amerge_branch(
        self, config: Config, source: Other, *, resolve: Resolve | None = None
    ) -> BranchMerge:
        """``merge_branch`` for asyncio callers."""
        return await self._adesk(config).merge(source, resolve)

    def delete_branch(self, config: Config, name: str) -> None:
        """Forget a branch of a thread. Branches that began in it stay, with all they have.

        Raises:
            UnknownBranchError: No such branch began in the thread.
            OwnershipConflictError: A run of it is going on; nothing was deleted.
        """
        drive(self._desk(config).delete(name))

    async def adelete_branch(self, config: Config, name: str) -> None:
        """``delete_branch`` for asyncio callers."""
        await self._adesk(config).delete(name)

    # -- checkpoints ------------------------------------------------------------------------------

    def get_checkpoints(
        self,
        thread: str | Config,
        *,
        filter: Mapping[str, Any] | None = None,  # noqa: A002  # LangGraph's name
        before: str | Config | None = None,
        limit: int | None = None,
        subgraphs: bool = False,
    ) -> Iterator[CheckpointInfo]:
        """A thread's checkpoints, newest first, without the values: for timelines.

        Args:
            thread: The thread's id, or its config; with ``checkpoint_ns``, of a graph inside a node.
            filter: Metadata that they must have: ``{"source": "input"}``.
            before: Only those before this checkpoint: its id or config.
            limit: At most so many.
            subgraphs: Those of graphs inside the nodes too.

        Raises:
            ValueError: The graph has no checkpointer, or ``thread`` is none.
        """
        from dashflow.pregel.checkpoints import listed

        graph = cast("GraphShape", self)
        yield from drive(listed(graph, sync_host(graph), thread, filter, before, limit, subgraphs))

    async def aget_checkpoints(
        self,
        thread: str | Config,
        *,
        filter: Mapping[str, Any] | None = None,  # noqa: A002  # LangGraph's name
        before: str | Config | None = None,
        limit: int | None = None,
        subgraphs: bool = False,
    ) -> AsyncIterator[CheckpointInfo]:
        """``get_checkpoints`` for asyncio callers."""
        from dashflow.pregel.checkpoints import listed

        graph = cast("GraphShape", self)
        for info in await listed(graph, loop_host(), thread, filter, before, limit, subgraphs):
            yield info
