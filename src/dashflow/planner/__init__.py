"""The planner: a goal becomes a graph of tasks that executors run in parallel, on the event log.

Exports the pure half only; ``dashflow.planner.runs`` runs plans.
"""

from dashflow.planner.core.state import PlannerState, RunStatus
from dashflow.planner.core.task import Attachment, Task, TaskKind, TaskStatus
from dashflow.planner.planner import Planner

__all__ = ["Attachment", "Planner", "PlannerState", "RunStatus", "Task", "TaskKind", "TaskStatus"]
