"""Task, its kinds and statuses: the planner's central noun. Plain data; no behaviour beyond validity."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from dashflow.hitl.core.terms import Terms


class TaskKind(StrEnum):
    """What kind of work a task is; routes it to an executor."""

    CLARIFICATION = "clarification"
    TOOL_CALL = "tool_call"
    PROCESSING = "processing"
    UNIT_TEST = "unit_test"
    RETRIEVAL = "retrieval"
    ANALYSIS = "analysis"
    REFACTOR = "refactor"
    IMPLEMENTATION = "implementation"


class TaskStatus(StrEnum):
    """Where a task stands. Ready and blocked are derived from the dependencies, never stored."""

    PLANNED = "planned"
    RUNNING = "running"
    COMPLETED = "completed"
    NEEDS_CLARIFICATION = "needs_clarification"
    NEEDS_APPROVAL = "needs_approval"
    FAILED = "failed"


class Attachment(msgspec.Struct, frozen=True):
    """Something a task refers to: a file, folder or address. ``kind`` is file, folder, url or text."""

    kind: str
    value: str


class Task(msgspec.Struct, frozen=True):
    """One piece of work of a plan.

    Attributes:
        id: Unique in the plan, for example ``t3``.
        description: What to do, in words.
        kind: Routes the task to an executor.
        status: Where it stands.
        attachments: What it refers to.
        dependencies: Ids of tasks that must be completed before it starts.
        params: What the executor needs beyond the words, plain data (``{"max_lines": 60}``).
        optional_dependencies: Ids it waits for until they are terminal, but whose failure does not block it.
        attempt: How many times it was dispatched.
        result: What its executor returned, once completed; plain data.
        error: Why it failed, once failed.
        question: What it asks, while it needs clarification.
        answer: What it was answered.
        approval: On which terms somebody has to approve it before it starts; None: nobody has to.
        approved: Hash of what was approved; "" while nothing was.
    """

    id: str
    description: str
    kind: TaskKind
    status: TaskStatus = TaskStatus.PLANNED
    attachments: tuple[Attachment, ...] = ()
    dependencies: tuple[str, ...] = ()
    params: dict[str, Any] = {}
    optional_dependencies: tuple[str, ...] = ()
    attempt: int = 0
    result: dict[str, Any] | None = None
    error: str | None = None
    question: str | None = None
    answer: str | None = None
    approval: Terms | None = None
    approved: str = ""
