"""LogSaver: LangGraph's saver as a view of a log, and a way to put checkpoints into it by hand.

Graphs do not run through these methods: the engine talks to the log itself. They are for programs that
look, copy, move threads in, and for savers that are built on these.
"""

from __future__ import annotations

import heapq
import random
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, ParamSpec, TypeVar

from dashflow._util.langchain import RunnableConfig
from dashflow.checkpoint.ahead import Ahead
from dashflow.checkpoint.base.checkpoint import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    get_checkpoint_id,
    get_checkpoint_metadata,
)
from dashflow.checkpoint.base.saver import BaseCheckpointSaver
from dashflow.checkpoint.deltas import delta_history
from dashflow.checkpoint.importing import checkpoint_event, copy_events, write_rows
from dashflow.checkpoint.listing import Waiting, bound_of, info_of_state, list_config, waiting
from dashflow.checkpoint.recording import record
from dashflow.checkpoint.retention import Bounds, delete_thread, forget_checkpoints, keep_checkpoints
from dashflow.checkpoint.sealed import sealed
from dashflow.checkpoint.serde.base import SerializerProtocol, UntypedSerializerProtocol
from dashflow.checkpoint.serde.encrypted import EncryptedSerializer
from dashflow.checkpoint.serde.jsonplus import JsonPlusSerializer
from dashflow.checkpoint.thread import CATEGORY, SUB_CATEGORY, ThreadReader, stream_of, thread_of
from dashflow.checkpoint.view import as_tuple, metadata_of, naming, places
from dashflow.checkpoint.window import newest, place
from dashflow.core.events import Event, WritesImported
from dashflow.core.fold import ThreadState
from dashflow.errors import UsageError
from dashflow.log.base import EventLog
from dashflow.log.codec import Registry
from dashflow.types.branches import CheckpointInfo

P = ParamSpec("P")
R = TypeVar("R")

_FILTER_KEY = re.compile(r"[a-zA-Z0-9_.-]+")


