"""What ``compile(checkpointer=...)`` takes, by what it can do: no saver is imported here."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

__all__ = ("CheckpointSaver", "Checkpointer", "ensure_valid_checkpointer")

_NEEDED = ("get_tuple", "list", "put", "put_writes", "get_next_version")


class CheckpointSaver(Protocol):
    """A saver: DashFlow's, LangGraph's own, or anybody's with these methods."""

    def get_tuple(self, config: Any) -> Any:
        """The checkpoint that ``config`` names, with its writes."""
        ...

    def put(self, config: Any, checkpoint: Any, metadata: Any, new_versions: Any) -> Any:
        """Store a checkpoint."""
        ...

    def put_writes(self, config: Any, writes: Any, task_id: str) -> None:
        """Store what a task wrote."""
        ...

    def get_next_version(self, current: Any, channel: None) -> Any:
        """The version after ``current``."""
        ...


Checkpointer: TypeAlias = bool | CheckpointSaver | None
"""None: that of the graph around it; True: a history of its own there; False: none; or a saver."""


def ensure_valid_checkpointer(checkpointer: Any) -> Any:
    """``checkpointer`` itself.

    Raises:
        TypeError: It is none of what ``Checkpointer`` allows (a class or an unopened context manager,
            for example).
    """
    if checkpointer is None or checkpointer is True or checkpointer is False:
        return checkpointer
    if not isinstance(checkpointer, type) and all(hasattr(checkpointer, name) for name in _NEEDED):
        return checkpointer
    raise TypeError(
        "Invalid checkpointer provided. Expected an instance of `BaseCheckpointSaver`, `True`, `False`, "
        f"or `None`. Received {type(checkpointer).__name__}. "
        "Pass a proper saver (e.g., InMemorySaver, SqliteSaver)."
    )
