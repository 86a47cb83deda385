"""The Processing executor: turns results of other tasks into a report on disk. Writes nowhere but there.

Each file appears whole or not at all: it is written beside its place, made durable, then moved there.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from dashflow.planner.core.task import TaskKind
from dashflow.planner.executors.base import Completed, Execution, Failed, Outcome
from dashflow.planner.findings import Finding, counts, from_plain, ordered, storable
from dashflow.planner.report import Report, steps, to_json, to_markdown

FORMATS: Final = ("report",)


class ProcessingExecutor:
    """Writes ``report.md`` and ``report.json`` into ``execution.out``.

    The result has ``report_md`` and ``report_json`` (absolute paths), ``counts`` (findings by kind) and
    ``summary``. Doing it again writes the same bytes.
    """

    kinds = frozenset({TaskKind.PROCESSING})

    def execute(self, execution: Execution) -> Outcome:
        """Merge, render, write."""
        form = execution.task.params.get("format", "report")
        if form not in FORMATS:
            return Failed(f"Unknown params['format'] {form!r}. Known: {', '.join(FORMATS)}.")
        report = build_report(execution)
        written: list[Path] = []
        try:
            execution.out.mkdir(parents=True, exist_ok=True)
            for name, content in (("report.md", to_markdown(report)), ("report.json", to_json(report))):
                written.append(execution.out / name)
                write_whole(written[-1], content)
        except OSError as error:
            place = written[-1] if written else execution.out
            return Failed(
                f"Cannot write {storable(str(place))!r}: {error.strerror or error}. Nothing is half written. "
                "Free the cause (space, permissions, a file in the way) or name another folder with --out."
            )
        tally = counts(report.findings)
        told = f"{len(report.findings):,} findings in report.md and report.json"
        paths = {"report_md": storable(str(written[0])), "report_json": storable(str(written[1]))}
        return Completed({**paths, "counts": tally, "summary": told})


def build_report(execution: Execution) -> Report:
    """The report on what the inputs hold. Inputs that hold no findings are told of in its notes."""
    found: list[Finding] = []
    notes: dict[str, None] = {}
    for task, result in sorted(execution.inputs.items()):
        try:
            found += from_plain(result.get("findings", []))
        except msgspec.ValidationError as error:
            notes[f"The findings of {task} could not be understood and are missing here: {error}"] = None
        told = result.get("notes", [])
        notes.update(
            dict.fromkeys(note for note in told if isinstance(note, str)) if isinstance(told, list) else {}
        )
    done, not_done = steps(execution.task, execution.tasks, execution.inputs)
    # its name only: what is above it says nothing about what was found
    folder = os.path.basename(os.path.abspath(execution.folder)) if execution.folder else ""
    return Report(
        run=execution.run,
        goal=execution.goal,
        folder=storable(folder or "what was asked"),
        findings=tuple(ordered(found)),
        done=tuple(done),
        not_done=tuple(not_done),
        notes=tuple(sorted(notes)),
    )


def write_whole(target: Path, content: bytes) -> None:
    """Write a file so that after any crash there is the old one or the new one, and durably so on return.

    The name written to first is always the same, so that what a killed attempt left is taken over by
    the next and not left lying about.

    Raises:
        OSError: it could not be written; the old file, if any, is as it was.
    """
    beside = target.with_name(f".{target.name}.part")
    with suppress(FileNotFoundError):
        os.unlink(beside)
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, target)
    except BaseException:
        with suppress(OSError):
            os.unlink(beside)
        raise
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