class LogSaver(BaseCheckpointSaver[str]):
    """Threads kept in an event log.

    Attributes:
        log: The log.
        registry: Classes that stored values may be revived as: those of the schemas of the graphs that use
            this saver, and whatever a program registers by hand. Nothing is ever imported for data.
        serde: Makes bytes of values that are put in by hand. If it is not the usual one, all that runs
            record goes through it too: to encrypt what is stored, give an ``EncryptedSerializer``.
        reader: Reads threads out of the log.
    """

    drives_log = True
    """In the very class of a saver: graphs may talk to its log directly. In a subclass it says nothing, since
    that may have changed what the methods do."""

    _whole = True
    """Whether a checkpoint put by hand keeps all its values, or only those of channels that changed."""

    def __init__(
        self, log: EventLog, *, serde: SerializerProtocol | UntypedSerializerProtocol | None = None
    ) -> None:
        self.log = log
        self.registry = Registry()
        super().__init__(serde=serde)

    def __setattr__(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)
        if name == "serde":
            # What runs record goes through it too; what was read with another is read again.
            self.log = sealed(self.log, value)
            ahead = self.ahead
            self.reader = ThreadReader(self.log, self.registry, loads=self._loads)
            self.reader.ahead = ahead

    @property
    def ahead(self) -> Ahead:
        """How far a run may be ahead of the log before it waits. May be set, for runs that start then."""
        return self.reader.ahead if "reader" in self.__dict__ else Ahead()

    @ahead.setter
    def ahead(self, ahead: Ahead) -> None:
        if ahead.steps < 1 or ahead.bytes < 1:
            raise UsageError(f"A run may be ahead by at least one step and one byte, not by {ahead}.")
        self.reader.ahead = ahead

    def _loads(self, data: tuple[str, bytes]) -> Any:
        """Revive with the serialiser that the saver has now, which also knows what graphs registered."""
        serde = self.serde
        if isinstance(serde, JsonPlusSerializer):
            serde = serde.with_registry(self.registry)
        elif isinstance(serde, EncryptedSerializer) and isinstance(serde.serde, JsonPlusSerializer):
            serde = serde.with_serde(serde.serde.with_registry(self.registry))
        return serde.loads_typed(data)

    async def _apart(self, call: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Do for an asyncio caller what may take a while."""
        return call(*args, **kwargs)

    # -- reading --------------------------------------------------------------------------------

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint that ``config`` names: by ``checkpoint_id``, else the thread's latest."""
        thread, ns = _place(config)
        stream = stream_of(thread, ns)
        wanted = get_checkpoint_id(config)
        if wanted:
            state = place(self.reader, stream, wanted)
            return None if state is None else as_tuple(self.reader, stream, state)._replace(config=config)
        head = self._head(stream)
        return None if head is None else as_tuple(self.reader, stream, head)

    def _head(self, stream: str) -> ThreadState | None:
        """The state at a stream's latest checkpoint."""
        head = self.reader.head(*thread_of(stream))
        if head.checkpoint and head.durability == "exit":
            # Of a run that keeps only its end, an inner checkpoint is not shown.
            return next(iter(places(self.reader, stream).values()), None)
        return head if head.checkpoint else None

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002  # LangGraph's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Checkpoints, newest first, of all threads and namespaces that ``config`` does not exclude.

        Raises:
            ValueError: A key of ``filter`` has other characters than letters, digits, ``_``, ``.``, ``-``.
        """
        for stream, state in self._found(config, filter or {}, before, limit):
            yield as_tuple(self.reader, stream, state)

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
        """See ``BaseCheckpointSaver.get_checkpoints``; no value is copied or read for it."""
        config, bound = list_config(thread_id, ns, subgraphs), bound_of(thread_id, ns, before)
        for stream, state in self._found(config, filter or {}, bound, limit):
            yield info_of_state(self.reader, stream, state, next_of)

    def _found(
        self,
        config: RunnableConfig | None,
        filter: dict[str, Any],  # noqa: A002  # LangGraph's name
        before: RunnableConfig | None,
        limit: int | None,
    ) -> Iterator[tuple[str, ThreadState]]:
        """(stream, state) of the checkpoints that are asked for, newest first."""
        for key in filter:
            if not _FILTER_KEY.fullmatch(key):
                raise ValueError(
                    f"Invalid filter key: {key!r}. Filter keys must contain only letters, digits, "
                    "underscores, dots, and hyphens."
                )
        found = heapq.merge(
            *(self._listed(stream, config, filter, before, limit) for stream in self._streams(config)),
            key=lambda named: named[0],
            reverse=True,
        )
        for _, stream, state in islice(found, limit):
            yield stream, state

    def _listed(
        self,
        stream: str,
        config: RunnableConfig | None,
        wanted: Mapping[str, Any],
        before: RunnableConfig | None,
        limit: int | None,
    ) -> Iterator[tuple[str, str, ThreadState]]:
        """(id, stream, state) of one stream's checkpoints that are asked for, newest first."""
        only = get_checkpoint_id(config) if config else None
        bound = get_checkpoint_id(before) if before else None
        some = limit is not None and not (only or bound or wanted)
        there = newest(self.reader, stream, limit or 0) if some else places(self.reader, stream)
        for name, state in there.items():
            if (only and name != only) or (bound and name >= bound):
                continue
            metadata = self._metadata(stream, name, state) if wanted else {}
            if all(_looked_up(metadata, key) == value for key, value in wanted.items()):
                yield name, stream, state

    def _metadata(self, stream: str, name: str, state: ThreadState) -> dict[str, Any]:
        """A checkpoint's metadata; as it was put in, if it was."""
        imports = self.reader.imports
        put = imports.table(stream).checkpoints.get(name) if state.id else None
        return metadata_of(state) if put is None else imports.metadata(put.event)

    def _streams(self, config: RunnableConfig | None = None) -> Sequence[str]:
        """Streams of the threads and namespaces that ``config`` names."""
        if config is None:
            categories = (CATEGORY, SUB_CATEGORY)
            return [info.stream for category in categories for info in self.log.streams(category=category)]
        thread, _ = _place(config)
        ns = config["configurable"].get("checkpoint_ns")
        return [stream_of(thread, one) for one in (self.reader.namespaces(thread) if ns is None else [ns])]

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

        def every() -> Sequence[CheckpointInfo]:
            return [*self.get_checkpoints(thread_id, ns=ns, filter=filter, before=before, limit=limit,
                                          subgraphs=subgraphs, next_of=next_of)]  # fmt: skip

        for info in await self._apart(every):
            yield info

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """``get_tuple`` for asyncio callers."""
        return await self._apart(self.get_tuple, config)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002  # LangGraph's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """``list`` for asyncio callers."""

        def every() -> Sequence[CheckpointTuple]:
            return [*self.list(config, filter=filter, before=before, limit=limit)]

        for found in await self._apart(every):
            yield found

    # -- writing --------------------------------------------------------------------------------

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Put a checkpoint in by hand; the thread goes on from it if no other has a greater id.

        Raises:
            OwnershipConflictError: A run of the thread is going on.
        """
        thread, ns = _place(config)
        stream = stream_of(thread, ns)
        event = checkpoint_event(
            checkpoint,
            get_checkpoint_metadata(config, metadata),
            self.serde,
            parent=get_checkpoint_id(config),
            changed=None if self._whole else new_versions,
            table=self.reader.imports.table(stream),
        )
        self.record(stream, lambda newest: [event(latest=event.id >= newest)])
        given = config["configurable"]["thread_id"]
        return naming(given, ns, checkpoint["id"])  # type: ignore[return-value]  # a config, by its keys

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Put a task's writes in by hand; the checkpoint may come later.

        Raises:
            OwnershipConflictError: A run of the thread is going on.
        """
        thread, ns = _place(config)
        rows = write_rows(writes, self.serde)
        event = WritesImported(str(config["configurable"]["checkpoint_id"]), task_id, rows, task_path)
        self.record(stream_of(thread, ns), lambda newest: [event], ordered=False)

    def record(self, stream: str, decide: Callable[[str], Sequence[Event]], *, ordered: bool = True) -> None:
        """See ``dashflow.checkpoint.recording.record``."""
        record(self.reader, stream, decide, ordered=ordered)

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """``put`` for asyncio callers."""
        return await self._apart(self.put, config, checkpoint, metadata, new_versions)

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """``put_writes`` for asyncio callers."""
        await self._apart(self.put_writes, config, writes, task_id, task_path)

    def get_next_version(self, current: str | None, channel: None) -> str:
        """The version after ``current``: a number as text that sorts, and something at random."""
        number = int(str(current).partition(".")[0]) + 1 if current is not None else 1
        return f"{number:032}.{random.random():016}"

    # -- whole threads --------------------------------------------------------------------------

    def delete_thread(self, thread_id: str) -> None:
        """Delete a thread for good, in all namespaces: its events leave the log, and a tombstone stays.

        A run of the thread that is going on can write nothing any more (``FencedError``). The id may be used
        again, for a thread that begins anew.
        """
        delete_thread(self.reader, str(thread_id))

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Forget the checkpoints that these runs made, and the writes at them.

        Raises:
            OwnershipConflictError: A run of one of the threads is going on.
        """
        runs = {str(run) for run in run_ids}
        for stream in self._streams() if runs else ():
            of_runs = [
                name
                for name, state in places(self.reader, stream).items()
                if (self._metadata(stream, name, state).get("run_id") or state.run) in runs
            ]
            self.forget(stream, of_runs)

    def forget(self, stream: str, names: Sequence[str]) -> None:
        """See ``dashflow.checkpoint.retention.forget_checkpoints``."""
        forget_checkpoints(self.reader, stream, names)

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Add all of a thread's checkpoints and writes to another thread, with their ids.

        Raises:
            OwnershipConflictError: A run of the other thread is going on.
        """
        for stream in self._streams(_of_thread(source_thread_id)):
            target = stream_of(str(target_thread_id), thread_of(stream)[1])
            for events in copy_events(self.reader, stream, self.serde):
                self.record(target, events)

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Forget old checkpoints: all but the latest of each namespace, or (``delete``) all.

        Raises:
            OwnershipConflictError: A run of one of the threads is going on.
            ValueError: There is no such strategy.
        """
        if strategy not in ("keep_latest", "delete"):
            raise ValueError(f"Unknown strategy {strategy!r}; there are 'keep_latest' and 'delete'")
        for thread in thread_ids:
            if strategy == "delete":
                self.delete_thread(thread)
            else:
                self.retain(thread, checkpoints=1)

    def retain(self, thread_id: str, *, checkpoints: int | None = None, seconds: float | None = None) -> int:
        """Keep a thread's newest checkpoints in each namespace, and forget the others.

        Events that nothing kept needs are dropped from the log for good. Where they are needed, since
        checkpoints were put into the thread by hand or the graph has delta channels, the forgotten
        checkpoints are only not shown any more.

        Args:
            thread_id: Which.
            checkpoints: How many are kept, at least one; None: any number.
            seconds: How old they may be, of this machine's clock; None: any age. The newest is always kept.

        Returns:
            How many checkpoints were forgotten.

        Raises:
            OwnershipConflictError: A run of the thread is going on.
            ValueError: Neither bound is given, or one is below its least.
        """
        if checkpoints is None and seconds is None:
            raise ValueError("Say how many checkpoints to keep, or how old they may be in seconds.")
        if (checkpoints is not None and checkpoints < 1) or (seconds is not None and seconds < 0):
            raise ValueError("A thread keeps at least one checkpoint, and an age is not below 0.")
        streams = [stream for stream in self._streams(_of_thread(thread_id)) if self.log.version(stream)]
        return sum(keep_checkpoints(self.reader, stream, Bounds(checkpoints, seconds)) for stream in streams)

    async def aretain(
        self, thread_id: str, *, checkpoints: int | None = None, seconds: float | None = None
    ) -> int:
        """``retain`` for asyncio callers."""
        return await self._apart(self.retain, thread_id, checkpoints=checkpoints, seconds=seconds)

    async def adelete_thread(self, thread_id: str) -> None:
        """``delete_thread`` for asyncio callers."""
        await self._apart(self.delete_thread, thread_id)

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """``delete_for_runs`` for asyncio callers."""
        await self._apart(self.delete_for_runs, run_ids)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """``copy_thread`` for asyncio callers."""
        await self._apart(self.copy_thread, source_thread_id, target_thread_id)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """``prune`` for asyncio callers."""
        await self._apart(self.prune, thread_ids, strategy=strategy)

    # -- channels that keep their writes --------------------------------------------------------

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """What the channels' values at a checkpoint are made of; forgotten checkpoints count.

        Where a run's step is between two checkpoints, its outcome stands for its writes: an ``Overwrite``.
        """
        stream = stream_of(*_place(config))
        return delta_history(self.reader, stream, get_checkpoint_id(config), list(channels))

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """``get_delta_channel_history`` for asyncio callers."""
        return await self._apart(self.get_delta_channel_history, config=config, channels=channels)


def _place(config: RunnableConfig) -> tuple[str, str]:
    """The thread and namespace that a config names."""
    configurable = config["configurable"]
    return str(configurable["thread_id"]), str(configurable.get("checkpoint_ns") or "")


def _of_thread(thread: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread}}


def _looked_up(metadata: Mapping[str, Any], key: str) -> Any:
    """What metadata has under a key, or where a path with dots leads."""
    if key in metadata:
        return metadata[key]
    value: Any = metadata
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value
