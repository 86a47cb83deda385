"""The Clarification executor: asks a person, turns the answer into plain data. Reads folder names only."""

from __future__ import annotations

from pathlib import Path

from dashflow.errors import WorkspaceError
from dashflow.planner.core.task import TaskKind
from dashflow.planner.executors.base import Completed, Execution, NeedsClarification, Outcome
from dashflow.planner.executors.exclusions import TOPIC_EXCLUDE
from dashflow.planner.findings import one_line, storable
from dashflow.planner.sourcetree import SourceTree, parse_exclusions

TOPIC_FREE = "free"
NAMED_AT_MOST = 10


class ClarificationExecutor:
    """Asks once. The result is ``topic``, ``answer`` (as given) and ``exclude`` (folders, for that topic)."""

    kinds = frozenset({TaskKind.CLARIFICATION})

    def execute(self, execution: Execution) -> Outcome:
        """``NeedsClarification`` until ``task.answer`` is there."""
        task = execution.task
        topic = task.params.get("topic", TOPIC_FREE)
        if task.answer is None:
            return NeedsClarification(self._question(execution, topic))
        exclude = parse_exclusions(task.answer) if topic == TOPIC_EXCLUDE else ()
        return Completed({"topic": topic, "answer": storable(task.answer), "exclude": list(exclude)})

    def _question(self, execution: Execution, topic: object) -> str:
        if topic == TOPIC_EXCLUDE:
            return exclude_question(execution.folder, execution.out)
        words = execution.task.params.get("question")
        return words if isinstance(words, str) and words.strip() else execution.task.description


def exclude_question(folder: Path | None, out: Path | None = None) -> str:
    """The question which folders to leave out; names the folders there are, ten at most."""
    try:
        names = SourceTree(folder, out).top_folders() if folder else []
    except WorkspaceError:
        names = []  # the tasks that look into the folder say what is wrong with it
    there = ""
    if names:
        more = f" and {len(names) - NAMED_AT_MOST} more" if len(names) > NAMED_AT_MOST else ""
        there = f" There are: {', '.join(one_line(name, 60) for name in names[:NAMED_AT_MOST])}{more}."
    return f"Which folders should be left out?{there} (comma-separated, none for none)"
