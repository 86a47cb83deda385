"""Error handlers: a node that failed for good, and the node that runs in its place in the same step.

The failure is recorded in the form that LangGraph stores (writes ``__error__`` and ``__error_source_node__``
of the failed task), so that after a crash the handler runs and not the node. Decides; runs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashflow._util.reserved import ERROR, ERROR_SOURCE_NODE, NS_SEP, PUSH
from dashflow.core.plan import GraphPlan, NodePlan
from dashflow.core.superstep import Task
from dashflow.errors import GraphBubbleUp, LogError, NodeError

Writes = Sequence[tuple[str, Any]]
MARK = "node_error_handler"
"""In the path and the id of a handler's task."""


class HandlerTask(Task):
    """The task of a handler.

    Attributes:
        error: What it is told.
        failed: The task that failed.
    """

    __slots__ = ("error", "failed")

    def __init__(self, failed: Task, node: NodePlan, error: BaseException) -> None:
        path = (*failed.path[:3], MARK, False)
        super().__init__(f"{failed.key}{NS_SEP}{node.name}", node, path, (PUSH,), failed.input)
        self.failed = failed
        self.error = NodeError(failed.name, error)


def handler_of(plan: GraphPlan, failed: Task, error: BaseException) -> HandlerTask | None:
    """The task that takes over; None when the error ends the run."""
    name = failed.node.policies.handler
    if not name or not isinstance(error, Exception) or isinstance(error, GraphBubbleUp | LogError):
        return None
    return HandlerTask(failed, plan.nodes[name], error)


def failure(task: Task, error: BaseException) -> list[list[Any]]:
    """What is recorded of a failed task that a handler takes over, as writes of that task."""
    return [[ERROR, repr(error)], [ERROR_SOURCE_NODE, task.name]]


def is_failure(writes: Writes) -> bool:
    """Whether these are recorded writes of a failed task that a handler took over."""
    return any(chan == ERROR_SOURCE_NODE for chan, _ in writes)


def resumed(plan: GraphPlan, failed: Task, writes: Writes, done: Mapping[str, Writes]) -> HandlerTask | None:
    """The handler of a task that failed in an earlier run, with the handler's own result if it has one.

    None when the graph has no handler for the node any more: the node runs again.
    """
    told = next((value for chan, value in writes if chan == ERROR), "")
    error = told if isinstance(told, BaseException) else Exception(str(told))
    task = handler_of(plan, failed, error)
    if task is not None:
        task.writes = done.get(task.key)
    return task
