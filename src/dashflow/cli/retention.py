"""What ``prune`` and ``delete`` do: shorten and delete graphs' threads."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from dashflow.checkpoint.retention import Bounds, delete_thread, forgotten_by, keep_checkpoints
from dashflow.checkpoint.thread import ThreadReader, stream_of
from dashflow.cli.exits import Exit
from dashflow.cli.logfile import find_thread, opened
from dashflow.cli.options import Settings
from dashflow.cli.output import Output
from dashflow.cli.views import SCHEMA, Retained, RetainedThread
from dashflow.errors import OwnershipConflictError, UnknownRunError, UsageError
from dashflow.log.base import EventLog
from dashflow.log.codec import Registry


def prune_threads(
    settings: Settings, names: Sequence[str], keep: int | None, age: float | None, *, dry_run: bool
) -> int:
    """Forget old checkpoints.

    Raises:
        UsageError: A name is no graph's thread.
    """
    bounds = Bounds(keep, age)
    with opened(settings) as log:
        # Values of any program's classes are passed on as they are.
        reader = ThreadReader(log, Registry(), unknown="opaque")
        threads = [_thread(log, name, settings) for name in names] or reader.threads()
        rows = tuple(_pruned(reader, thread, bounds, dry_run) for thread in threads)
    Output(settings).show(Retained(SCHEMA, "would be dropped" if dry_run else "dropped", rows))
    return Exit.OWNED if any(row.running for row in rows) else Exit.DONE


def _pruned(reader: ThreadReader, thread: str, bounds: Bounds, dry_run: bool) -> RetainedThread:
    dropped = 0
    for ns in reader.namespaces(thread):
        stream = stream_of(thread, ns)
        if not reader.log.version(stream):
            continue
        try:
            act = forgotten_by if dry_run else keep_checkpoints
            dropped += act(reader, stream, bounds)
        except OwnershipConflictError:
            return RetainedThread(thread, dropped, True)
    return RetainedThread(thread, dropped, False)


def delete_threads(settings: Settings, names: Sequence[str], *, sure: bool) -> int:
    """Delete threads for good.

    Raises:
        UsageError: A name is no graph's thread, or nobody can be asked.
    """
    with opened(settings) as log:
        reader = ThreadReader(log, Registry(), unknown="opaque")
        threads = reader.threads()
        for name in names:
            if name not in threads:
                raise UnknownRunError(name, settings.db)
        if not sure and not _confirmed(names):
            return Exit.DONE
        for name in names:
            delete_thread(reader, name)
    rows = tuple(RetainedThread(name, 0, False) for name in names)
    Output(settings).show(Retained(SCHEMA, "deleted", rows))
    return Exit.DONE


def _confirmed(names: Sequence[str]) -> bool:
    if not sys.stdin.isatty():
        raise UsageError("Nobody is there to ask; give --yes to delete for good.")
    import click

    return click.confirm(f"Delete {', '.join(names)} for good?", err=True)


def _thread(log: EventLog, name: str, settings: Settings) -> str:
    thread, is_plan = find_thread(log, name, settings.db)
    if is_plan:
        raise UsageError(f"{thread!r} is the run of a plan; its history is kept whole.")
    return thread
