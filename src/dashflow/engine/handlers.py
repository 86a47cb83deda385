"""Error handlers: a node that failed for good, and the node that runs in its place in the same step.

That a handler takes over is durable before it begins: after a crash it runs again, and the node does not.
Decides; runs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dashflow._util.reserved import ERROR_HANDLER, NS_SEP, PUSH
from dashflow.core.plan import GraphPlan, NodePlan
from dashflow.core.superstep import Task
from dashflow.errors import GraphBubbleUp, LogError, NodeError

Writes = Sequence[tuple[str, Any]]


class HandlerTask(Task):
    """The task of a handler.

    Attributes:
        error: What it is told.
        failed: The task that failed.
    """

    __slots__ = ("error", "failed")

    def __init__(self, failed: Task, node: NodePlan, error: BaseException) -> None:
        path = (*failed.path[:3], ERROR_HANDLER, False)
        super().__init__(f"{failed.key}{NS_SEP}{node.name}", node, path, (PUSH,), failed.input)
        self.failed = failed
        self.error = NodeError(failed.name, error)


def handler_of(plan: GraphPlan, failed: Task, error: BaseException) -> HandlerTask | None:
    """The task that takes over; None when the error ends the run."""
    name = failed.node.policies.handler
    if not name or not isinstance(error, Exception) or isinstance(error, GraphBubbleUp | LogError):
        return None
    return HandlerTask(failed, plan.nodes[name], error)


def resumed(plan: GraphPlan, failed: Task, told: Any, done: Mapping[str, Writes]) -> HandlerTask | None:
    """The handler of a task that failed in an earlier run, with the handler's own result if it has one.

    Args:
        plan: The graph.
        failed: The task.
        told: Its error, as it was recorded.
        done: Writes of finished tasks, by key.

    Returns:
        None when the graph has no handler for the node any more: the node runs again.
    """
    error = told if isinstance(told, BaseException) else Exception(str(told))
    task = handler_of(plan, failed, error)
    if task is not None:
        task.writes = done.get(task.key)
    return task
