"""The task that runs here: what ``interrupt()`` and the like ask, found through one context variable.

Whoever runs a task (the engine) sets ``CURRENT`` around it; this file knows nothing of engines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, Protocol

__all__ = ("CURRENT", "STEP_BRANCH", "TOOL_CALL_WRITER", "TaskScope", "require_scope")


class TaskScope(Protocol):
    """What a running task can be asked for."""

    @property
    def config(self) -> dict[str, Any]:
        """The task's ``RunnableConfig``."""
        ...

    @property
    def writer(self) -> Callable[[Any], None]:
        """Writes to the ``custom`` stream; does nothing when nobody listens."""
        ...

    @property
    def store(self) -> Any:
        """The graph's store, or None."""
        ...

    @property
    def runtime(self) -> Any:
        """The task's ``Runtime``."""
        ...

    def interrupt(self, value: Any, response_schema: Any, terms: Any = None) -> Any:
        """The answer to ``value``, or raise ``GraphInterrupt``.

        ``response_schema`` comes as the user gave it; ``dashflow.types.interrupts`` has what checks
        an answer against it (before it is recorded) and what turns it into JSON Schema. ``terms`` are its
        ``Terms``.
        """
        ...

    def send(self, writes: Sequence[tuple[str, Any]]) -> None:
        """Write to channels beside what the node returns."""
        ...

    def read(self, select: Sequence[str] | str, fresh: bool = False) -> Any:
        """The values of these keys; ``fresh``: with what this task has sent so far."""
        ...

    def call(self, node: Any, given: Any) -> Any:
        """Start a function beside this task, as a task of its own; returns its future."""
        ...

    def step(self, node: Any, given: Any, asynchronous: bool) -> Any:
        """The result of a function that is called once, or the recorded one; an awaitable where asked for."""
        ...

    @property
    def idempotency_key(self) -> str:
        """Names what this task does, the same whenever it does it again."""
        ...

    def read_state(self) -> Any:
        """The state as the task's node reads it now, whatever this task was sent."""
        ...

    def push_message(self, message: Any, state_key: str | None) -> None:
        """Send a message to the ``messages`` stream; write it to ``state_key`` unless that is None."""
        ...


CURRENT: ContextVar[TaskScope | None] = ContextVar("dashflow_task_scope", default=None)
"""The scope of the task that runs in this context; None outside of tasks."""

STEP_BRANCH: ContextVar[tuple[TaskScope | None, str]] = ContextVar("dashflow_step_branch", default=(None, ""))
"""Names one of several things that a task (of this scope) does beside each other, such as a tool call: each
has steps of its own."""

TOOL_CALL_WRITER: ContextVar[Callable[[Any], None] | None] = ContextVar(
    "dashflow_tool_call_writer", default=None
)
"""Sends parts of the running tool call's output to the ``tools`` stream; None when nobody listens."""


def require_scope(name: str) -> TaskScope:
    """The current scope, for a function ``name`` that only makes sense inside of a task.

    Raises:
        RuntimeError: No task runs here.
    """
    scope = CURRENT.get()
    if scope is None:
        raise RuntimeError(
            f"Called {name} outside of a runnable context: it only works in code that a graph runs "
            "(a node, an edge, a task, or what these call in the same context)."
        )
    return scope
