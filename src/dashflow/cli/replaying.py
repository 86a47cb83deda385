"""What ``replay`` does: hand over to the graph, and tell what its threads came to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from dashflow.cli.graphs import load_graph
from dashflow.cli.logfile import find_graph_thread, opened
from dashflow.cli.options import Settings
from dashflow.cli.output import Output
from dashflow.cli.replay_views import row_of, view_of
from dashflow.testing.replay import ReplayedFile, areplay_exports, areplay_log, replay_exports, replay_log


def replay_threads(
    settings: Settings,
    name: str,
    threads: Sequence[str] | None,
    paths: Sequence[str],
    *,
    run: bool | tuple[str, ...],
    routes: bool,
) -> int:
    """Replay threads of the log, all of them (None), or those in files; the exit code.

    Raises:
        UsageError: There is no such graph, thread, node or file.
        LogError: The log or a file cannot be used.
    """
    graph = load_graph(name)
    more: dict[str, Any] = {"run": run, "routes": True if routes else None}
    if paths:
        # Nodes may be coroutine functions: where some are run, there is a loop.
        files = asyncio.run(areplay_exports(graph, *paths, **more)) if _asks(more) else None
        files = replay_exports(graph, *paths, **more) if files is None else files
        return _shown(settings, name, "", files)
    with opened(settings) as log:
        names = (
            None if threads is None else [find_graph_thread(log, one, settings.shown_db) for one in threads]
        )
        if _asks(more):
            found = asyncio.run(areplay_log(graph, log, names, **more))
        else:
            found = replay_log(graph, log, names, **more)
    return _shown(settings, name, settings.shown_db, [ReplayedFile("", tuple(found))])


def _asks(more: dict[str, Any]) -> bool:
    return bool(more["run"] or more["routes"])


def _shown(settings: Settings, graph: str, log: str, files: Sequence[ReplayedFile]) -> int:
    rows = [row_of(file.path, one) for file in files for one in file.threads]
    view = view_of(graph, log, rows)
    Output(settings).show(view)
    return view.exit_code
