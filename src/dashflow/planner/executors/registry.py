"""The executors that come with DashFlow. Which one gets a task is the planner's routing, not decided here."""

from __future__ import annotations

from dashflow.planner.executors.analysis import AnalysisExecutor
from dashflow.planner.executors.base import Executor
from dashflow.planner.executors.clarification import ClarificationExecutor
from dashflow.planner.executors.processing import ProcessingExecutor
from dashflow.planner.executors.retrieval import RetrievalExecutor
from dashflow.planner.executors.unit_test import UnitTestExecutor


def default_executors() -> tuple[Executor, ...]:
    """New executors for analysis, retrieval, unit_test, processing and clarification."""
    return (
        AnalysisExecutor(),
        RetrievalExecutor(),
        UnitTestExecutor(),
        ProcessingExecutor(),
        ClarificationExecutor(),
    )
