"""The Analysis executor: checks over the files of a folder, by syntax tree or comment. Changes no file.

A file that cannot be read or parsed is a finding, never a failed task. Each check sees one file at a
time, so memory does not grow with the folder.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from dashflow.errors import WorkspaceError
from dashflow.planner.core.task import TaskKind
from dashflow.planner.executors import comments as other
from dashflow.planner.executors import pysource
from dashflow.planner.executors.base import Completed, Execution, Failed, Outcome
from dashflow.planner.executors.checks import CHECKS, Check
from dashflow.planner.executors.exclusions import open_tree
from dashflow.planner.findings import Finding, finding, ordered, to_plain
from dashflow.planner.regularfile import Unread
from dashflow.planner.sourcetree import SourceFile, SourceTree

PROGRESS_EVERY = 100
"""Files between two signs of progress."""

DEFAULT_CHECKS: tuple[dict[str, Any], ...] = (
    {"check": "long_functions", "max_lines": 60},
    {"check": "markers", "markers": ["TODO", "FIXME"]},
)
"""What is checked when a task does not say."""


class AnalysisExecutor:
    """Runs the checks named in ``task.params["checks"]``; see ``checks.py`` for what there is.

    The result has ``findings``, ``files`` (looked at), ``notes``, ``summary`` (a sentence), ``checks``
    (their names) and whatever numbers the checks add.
    """

    kinds = frozenset({TaskKind.ANALYSIS})

    def __init__(self) -> None:
        self._memory = pysource.FactsMemory()

    def execute(self, execution: Execution) -> Outcome:
        """Look at every file once."""
        checks = parse_checks(execution.task.params)
        if isinstance(checks, Failed):
            return checks
        try:
            tree = open_tree(execution)
        except WorkspaceError as error:
            return Failed(str(error))
        found: list[Finding] = []
        files = 0
        for file in tree.files():
            if execution.cancelled():
                return Failed("Stopped: the result is no longer wanted.")
            wanting = [check for check in checks if check.wants(file)]
            if not wanting:
                continue
            files += 1
            found.extend(_look(file, wanting, self._memory))
            if files % PROGRESS_EVERY == 0:
                execution.progress(f"{files:,} files looked at")
        found.extend(_problems(tree, checks))
        for check in checks:
            found.extend(check.finish())
        return Completed(_result(checks, ordered(found), files, tree.notes()))


def parse_checks(params: Mapping[str, Any]) -> list[Check] | Failed:
    """The checks a task asks for, or what is wrong with the request."""
    wanted = params.get("checks") or list(DEFAULT_CHECKS)
    known = ", ".join(sorted(CHECKS))
    if not isinstance(wanted, list | tuple):
        return Failed(
            f"params['checks'] must be a list of checks, not {type(wanted).__name__}. Known: {known}."
        )
    checks: list[Check] = []
    for item in wanted:
        name = item.get("check") if isinstance(item, Mapping) else item
        if not isinstance(name, str) or name not in CHECKS:
            return Failed(f"Unknown check {name!r} in params['checks']. Known: {known}.")
        try:
            checks.append(CHECKS[name](item if isinstance(item, Mapping) else {}))
        except ValueError as error:
            return Failed(f"Check {name!r}: {error}")
    return checks


def _look(file: SourceFile, checks: list[Check], memory: pysource.FactsMemory) -> Iterator[Finding]:
    """What the checks that want a file find in it; it is read once and parsed at most once, by all tasks."""
    python = file.suffix in pysource.SUFFIXES
    data = file.read(pysource.MAX_BYTES if python else other.MAX_BYTES)
    if isinstance(data, Unread):
        # a bundle or a data file in another language is nobody's text; a Python file that large is news
        if python or file.size <= other.MAX_BYTES:
            yield finding("unreadable", file.path, value=data.why)
        return
    if not python:
        if b"\0" not in data:
            text = data.decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
            for check in checks:
                yield from check.text(file, text)
        return
    source = pysource.decode(file.path, data)
    if isinstance(source, Finding):
        yield source
        return
    for check in checks:
        yield from check.python(source, partial(memory.facts, source))


def _problems(tree: SourceTree, checks: list[Check]) -> Iterator[Finding]:
    """Folders that could not be listed, and things that are no files but are called like source."""
    for problem in tree.problems:
        unlisted = problem.why.startswith("cannot be read")
        if unlisted or any(check.wants(SourceFile(problem.path, "", 0)) for check in checks):
            yield finding("unreadable", problem.path, value=problem.why)


def _result(checks: list[Check], found: list[Finding], files: int, notes: list[str]) -> dict[str, Any]:
    numbers: dict[str, int] = {}
    for check in checks:
        numbers.update(check.numbers())
    counted = [f"{number:,} {name}" for name, number in sorted(numbers.items())]
    told = ", ".join([f"{files:,} files looked at", *counted])
    names = [check.name for check in checks]
    result: dict[str, Any] = {"checks": names, "files": files, **numbers}
    return {**result, "summary": told, "notes": notes, "findings": to_plain(found)}
