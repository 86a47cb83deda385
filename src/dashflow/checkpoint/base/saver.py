"""BaseCheckpointSaver: what every saver offers, DashFlow's own and those of other packages."""

from __future__ import annotations

import copy
import logging
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from dashflow._util.langchain import RunnableConfig
from dashflow.checkpoint.base.checkpoint import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    PendingWrite,
)
from dashflow.checkpoint.listing import Waiting, bound_of, info_of_tuple, list_config, waiting
from dashflow.checkpoint.serde.base import (
    SerializerProtocol,
    UntypedSerializerProtocol,
    maybe_add_typed_methods,
)
from dashflow.checkpoint.serde.encrypted import EncryptedSerializer
from dashflow.checkpoint.serde.jsonplus import JsonPlusSerializer

if TYPE_CHECKING:
    from dashflow.types.branches import CheckpointInfo

V = TypeVar("V", int, float, str)

logger = logging.getLogger("dashflow.checkpoint.base")


class BaseCheckpointSaver(Generic[V]):
    """Keeps checkpoints of threads. Subclasses override what they can do; the rest is not implemented.

    A config names a thread (``thread_id``), in it a namespace (``checkpoint_ns``, "" for the outermost
    graph) and maybe a checkpoint (``checkpoint_id``), all under ``configurable``.

    Attributes:
        serde: Turns values into bytes.
    """

    serde: SerializerProtocol = JsonPlusSerializer()

    def __init__(self, *, serde: SerializerProtocol | UntypedSerializerProtocol | None = None) -> None:
        self.serde = maybe_add_typed_methods(serde or self.serde)

    @property
    def config_specs(self) -> list[Any]:
        """Fields that a config may have for this saver, as LangChain describes them: none."""
        return []

    # -- reading --------------------------------------------------------------------------------

    def get(self, config: RunnableConfig) -> Checkpoint | None:
        """The checkpoint that ``config`` names; None: there is none."""
        found = self.get_tuple(config)
        return found.checkpoint if found else None

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint that ``config`` names, with its pending writes in ``writes_sort_key`` order."""
        raise NotImplementedError

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002  # LangGraph's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Checkpoints, newest first.

        Args:
            config: Of which thread, namespace and id, as far as it says; None: all.
            filter: Metadata that they must have.
            before: Only those with smaller ids than this config's.
            limit: At most so many.
        """
        raise NotImplementedError

    async def aget(self, config: RunnableConfig) -> Checkpoint | None:
        """``get`` for asyncio callers."""
        found = await self.aget_tuple(config)
        return found.checkpoint if found else None

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """``get_tuple`` for asyncio callers."""
        raise NotImplementedError

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002  # LangGraph's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """``list`` for asyncio callers."""
        raise NotImplementedError
        yield

    def get_checkpoints(
        self,
        thread_id: str,
        *,
        ns: str = "",
        filter: dict[str, Any] | None = None,  # noqa: A002  # LangGraph's name
        before: str | None = None,
        limit: int | None = None,
        subgraphs: bool = False,
        next_of: Waiting = waiting,
    ) -> Iterator[CheckpointInfo]:
        """A thread's checkpoints, newest first, without the values.

        Args:
            thread_id: The thread.
            ns: Namespace in it; "" is that of the outermost graph.
            filter: Metadata that they must have.
            before: Only those with smaller ids than this.
            limit: At most so many.
            subgraphs: Those in all namespaces.
            next_of: Tells which nodes come next; without it that is read off the channels' names.
        """
        config = list_config(thread_id, ns, subgraphs)
        for found in self.list(config, filter=filter, before=bound_of(thread_id, ns, before), limit=limit):
            yield info_of_tuple(found, next_of)

    async def aget_checkpoints(
        self,
        thread_id: str,
        *,
        ns: str = "",
        filter: dict[str, Any] | None = None,  # noqa: A002  # LangGraph's name
        before: str | None = None,
        limit: int | None = None,
        subgraphs: bool = False,
        next_of: Waiting = waiting,
    ) -> AsyncIterator[CheckpointInfo]:
        """``get_checkpoints`` for asyncio callers."""
        config = list_config(thread_id, ns, subgraphs)
        bound = bound_of(thread_id, ns, before)
        async for found in self.alist(config, filter=filter, before=bound, limit=limit):
            yield info_of_tuple(found, next_of)

    # -- writing --------------------------------------------------------------------------------

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Keep a checkpoint.

        Args:
            config: Where; its ``checkpoint_id`` is that of the checkpoint before.
            checkpoint: What.
            metadata: How it came about.
            new_versions: The channels that changed since the checkpoint before, and their versions.

        Returns:
            The config that names it.
        """
        raise NotImplementedError

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Keep what a task wrote in the step that starts from a checkpoint.

        Args:
            config: Names the checkpoint, which may come later.
            writes: (channel, value) pairs; the n-th has index n, special ones theirs of ``WRITES_IDX_MAP``.
                Special ones replace what a task wrote before under their index, the others do not.
            task_id: Of the task.
            task_path: Where the task stands; writes are applied in its order.
        """
        raise NotImplementedError

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """``put`` for asyncio callers."""
        raise NotImplementedError

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """``put_writes`` for asyncio callers."""
        raise NotImplementedError

    # -- whole threads --------------------------------------------------------------------------

    def delete_thread(self, thread_id: str) -> None:
        """Forget a thread, in all namespaces."""
        raise NotImplementedError

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Forget the checkpoints that these runs made, and the writes at them."""
        raise NotImplementedError

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Add all of a thread's checkpoints and writes to another thread."""
        raise NotImplementedError

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Forget old checkpoints.

        Args:
            thread_ids: Of these threads.
            strategy: ``keep_latest``: all but the latest of each namespace; ``delete``: all.
        """
        raise NotImplementedError

    async def adelete_thread(self, thread_id: str) -> None:
        """``delete_thread`` for asyncio callers."""
        raise NotImplementedError

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """``delete_for_runs`` for asyncio callers."""
        raise NotImplementedError

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """``copy_thread`` for asyncio callers."""
        raise NotImplementedError

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """``prune`` for asyncio callers."""
        raise NotImplementedError

    # -- channels that keep their writes --------------------------------------------------------

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """What the channels' values at a checkpoint are made of, from the checkpoints before it.

        Args:
            config: Names the checkpoint. The writes at it belong to the step after, and do not count.
            channels: Names.
        """
        walk = _Walk(channels)
        target = self.get_tuple(config) if channels else None
        place = target.parent_config if target else None
        while place is not None and walk.wanted:
            place = walk.visit(self.get_tuple(place))
        return walk.found()

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """``get_delta_channel_history`` for asyncio callers."""
        walk = _Walk(channels)
        target = await self.aget_tuple(config) if channels else None
        place = target.parent_config if target else None
        while place is not None and walk.wanted:
            place = walk.visit(await self.aget_tuple(place))
        return walk.found()

    # -- versions and classes -------------------------------------------------------------------

    def get_next_version(self, current: V | None, channel: None) -> V:
        """The version after ``current``; None: the first. Numbers, unless a saver overrides it.

        Raises:
            NotImplementedError: ``current`` is text, which only a saver of such versions can count.
        """
        if isinstance(current, str):
            raise NotImplementedError
        return 1 if current is None else current + 1  # type: ignore[return-value]  # not text any more

    def with_allowlist(self, extra_allowlist: Collection[tuple[str, ...]]) -> BaseCheckpointSaver[V]:
        """A copy that revives these classes too, (module, name); itself when it does so already."""
        serde = allowing(self.serde, extra_allowlist)
        if serde is self.serde:
            return self
        clone = copy.copy(self)
        clone.serde = maybe_add_typed_methods(serde)
        return clone


def allowing(serde: SerializerProtocol, extra: Collection[tuple[str, ...]]) -> SerializerProtocol:
    """A serialiser like ``serde`` that revives these classes too; itself where that cannot be said."""
    if isinstance(serde, JsonPlusSerializer):
        return serde.with_msgpack_allowlist(extra)
    if isinstance(serde, EncryptedSerializer) and isinstance(serde.serde, JsonPlusSerializer):
        return serde.with_serde(serde.serde.with_msgpack_allowlist(extra))
    logger.warning(
        "Serializer %s does not support msgpack allowlist; it decides by itself what it revives.",
        type(serde).__name__,
    )
    return serde


class _Walk:
    """The way from a checkpoint to the ones before it, until each channel's stored value is met."""

    def __init__(self, channels: Sequence[str]) -> None:
        self.channels = list(channels)
        self.wanted = set(channels)
        self._writes: dict[str, list[PendingWrite]] = {name: [] for name in channels}
        self._seeds: dict[str, Any] = {}

    def visit(self, place: CheckpointTuple | None) -> RunnableConfig | None:
        """Take what a checkpoint has; returns where to go on."""
        if place is None:
            return None
        for write in reversed(place.pending_writes or ()):
            if write[1] in self.wanted:
                self._writes[write[1]].append(write)
        values = place.checkpoint["channel_values"]
        for name in self.wanted & values.keys():
            self._seeds[name] = values[name]
            self.wanted.discard(name)
        return place.parent_config

    def found(self) -> dict[str, DeltaChannelHistory]:
        """What was met, oldest first."""
        result: dict[str, DeltaChannelHistory] = {}
        for name in self.channels:
            result[name] = {"writes": self._writes[name][::-1]}
            if name in self._seeds:
                result[name]["seed"] = self._seeds[name]
        return result
