"""The log in memory: the reference that durable backends are compared with, and what tests run on."""

from dashflow.log.memory.log import MemoryLog
from dashflow.log.memory.store import MemoryStore

__all__ = ["MemoryLog", "MemoryStore"]
