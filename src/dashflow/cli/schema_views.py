"""What ``schema check`` has to say, as plain frozen data, and how it looks to people: see ``views``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from dashflow.cli.exits import Exit
from dashflow.cli.views import SCHEMA
from dashflow.types.fits import ThreadFit


class FitRow(msgspec.Struct, frozen=True):
    """A thread; fields as of ``dashflow.types.ThreadFit``."""

    thread: str
    verdict: str
    status: str
    version: str
    changed: tuple[str, ...]
    migrated: tuple[str, ...]
    problems: tuple[str, ...]


class FitView(msgspec.Struct, frozen=True):
    """What all threads came to."""

    schema: int
    graph: str
    version: str
    log: str
    refused: int
    threads: tuple[FitRow, ...]
    exit_code: int


def fit_view(graph: str, version: str, log: str, fits: Sequence[ThreadFit]) -> FitView:
    """The view of these threads."""
    rows = tuple(
        FitRow(fit.thread_id, fit.verdict, fit.status, fit.version, fit.changed, fit.migrated, fit.problems)
        for fit in fits
    )
    refused = sum(row.verdict == "refused" for row in rows)
    return FitView(SCHEMA, graph, version, log, refused, rows, int(Exit.FAILED if refused else Exit.DONE))


def fit_lines(view: FitView) -> Iterator[str]:
    """What people see."""
    for row in view.threads:
        version = f", version {row.version}" if row.version else ""
        verdict = "REFUSED" if row.verdict == "refused" else row.verdict
        yield f"{verdict}: {row.thread} ({row.status}{version})"
        for mark, lines in (("~", row.changed), (">", row.migrated), ("!", row.problems)):
            for line in lines:
                yield f"  {mark} {line}"
    yield f"{len(view.threads) - view.refused} can go on, {view.refused} cannot"
