"""LogSaver: LangGraph's saver interface as a view of a log. The engine itself talks to the log directly.

Shells for each kind of log are in ``memory`` and ``sqlite``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

from dashflow.checkpoint.base import Checkpoint, CheckpointTuple
from dashflow.checkpoint.thread import ThreadReader
from dashflow.checkpoint.view import as_tuple, checkpoints
from dashflow.core.ids import checkpoint_id, checkpoint_version
from dashflow.log.base import EventLog
from dashflow.log.codec import Registry

Config = Mapping[str, Any]


class LogSaver:
    """Threads kept in an event log.

    Attributes:
        log: The log.
        registry: Classes that stored values may be revived as: those of the schemas of the graphs that use
            this saver, and whatever a program registers by hand. Nothing is ever imported for data.
        reader: Reads threads out of the log.
    """

    def __init__(self, log: EventLog) -> None:
        self.log = log
        self.registry = Registry()
        self.reader = ThreadReader(log, self.registry)

    def get_tuple(self, config: Config) -> CheckpointTuple | None:
        """The checkpoint that ``config`` names: by ``checkpoint_id``, else the thread's latest."""
        configurable = config["configurable"]
        thread, wanted = str(configurable["thread_id"]), configurable.get("checkpoint_id")
        if configurable.get("checkpoint_ns"):
            return None
        if wanted is None:
            head = self.reader.head(thread)
            return as_tuple(thread, self.reader.own(head)) if head.checkpoint else None
        version = checkpoint_version(wanted)
        for state in checkpoints(self.reader, thread):
            if state.checkpoint == version and _name(thread, state.checkpoint, state.at) == wanted:
                return as_tuple(thread, state)
        return None

    def get(self, config: Config) -> Checkpoint | None:
        """The checkpoint alone."""
        found = self.get_tuple(config)
        return None if found is None else found.checkpoint

    def list(
        self,
        config: Config | None,
        *,
        filter: Mapping[str, Any] | None = None,  # noqa: A002  # LangGraph's name
        before: Config | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Checkpoints, newest first per thread; of all threads when ``config`` is None."""
        threads = self.reader.threads() if config is None else [str(config["configurable"]["thread_id"])]
        bound = before["configurable"].get("checkpoint_id") if before else None
        left = limit
        for thread in threads:
            for state in checkpoints(self.reader, thread, before=bound, filter=filter, limit=left):
                yield as_tuple(thread, state)
                if left is not None:
                    left -= 1
            if left == 0:
                return

    async def aget_tuple(self, config: Config) -> CheckpointTuple | None:
        """``get_tuple`` for asyncio callers."""
        return self.get_tuple(config)

    async def aget(self, config: Config) -> Checkpoint | None:
        """``get`` for asyncio callers."""
        return self.get(config)

    async def alist(
        self,
        config: Config | None,
        *,
        filter: Mapping[str, Any] | None = None,  # noqa: A002  # LangGraph's name
        before: Config | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """``list`` for asyncio callers."""
        for found in self.list(config, filter=filter, before=before, limit=limit):
            yield found


def _name(thread: str, version: int, at: int) -> str:
    return checkpoint_id(f"run-{thread}", version, at)
