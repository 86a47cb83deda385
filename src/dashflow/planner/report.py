"""The report of a run: the same findings as a page for people and as JSON for programs. No I/O, no clock.

Both texts depend on nothing but what was found and done, so that a run that was killed and resumed
writes them again byte for byte, but for the run's own name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from dashflow.planner.core.task import Task, TaskStatus
from dashflow.planner.findings import Finding, counts, one_line, storable, to_plain

SCHEMA: Final = 1
"""Version of report.json's layout."""

_TITLES: Final = {
    "long_function": "Functions that are too long",
    "complexity": "Functions that are too complex",
    "todo": "TODO comments",
    "fixme": "FIXME comments",
    "import": "Imports that lead nowhere",
    "match": "Search results",
    "syntax_error": "Files with syntax errors",
    "unreadable": "Files that could not be read",
    "test_failure": "Failing tests",
    "test_error": "Tests that broke",
    "no_tests": "No tests",
    "tests_unrunnable": "Tests that could not run",
}
_FIRST: Final = tuple(_TITLES)
_UNITS: Final = {"long_function": "lines", "complexity": "paths"}


class Step(msgspec.Struct, frozen=True):
    """One task of the plan, as the report tells of it: its words, and what came of it or why nothing did."""

    task: str
    description: str
    told: str


class Report(msgspec.Struct, frozen=True):
    """Everything that both texts are made of.

    Attributes:
        run: The run's id, the only thing in it that differs between equal runs.
        goal: The goal's words.
        folder: Name of the folder looked at, without the folders above it.
        findings: Sorted, none twice.
        done: Tasks that were completed.
        not_done: Tasks that were not, with the reason.
        notes: What a reader should know about the findings.
    """

    run: str
    goal: str
    folder: str
    findings: tuple[Finding, ...]
    done: tuple[Step, ...] = ()
    not_done: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()


def steps(
    task: Task, tasks: Mapping[str, Task], inputs: Mapping[str, dict[str, Any]]
) -> tuple[list[Step], list[Step]]:
    """What was done and what was not, of all that a task waits for, at once or by way of others.

    Tasks that it does not wait for are left out: how far they are is chance.
    """
    before: dict[str, None] = {}
    todo = [*task.dependencies, *task.optional_dependencies]
    while todo:
        name = todo.pop()
        if name not in before and name in tasks and name != task.id:
            before[name] = None
            todo += [*tasks[name].dependencies, *tasks[name].optional_dependencies]
    done: list[Step] = []
    not_done: list[Step] = []
    for name in (name for name in tasks if name in before):
        other = tasks[name]
        result = inputs.get(name) or other.result
        if other.status is TaskStatus.COMPLETED or (name in inputs):
            done.append(Step(name, other.description, _told(result or {})))
        else:
            not_done.append(Step(name, other.description, _why_not(other, tasks)))
    return done, not_done


def _told(result: Mapping[str, Any]) -> str:
    summary = result.get("summary")
    if isinstance(summary, str):
        return summary
    answer = result.get("answer")
    return f"answered: {answer}" if isinstance(answer, str) else "done"


def _why_not(task: Task, tasks: Mapping[str, Task]) -> str:
    if task.status is TaskStatus.FAILED:
        return task.error or "it failed"
    missing = [
        name
        for name in task.dependencies
        if name not in tasks or tasks[name].status is not TaskStatus.COMPLETED
    ]
    if missing:
        return f"it waits for {', '.join(missing)}, which did not complete"
    return "it asks a question that nobody answered" if task.question else "it did not come to its end"


def to_json(report: Report) -> bytes:
    """``{"schema", "run", "findings"}``, indented, in UTF-8, ending in a line end."""
    data = {"schema": SCHEMA, "run": storable(report.run), "findings": to_plain(report.findings)}
    return msgspec.json.format(msgspec.json.encode(data), indent=2) + b"\n"


def to_markdown(report: Report) -> bytes:
    """The page for people: numbers first, then every finding by kind, then what was done and what was not."""
    lines = [f"# Report on {_words(report.folder)}", "", f"Goal: {_words(report.goal)}", ""]
    lines += [f"Run: {_words(report.run)}", ""]
    lines += _summary(report.findings)
    for kind in _kinds(report.findings):
        lines += _section(kind, [one for one in report.findings if one.kind == kind])
    lines += _steps("What was done", report.done)
    lines += _steps("What was not done, and why", report.not_done)
    if report.notes:
        lines += ["## Notes", "", *(f"- {_words(note)}" for note in report.notes), ""]
    return ("\n".join(lines).rstrip("\n") + "\n").encode("utf-8")


def _kinds(found: tuple[Finding, ...]) -> list[str]:
    """Kinds that occur: those we know in our order, then others by name."""
    present = counts(found)
    known = [kind for kind in _FIRST if kind in present]
    return known + [kind for kind in present if kind not in _TITLES]


def _title(kind: str) -> str:
    return _TITLES.get(kind) or f"{kind.replace('_', ' ').capitalize()} comments"


def _summary(found: tuple[Finding, ...]) -> list[str]:
    if not found:
        return ["## Summary", "", "Nothing was found.", ""]
    tally = counts(found)
    rows = [f"| {_words(_title(kind))} | {tally[kind]:,} |" for kind in _kinds(found)]
    return [
        "## Summary",
        "",
        "| What | How many |",
        "|---|---:|",
        *rows,
        f"| Together | {len(found):,} |",
        "",
    ]


def _section(kind: str, found: list[Finding]) -> list[str]:
    return [f"## {_words(_title(kind))} ({len(found):,})", "", *(_line(one) for one in found), ""]


def _line(one: Finding) -> str:
    """One finding: its place as ``file:line``, which editors and terminals open; its name; its value."""
    parts = [_code(f"{one.path}:{one.line}" if one.line else one.path)]
    if one.name:
        parts.append(_code(one.name))
    if isinstance(one.value, int):
        parts.append(f"{one.value:,} {_UNITS[one.kind]}" if one.kind in _UNITS else f"{one.value:,}")
    elif one.value:
        parts.append(_code(one.value))
    return f"- {' · '.join(parts)}"


def _steps(title: str, told: tuple[Step, ...]) -> list[str]:
    if not told:
        return []
    rows = [f"- {_words(step.task)} {_words(step.description)}: {_words(step.told)}" for step in told]
    return [f"## {title}", "", *rows, ""]


def _code(text: str) -> str:
    """``text`` as Markdown code, whatever is in it."""
    text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    ticks = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * (ticks + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _words(text: str) -> str:
    """``text`` as Markdown prose on one line, its signs taken literally."""
    flat = "".join(char for char in one_line(text, 2_000) if char.isprintable())
    return re.sub(r"([\\`*_\[\]<>|#~])", r"\\\1", flat)
