"""What ``crashpoints`` does: run the graph on a loop, and tell what the crashes came to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from dashflow.cli.crash_views import view_of
from dashflow.cli.graphs import load_graph
from dashflow.cli.options import Settings
from dashflow.cli.output import Output
from dashflow.testing.crashpoints import acrashpoints


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
