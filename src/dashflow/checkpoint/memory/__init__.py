"""InMemorySaver: threads in the memory of this process, gone when it ends."""

from __future__ import annotations

from dashflow.checkpoint.saver import LogSaver
from dashflow.log.memory import MemoryLog

__all__ = ("InMemorySaver", "MemorySaver")


class InMemorySaver(LogSaver):
    """Threads in memory: for tests and trying things out."""

    def __init__(self) -> None:
        super().__init__(MemoryLog())

    def __enter__(self) -> InMemorySaver:
        return self

    def __exit__(self, *error: object) -> None:
        self.log.close()


MemorySaver = InMemorySaver
