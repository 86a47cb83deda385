"""InMemorySaver: threads in the memory of this process, gone when it ends."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, MutableMapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager, ExitStack
from types import TracebackType
from typing import Any, Self

from dashflow.checkpoint.memory.mappings import Blobs, Storage, Writes
from dashflow.checkpoint.memory.persistent import PersistentDict
from dashflow.checkpoint.saver import LogSaver
from dashflow.checkpoint.serde.base import SerializerProtocol, UntypedSerializerProtocol
from dashflow.log.memory import MemoryLog

__all__ = ("InMemorySaver", "MemorySaver", "PersistentDict")


class InMemorySaver(
    LogSaver, AbstractContextManager["InMemorySaver"], AbstractAsyncContextManager["InMemorySaver"]
):
    """Threads in memory: for tests and trying things out.

    Args:
        serde: Makes bytes of values that are put in by hand, and reads them.
        factory: Makes mappings that what is stored is copied into when the ``with`` block ends, and taken
            from when it begins; such as ``partial(PersistentDict, filename=...)``.

    Attributes:
        stack: Closed when the ``with`` block ends.
    """

    _whole = False
    drives_log = True

    def __init__(
        self,
        *,
        serde: SerializerProtocol | UntypedSerializerProtocol | None = None,
        factory: Callable[..., MutableMapping[Any, Any]] = defaultdict,
    ) -> None:
        super().__init__(MemoryLog(), serde=serde)
        self.stack = ExitStack()
        if factory is not defaultdict:
            for view, made_of in ((self.storage, (dict,)), (self.writes, (dict,)), (self.blobs, ())):
                kept: Any = self.stack.enter_context(factory(*made_of))  # type: ignore[arg-type]  # or fails
                view.update(kept)
                self.stack.callback(self._keep, kept, view)

    @property
    def storage(self) -> Storage:
        """Checkpoints: thread, then namespace, then id, to (checkpoint, metadata, id of the one before)."""
        return Storage(self)

    @property
    def writes(self) -> Writes:
        """Writes: (thread, namespace, checkpoint id), then (task, index), to (task, channel, value, path)."""
        return Writes(self)

    @property
    def blobs(self) -> Blobs:
        """Values: (thread, namespace, channel, version) to the value."""
        return Blobs(self)

    @staticmethod
    def _keep(kept: MutableMapping[Any, Any], view: Storage | Writes | Blobs) -> None:
        kept.update(view.plain())

    def __enter__(self) -> Self:
        self.stack.__enter__()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return self.stack.__exit__(exc_type, exc_value, traceback)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        return self.__exit__(exc_type, exc_value, traceback)


MemorySaver = InMemorySaver
