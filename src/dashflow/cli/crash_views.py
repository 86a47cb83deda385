"""What ``crashpoints`` has to say, as plain frozen data: see ``views``."""

from __future__ import annotations

from typing import Any

import msgspec

from dashflow.cli.branch_views import plain_value
from dashflow.cli.exits import Exit
from dashflow.cli.views import SCHEMA
from dashflow.testing.crash_report import CrashReport


class CrashRow(msgspec.Struct, frozen=True):
    """How the run ended that died at ``point``; fields as of ``dashflow.testing.crashpoints.Outcome``."""

    point: str
    values: Any
    next: tuple[str, ...]
    nodes: dict[str, int]
    failure: str


class CrashView(msgspec.Struct, frozen=True):
    """What all crashes came to: ``expected`` is the run without one, ``repeated`` how many crashes made a
    node begin more often than there; ``lines`` are what people see."""

    schema: int
    graph: str
    durability: str
    points: int
    losses: tuple[str, ...]
    repeated: dict[str, int]
    expected: CrashRow
    outcomes: tuple[CrashRow, ...]
    lines: tuple[str, ...]
    exit_code: int


def view_of(graph: str, report: CrashReport) -> CrashView:
    """A report as a view."""
    return CrashView(
        SCHEMA,
        graph,
        report.durability,
        len(report.outcomes),
        tuple(report.losses),
        {name: len(points) for name, points in report.repeated_nodes.items()},
        _row(report.calm),
        tuple(map(_row, report.outcomes)),
        tuple(str(report).splitlines()),
        int(Exit.FAILED if report.losses else Exit.DONE),
    )


def _row(outcome: Any) -> CrashRow:
    point = "" if outcome.point is None else str(outcome.point)
    return CrashRow(point, plain_value(outcome.values), outcome.next, outcome.nodes, outcome.failure)
