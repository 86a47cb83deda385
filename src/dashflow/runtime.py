"""Runtime: what a run lends to its nodes: context, store, stream writer, and facts about the execution.

Plain values; the engine fills them. Knows no engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Generic, cast

from typing_extensions import TypeVar

from dashflow._util.scope import require_scope

__all__ = ("DEFAULT_RUNTIME", "ExecutionInfo", "Runtime", "get_runtime")

ContextT = TypeVar("ContextT", default=None)


def _ignore(value: Any) -> None:
    """The stream writer when nobody listens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionInfo:
    """Facts about the execution of one task.

    Attributes:
        checkpoint_id: The checkpoint that the step started from.
        checkpoint_ns: The task's namespace.
        task_id: The task's id.
        thread_id: The run's thread; None without a checkpointer.
        run_id: The run's id; None when the caller gave none.
        node_attempt: Which attempt this is, from 1.
        node_first_attempt_time: When the first attempt began, seconds since the Unix epoch.
    """

    checkpoint_id: str
    checkpoint_ns: str
    task_id: str
    thread_id: str | None = None
    run_id: str | None = None
    node_attempt: int = 1
    node_first_attempt_time: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime(Generic[ContextT]):
    """What a node gets as ``runtime``.

    Attributes:
        context: What the caller passed as ``context``, as the graph's ``context_schema``.
        store: The graph's store, or None.
        stream_writer: Writes to the ``custom`` stream.
        previous: The value the last run of this thread returned (functional API).
        execution_info: Facts about this task.
    """

    context: ContextT = field(default=cast("ContextT", None))
    store: Any = None
    stream_writer: Callable[[Any], None] = _ignore
    previous: Any = None
    execution_info: ExecutionInfo | None = None

    def override(self, **changes: Any) -> Runtime[ContextT]:
        """A copy with some fields changed."""
        return replace(self, **changes)

    def merge(self, other: Runtime[ContextT]) -> Runtime[ContextT]:
        """A copy with the fields of ``other`` that are set."""
        return Runtime(
            context=other.context or self.context,
            store=other.store or self.store,
            stream_writer=other.stream_writer if other.stream_writer is not _ignore else self.stream_writer,
            previous=self.previous if other.previous is None else other.previous,
            execution_info=other.execution_info or self.execution_info,
        )


DEFAULT_RUNTIME: Runtime[Any] = Runtime()


def get_runtime(context_schema: type[ContextT] | None = None) -> Runtime[ContextT]:
    """The runtime of the task that runs here; ``context_schema`` is for type checkers only.

    Raises:
        RuntimeError: No task runs here.
    """
    return cast("Runtime[ContextT]", require_scope("get_runtime()").runtime)
