"""What ``breakpoint set``, ``list`` and ``clear`` do: change or tell the breakpoints of a graph's thread."""

from __future__ import annotations

from dashflow.checkpoint.breakpoints import added, change, parted, read
from dashflow.cli.exits import Exit
from dashflow.cli.logfile import find_thread, opened
from dashflow.cli.options import Settings
from dashflow.cli.output import Output
from dashflow.cli.views import SCHEMA, BreakpointList
from dashflow.errors import UsageError
from dashflow.log.base import EventLog
from dashflow.types.breakpoints import Breakpoint


def set_one(settings: Settings, name: str, node: str, at: str, when: str) -> int:
    """Set a breakpoint.

    Raises:
        UsageError: The condition is none; or the thread is a plan's run, or not there.
    """
    with opened(settings) as log:
        thread = _graph_thread(log, name, settings)
        point = Breakpoint(node, "after" if at == "after" else "before", when)
        _, points, _ = change(log, thread, lambda known: (added(known, point), None))
    return _shown(settings, thread, points)


def clear_some(settings: Settings, name: str, node: str | None, at: str | None) -> int:
    """Clear a node's breakpoints, or all.

    Raises:
        UsageError: There is none like that; or as ``set_one``.
    """
    with opened(settings) as log:
        thread = _graph_thread(log, name, settings)
        _, points, gone = change(log, thread, lambda known: parted(known, node, at))
    if not gone:
        where = f" {at or 'at'} node {node!r}" if node else ""
        raise UsageError(
            f"Thread {thread!r} has no breakpoint{where}. Those it has: dashflow breakpoint list."
        )
    return _shown(settings, thread, points)


def list_all(settings: Settings, name: str) -> int:
    """Tell a thread's breakpoints."""
    with opened(settings) as log:
        thread = _graph_thread(log, name, settings)
        _, points = read(log, thread)
    return _shown(settings, thread, points)


def _graph_thread(log: EventLog, name: str, settings: Settings) -> str:
    thread, is_plan = find_thread(log, name, settings.db)
    if is_plan:
        raise UsageError(f"{thread!r} is the run of a plan; breakpoints belong to threads of graphs.")
    return thread


def _shown(settings: Settings, thread: str, points: list[Breakpoint]) -> int:
    Output(settings).show(BreakpointList(SCHEMA, thread, tuple(points)))
    return Exit.DONE
