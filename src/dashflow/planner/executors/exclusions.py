"""From an execution to the folder it may look at: the answered exclusions and the output folder taken off."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dashflow.errors import WorkspaceError
from dashflow.planner.executors.base import Execution
from dashflow.planner.sourcetree import SourceTree, parse_exclusions

TOPIC_EXCLUDE = "exclude"
"""Topic of the clarification that asks which folders to leave out."""


def excluded(params: Mapping[str, Any], inputs: Mapping[str, dict[str, Any]]) -> tuple[str, ...]:
    """Folders to leave out: those in a task's own params, then those of answers it waited for."""
    asked = [result for _, result in sorted(inputs.items()) if result.get("topic") == TOPIC_EXCLUDE]
    named: dict[str, None] = {}
    for source in (params, *asked):
        folders = source.get("exclude")
        if isinstance(folders, str):
            folders = parse_exclusions(folders)
        if isinstance(folders, list | tuple):
            named.update(dict.fromkeys(name for name in folders if isinstance(name, str) and name))
    return tuple(named)


def open_tree(execution: Execution) -> SourceTree:
    """The folder of an execution without what is left out.

    Raises:
        WorkspaceError: the goal has no folder, or it cannot be looked at.
    """
    if execution.folder is None:
        raise WorkspaceError("", "was not named", "Say which folder to look at with --on PATH.")
    return SourceTree(execution.folder, execution.out, excluded(execution.task.params, execution.inputs))
