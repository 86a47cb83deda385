"""What ``crashpoints`` does: run the graph on a loop, and tell what the crashes came to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from dashflow.cli.branch_views import plain_value
from dashflow.cli.exits import Exit
from dashflow.cli.graphs import load_graph
from dashflow.cli.options import Settings
from dashflow.cli.output import Output
from dashflow.cli.views import SCHEMA
from dashflow.testing.crashpoints import CrashReport, acrashpoints


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


def crash(
    settings: Settings,
    name: str,
    given: Any,
    *,
    answer: Callable[[Any], Any] | None,
    durability: str,
    points: Sequence[str],
) -> int:
    """Run the graph with crashes, show what they came to; the exit code.

    Raises:
        UsageError: There is no such graph or chaos point, or the graph fails without a crash.
    """
    graph = load_graph(name)
    # Nodes may be coroutine functions: so there is a loop.
    report = asyncio.run(acrashpoints(graph, given, answer=answer, durability=durability, points=points))
    view = view_of(name, report)
    Output(settings).show(view)
    return view.exit_code


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
