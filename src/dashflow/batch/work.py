"""The port for whatever runs an item of a batch. Graphs, plans and functions are behind it, each in a file.

Knows none of them, neither the log nor hosts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Literal, Protocol
from urllib.parse import quote

from dashflow.log.codec import Registry

StopReason = Literal["timeout", "leave"]
"""Why an attempt is asked to stop: its time is over, or its batch is left and goes on later."""


class Suspended(Exception):
    """Raised by work that stopped because it was asked to ``leave``: the item goes on later where it is.

    Raised by itself, without being asked, it is a failure like any other.
    """


class Item:
    """One attempt at one item.

    Attributes:
        batch: Name of the batch.
        index: Place in the batch, from 0.
        key: The item's own key, or its index as text.
        value: The item.
        attempt: Number of the attempt, from 1.
        fresh: Whether no attempt at this item can have begun before. False says that one may have.
    """

    __slots__ = ("_asked", "_listeners", "attempt", "batch", "fresh", "index", "key", "value")

    def __init__(self, batch: str, index: int, key: str, value: Any, attempt: int, fresh: bool) -> None:
        self.batch = batch
        self.index = index
        self.key = key
        self.value = value
        self.attempt = attempt
        self.fresh = fresh
        self._asked: StopReason | None = None
        self._listeners: list[Callable[[StopReason], None]] = []

    @property
    def run(self) -> str:
        """Id for a run of this item: the same for every attempt, and of no other item."""
        return f"{quote(self.batch, safe='')}+{quote(self.key, safe='')}"

    @property
    def asked_to_stop(self) -> bool:
        """Whether the attempt was asked to stop."""
        return self._asked is not None

    def on_stop(self, listener: Callable[[StopReason], None]) -> None:
        """Call ``listener`` when the attempt is asked to stop; at once if it was already. From any thread."""
        self._listeners.append(listener)
        if self._asked is not None:
            listener(self._asked)

    def stop(self, reason: StopReason) -> None:
        """Ask the attempt to stop. It may come to its end all the same."""
        self._asked = reason
        for listener in self._listeners:
            listener(reason)


class Work(Protocol):
    """Runs items. An attempt that raises has failed; what one returns is recorded as the item's result."""

    @property
    def kind(self) -> str:
        """What it is, for the record: ``graph``, ``plan``, ``function``, ..."""
        ...

    @property
    def awaitable(self) -> bool:
        """Whether ``arun`` may be used, where there is a loop."""
        ...

    @property
    def registry(self) -> Registry:
        """Classes that recorded inputs and results may be revived as."""
        ...

    def run(self, item: Item) -> Any:
        """Run an item on this thread."""
        ...

    def arun(self, item: Item) -> Awaitable[Any]:
        """Run an item on this loop."""
        ...
