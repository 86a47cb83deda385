"""What hangs on an attempt of a task: who follows it, and graphs inside. Ports; who implements them is not
known here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol


class Span(Protocol):
    """One attempt of a task, as somebody who follows the run sees it."""

    config: dict[str, Any]
    """The config for what the task calls."""

    async def leave(self, result: Any) -> None:
        """The task is done; ``result`` is what its code returned."""
        ...

    async def fail(self, error: BaseException) -> None:
        """The attempt ends with an error, or with a question."""
        ...

    async def route(self, number: int, name: str, value: Any, decide: Callable[[], Any]) -> Any:
        """Call what decides where to go on: the n-th of the task's conditional edges."""
        ...


class Inside(Protocol):
    """A run inside of a task."""

    def give_up(self) -> None:
        """The task is given up; nobody waits for this run."""
        ...
