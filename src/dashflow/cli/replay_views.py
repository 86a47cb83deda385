"""What ``replay`` has to say, as plain frozen data, and how it looks to people: see ``views``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from dashflow.cli.branch_views import plain_value
from dashflow.cli.exits import Exit
from dashflow.cli.views import SCHEMA
from dashflow.types.replays import Divergence, ThreadReplay


class DivergenceView(msgspec.Struct, frozen=True):
    """Where a thread goes another way; fields as of ``dashflow.types.Divergence``."""

    kind: str
    ns: str
    step: int
    checkpoint: str
    version: int
    task: str
    recorded: Any
    present: Any
    meaning: str


class ReplayRow(msgspec.Struct, frozen=True):
    """A thread; ``file`` is where it was read from, "" for the log."""

    thread: str
    file: str
    verdict: str
    status: str
    steps: int
    ran: int
    divergence: DivergenceView | None
    reason: str
    unchecked: tuple[str, ...]


class ReplayView(msgspec.Struct, frozen=True):
    """What all threads came to; ``log`` is "" where they were read from files."""

    schema: int
    graph: str
    log: str
    same: int
    diverged: int
    not_replayable: int
    threads: tuple[ReplayRow, ...]
    exit_code: int
    migrated: int = 0


def row_of(file: str, told: ThreadReplay) -> ReplayRow:
    """A thread as a line of the view."""
    found = told.divergence
    return ReplayRow(
        told.thread_id,
        file,
        told.verdict,
        told.status,
        told.steps,
        told.ran,
        None if found is None else _divergence(found),
        told.reason,
        told.unchecked,
    )


def _divergence(found: Divergence) -> DivergenceView:
    return DivergenceView(
        found.kind,
        found.ns,
        found.step,
        found.checkpoint_id,
        found.version,
        found.task,
        plain_value(found.recorded),
        plain_value(found.present),
        found.meaning,
    )


def view_of(graph: str, log: str, rows: Sequence[ReplayRow]) -> ReplayView:
    """The view of these threads. Where none could be replayed, nothing was checked: that is no success."""
    same, diverged, others, migrated = (
        sum(row.verdict == verdict for row in rows)
        for verdict in ("same", "diverged", "not_replayable", "migrated")
    )
    code = Exit.FAILED if diverged else Exit.DONE if same or migrated else Exit.USAGE
    return ReplayView(SCHEMA, graph, log, same, diverged, others, tuple(rows), int(code), migrated)


_WORDS = {"same": "same", "migrated": "migrated", "diverged": "DIVERGED", "not_replayable": "not replayable"}


def lines_of(view: ReplayView) -> Iterator[str]:
    """What people see."""
    file = ""
    for row in view.threads:
        if row.file != file:
            file = row.file
            yield f"{file}:"
        yield from _thread(row)
    moved = f", {view.migrated} migrated" if view.migrated else ""
    yield f"{view.same} the same, {view.diverged} diverged, {view.not_replayable} not replayable{moved}"


def _thread(row: ReplayRow) -> Iterator[str]:
    ran = f", {row.ran} tasks run again" if row.ran else ""
    yield f"{_WORDS[row.verdict]}: {row.thread} ({row.status}, {row.steps} supersteps replayed{ran})"
    found = row.divergence
    if found is not None:
        where = f" in {found.ns}" if found.ns else ""
        task = f", task {found.task}" if found.task else ""
        yield f"  first at step {found.step}{task}{where}, after checkpoint {found.checkpoint or 'none'}"
        yield f"  {found.kind}: recorded {_json(found.recorded)}, now {_json(found.present)}"
        yield f"  {found.meaning}"
    if row.reason:
        yield f"  {row.reason}"
    for one in row.unchecked:
        yield f"  not compared: {one}"


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
