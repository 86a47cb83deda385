"""Lineage: what a task is called, told from what a crash does not change. Pure."""

from __future__ import annotations

from typing import Any

from dashflow._util.reserved import NS_SEP
from dashflow.core.bindings import root_name


def lineage(scope: Any) -> str:
    """Where a task stands, told from what a crash does not change: the beginning of the run, the number of
    the step, and keys of tasks. Checkpoints that were made since may not have got into the log."""
    run, task = scope.run, scope.task
    if scope.caller is not None:
        return f"{lineage(scope.caller)}>{task.path[2]}"
    place = f"{run.live.step}|{task.key}"
    if run.outer is None:
        root = root_name(*run.root) if isinstance(run.root, tuple) else run.root
        return f"{run.options.thread}|{root or run.checkpoint_id}|{place}"
    last = run.namespace.rpartition(NS_SEP)[2]
    number = (int(last) if last.isdigit() else 0) - run.outer.begun_graphs
    return f"{lineage(run.outer)}|{number}|{place}"
