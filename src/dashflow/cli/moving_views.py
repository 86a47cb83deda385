"""What ``import``, ``log`` and ``backup`` have to say, as data, and how it looks to people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from dashflow.checkpoint.foreign.report import ImportReport
from dashflow.log.portable.reading import Finding

_SHOWN = 20
"""So many single things people see; JSON has them all."""


class ImportView(msgspec.Struct, frozen=True):
    """What came over from another program's database; ``report`` as ``import_langgraph`` returns it."""

    schema: int
    log: str
    report: ImportReport
    exit_code: int


class ExportView(msgspec.Struct, frozen=True):
    """A file that was written: how much it holds, up to which position and time of the log."""

    schema: int
    log: str
    file: str
    streams: int
    events: int
    upto: int
    at: str | None
    bytes: int


class BroughtView(msgspec.Struct, frozen=True):
    """What came into a log; ``present`` it had, ``left_out`` came after the moment that was asked for."""

    schema: int
    log: str
    file: str
    streams: int
    events: int
    present: int
    left_out: int
    upto: int
    at: str | None


class VerifyView(msgspec.Struct, frozen=True):
    """What a file or log holds, and what is wrong with it."""

    schema: int
    where: str
    sound: bool
    streams: int
    events: int
    upto: int
    from_time: str | None
    to_time: str | None
    findings: tuple[Finding, ...]
    found: int
    exit_code: int


class MigrationView(msgspec.Struct, frozen=True):
    """A step from one format to the next: its number, why it is there, its SQL."""

    format: int
    why: str
    sql: str


class MigrateView(msgspec.Struct, frozen=True):
    """What was done to a log's tables, or would be; no step: they have the present format."""

    schema: int
    log: str
    format: int
    dry_run: bool
    steps: tuple[MigrationView, ...]


class CompactView(msgspec.Struct, frozen=True):
    """Bytes of a log's file with its WAL, before and after; ``cut``: whether it is shorter already."""

    schema: int
    log: str
    before: int
    after: int
    cut: bool


def text_of(view: Any) -> str:
    """What people see."""
    return "\n".join(_LINES[type(view)](view))


def _import(view: ImportView) -> Iterator[str]:
    report = view.report
    did = "would bring" if report.dry_run else "brought"
    yield (
        f"{did} {report.checkpoints} checkpoints and {report.writes} writes of {report.threads} threads "
        f"({report.namespaces} namespaces, {_size(report.size)}) from {report.source} to {view.log}"
    )
    if report.present:
        yield f"{report.present} checkpoints were there already"
    if report.items or report.items_present:
        yield f"brought {report.items} items of a store; {report.items_present} were there as new already"
    if report.left_out:
        yield f"left out: {report.left_out}"
    for one in report.skipped[:_SHOWN]:
        place = [one.thread, one.ns, one.checkpoint, one.name]
        yield f"  {one.what} {' / '.join(part for part in place if part)} [{one.code}]: {one.why}"
    if report.left_out > _SHOWN:
        yield f"  ... and {report.left_out - _SHOWN} more; --json lists up to 1000"


def _export(view: ExportView) -> Iterator[str]:
    yield (
        f"wrote {view.events} events of {view.streams} streams to {view.file} ({_size(view.bytes)}), "
        f"up to position {view.upto}{_at(view.at)}"
    )


def _brought(view: BroughtView) -> Iterator[str]:
    yield (
        f"brought {view.events} events of {view.streams} streams from {view.file} to {view.log}, "
        f"up to position {view.upto}{_at(view.at)}"
    )
    if view.present:
        yield f"{view.present} events were there already"
    if view.left_out:
        yield f"{view.left_out} later events were left out"


def _verify(view: VerifyView) -> Iterator[str]:
    times = f", from {view.from_time} to {view.to_time}" if view.from_time else ""
    state = "is sound" if view.sound else f"has {view.found} problems"
    count = f"{view.events} events of {view.streams} streams"
    yield f"{view.where} {state}: {count}, up to position {view.upto}{times}"
    for one in view.findings[:_SHOWN]:
        where = f"{one.stream} event {one.version}: " if one.stream else ""
        yield f"  [{one.code}] {where}{one.problem}"
    if view.found > _SHOWN:
        yield f"  ... and {view.found - _SHOWN} more; --json lists up to 1000"


def _migrate(view: MigrateView) -> Iterator[str]:
    if not view.steps:
        yield f"{view.log} has format {view.format}, the present one; nothing to do"
        return
    did = "would be brought" if view.dry_run else "was brought"
    yield f"{view.log} {did} to format {view.format}:"
    for step in view.steps:
        yield f"  {step.format}: {step.why}"
        if view.dry_run:
            yield from (f"      {line}" for line in step.sql.splitlines() if line.strip())


def _compact(view: CompactView) -> Iterator[str]:
    yield f"{view.log} took {_size(view.before)} and takes {_size(view.after)} now"
    if not view.cut:
        yield "somebody is reading it: it gets shorter when they and one more commit are done"


def _at(time: str | None) -> str:
    return f" ({time})" if time else ""


def _size(count: int) -> str:
    if count < 1000:
        return f"{count} bytes"
    return f"{count / 1000:.1f} kB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"


_LINES: dict[type, Any] = {
    ImportView: _import,
    ExportView: _export,
    BroughtView: _brought,
    VerifyView: _verify,
    MigrateView: _migrate,
    CompactView: _compact,
}

VIEWS = tuple(_LINES)
