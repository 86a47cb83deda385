"""What the ``branch`` commands do. Without the program's code: objects of its classes go through as they are.

Only merging may need the graph, whose reducers say how what both sides changed comes together.
"""

from __future__ import annotations

from typing import Any

from dashflow._util.drive import drive
from dashflow.checkpoint.lines import MARK
from dashflow.checkpoint.saver import LogSaver
from dashflow.checkpoint.thread import ThreadReader, stream_of
from dashflow.checkpoint.view import places
from dashflow.cli.branch_views import BranchList, BranchView, branch_row, diff_view, merge_view
from dashflow.cli.exits import Exit
from dashflow.cli.logfile import find_graph_thread, opened
from dashflow.cli.options import Settings
from dashflow.cli.output import Output
from dashflow.cli.views import SCHEMA, command_line
from dashflow.engine import branches as flows
from dashflow.engine.log_branches import LogBranches
from dashflow.errors import UnknownBranchError, UnknownRunError, UsageError
from dashflow.hosts.sync import SyncHost
from dashflow.log.base import EventLog
from dashflow.log.codec import Registry
from dashflow.log.owner import owner_of
from dashflow.types.branches import BranchMerge


def _branches(log: EventLog) -> LogBranches:
    return LogBranches(SyncHost(), ThreadReader(log, Registry(), unknown="opaque"))


def fork(settings: Settings, name: str, branch: str, checkpoint: str | None) -> int:
    """Begin a branch."""
    with opened(settings) as log:
        kept = _branches(log)
        thread = find_graph_thread(log, name, settings.shown_db)
        at = None if checkpoint is None else _checkpoint(kept, thread, checkpoint)
        begun = drive(kept.begin(thread, at, flows.check_name(branch)))
    lines = (
        command_line(settings, "branch", "list", thread),
        command_line(settings, "state", begun.thread_id),
    )
    Output(settings).show(BranchView(SCHEMA, branch_row(begun), lines))
    return Exit.DONE


def _checkpoint(kept: LogBranches, thread: str, start: str) -> str:
    """The checkpoint whose id starts like that; what is no start of only one is left as it is."""
    found = [name for name in places(kept.reader, stream_of(thread)) if name.startswith(start)]
    if len(found) > 1 and start not in found:
        shown = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
        raise UsageError(f"{start!r} could be {len(found)} checkpoints: {shown}. Write more of the id.")
    return found[0] if len(found) == 1 else start


def show_branches(settings: Settings, name: str) -> int:
    """Show a thread's branches."""
    with opened(settings) as log:
        kept = _branches(log)
        thread = find_graph_thread(log, name, settings.shown_db)
        head = kept.reader.head(thread)
        rows = tuple(branch_row(branch) for branch in drive(kept.all_of(thread)))
        running = bool(owner_of(log, stream_of(thread)))
    status = "stopped" if head.status == "running" and not running else head.status
    Output(settings).show(BranchList(SCHEMA, settings.shown_db, thread, head.step, status, rows))
    return Exit.DONE


def diff(settings: Settings, name: str, other: str) -> int:
    """Show how two threads differ."""
    with opened(settings) as log:
        kept = _branches(log)
        thread = find_graph_thread(log, name, settings.shown_db)
        one = drive(kept.line(thread, None))
        two = drive(kept.line(_other(kept, log, settings, thread, other), None))
        found = drive(flows.compare(kept, None, one, two))
    Output(settings).show(diff_view(found))
    return Exit.DONE


def merge(settings: Settings, name: str, other: str, graph: str | None, side: str | None) -> int:
    """Merge a thread into another."""
    resolve = None if side is None else flows.side(side)
    with opened(settings) as log:
        kept = _branches(log)
        thread = find_graph_thread(log, name, settings.shown_db)
        source = _other(kept, log, settings, thread, other)
        if graph is not None:
            place, config = ({"configurable": {"thread_id": one}} for one in (thread, source))
            done: BranchMerge = _loaded(graph, log).merge_branch(place, config, resolve=resolve)
        else:
            ours, theirs = drive(kept.line(thread, None)), drive(kept.line(source, None))
            done = drive(flows.merge_into(kept, None, ours, theirs, resolve))
    Output(settings).show(merge_view(thread, source, done))
    return Exit.DONE


def delete(settings: Settings, name: str, branch: str) -> int:
    """Forget a branch."""
    output = Output(settings)
    with opened(settings) as log:
        kept = _branches(log)
        thread = find_graph_thread(log, name, settings.shown_db)
        found = drive(flows.find(kept, thread, branch.removeprefix(f"{thread}{MARK}")))
        drive(kept.delete(found.thread_id))
    if settings.json:
        output.show(BranchView(SCHEMA, branch_row(found), ()))
    else:
        output.say(f"Branch {found.name!r} of {thread} is deleted: thread {found.thread_id}.")
    return Exit.DONE


def _other(kept: LogBranches, log: EventLog, settings: Settings, thread: str, name: str) -> str:
    """The thread that is meant: a branch of ``thread`` by its name, else any by its id or its start."""
    try:
        return drive(flows.find(kept, thread, name)).thread_id
    except UnknownBranchError as unknown:
        try:
            return find_graph_thread(log, name, settings.shown_db)
        except UnknownRunError:
            raise unknown from None


def _loaded(name: str, log: EventLog) -> Any:
    """The graph that ``MODULE:GRAPH`` names, on this log.

    Raises:
        UsageError: There is none of that name.
    """
    from dashflow.cli.graphs import load_graph  # only merging through reducers needs the program

    return load_graph(name).with_checkpointer(LogSaver(log))
