"""Durable batches: many items worked off by a graph, a planner or a function, on the event log.

``Batch`` is the face; ``core`` is the pure half; ``flow`` is the one that runs.
"""

from dashflow.batch.aggregates import Aggregate, Count, GroupBy, Reduce, Stats, Summary
from dashflow.batch.archive import DeadLetter, ItemFailure, ItemResult
from dashflow.batch.batch import Batch, batches
from dashflow.batch.core.settings import BatchSettings, Rate
from dashflow.batch.core.state import BatchStatus
from dashflow.batch.functions import FunctionWork
from dashflow.batch.graphs import GraphWork
from dashflow.batch.parts import Part, Progress
from dashflow.batch.plans import PlanWork
from dashflow.batch.work import Item, Suspended, Work

__all__ = (
    "Aggregate",
    "Batch",
    "BatchSettings",
    "BatchStatus",
    "Count",
    "DeadLetter",
    "FunctionWork",
    "GraphWork",
    "GroupBy",
    "Item",
    "ItemFailure",
    "ItemResult",
    "Part",
    "PlanWork",
    "Progress",
    "Rate",
    "Reduce",
    "Stats",
    "Summary",
    "Suspended",
    "Work",
    "batches",
)
