"""Body: what the engine asks of a node's code. Ports; who implements them is not known here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from dashflow.core.superstep import Live

Scope = Any
"""The scope of the task (``dashflow.engine.task.Scope``)."""


class Route(Protocol):
    """A conditional edge: from the state after a node to where to go."""

    asynchronous: bool
    name: str

    def read(self, live: Live, writes: Sequence[tuple[str, Any]]) -> Any:
        """What the path function is given: the state with this task's own writes."""
        ...

    def decide(self, state: Any, value: Any, scope: Scope, asynchronous: bool = False) -> Any:
        """Call the path function; an awaitable when it and the caller are asynchronous."""
        ...

    def writes(self, decision: Any) -> Sequence[tuple[str, Any]]:
        """The writes that lead to where it decided."""
        ...


class Body(Protocol):
    """A node's code, compiled: what to call, and how its result becomes writes."""

    asynchronous: bool
    scoped: bool
    inline: bool
    routes: Sequence[Route]

    def call(self, value: Any, scope: Scope, asynchronous: bool) -> Any:
        """Call the node; an awaitable when both it and the host are asynchronous."""
        ...

    def writes(self, result: Any) -> list[tuple[str, Any]]:
        """What the node's return value writes, without its conditional edges."""
        ...
