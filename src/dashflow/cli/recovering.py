"""What ``worker``, ``deadletters`` and ``requeue`` do: hand over to a worker, and tell what it came upon."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from dashflow._util.drive import drive
from dashflow.checkpoint.saver import LogSaver
from dashflow.cli.exits import Exit
from dashflow.cli.graphs import load_graph
from dashflow.cli.interrupts import Interrupts
from dashflow.cli.logfile import THREADS, find_stream, opened
from dashflow.cli.options import Settings
from dashflow.cli.output import Output
from dashflow.cli.views import SCHEMA, DeadLetterList, DeadLetterRow, WorkView, command_line, timestamp
from dashflow.engine.recovery import Recovery
from dashflow.hosts.sync import SyncHost
from dashflow.log.base import EventLog
from dashflow.worker import Report, Worker


def work(
    settings: Settings,
    graphs: Sequence[str],
    *,
    concurrency: int,
    every: float,
    max_attempts: int,
    once: bool,
) -> int:
    """Take runs over until a signal comes, or with ``once`` until there is nothing left; the exit code."""
    loaded = [load_graph(name) for name in graphs]
    output, lock = Output(settings), threading.Lock()

    def tell(report: Report) -> None:
        with lock:
            output.show(_view(report), "line")

    with Interrupts() as interrupts, opened(settings, create=True) as log:
        worker = Worker(
            loaded,
            log,
            concurrency=concurrency,
            every=every,
            max_attempts=max_attempts,
            plans=True,
            tell=tell,
        )
        interrupts.stop = worker.ask_to_stop
        output.say(f"Working on {log.where}: {', '.join([*worker.graphs, 'plans'])}.")
        worker.run(once=once)
        interrupts.stop = None
    return Exit.DONE


def list_dead_letters(settings: Settings) -> int:
    """Show the runs that are not tried any more."""
    with opened(settings) as log:
        letters = drive(_recovery(log).dead_letters())
    rows = tuple(
        DeadLetterRow(one.thread, one.run, one.graph, one.attempts, one.reason, timestamp(one.at))
        for one in letters
    )
    line = command_line(settings, "requeue", rows[0].thread) if rows else ""
    Output(settings).show(DeadLetterList(SCHEMA, settings.db, rows, line))
    return Exit.DONE


def requeue(settings: Settings, name: str) -> int:
    """Give a dead letter new attempts."""
    with opened(settings) as log:
        thread = find_stream(log, name, settings.db, THREADS)
        drive(_recovery(log).requeue(thread))
    Output(settings).say(f"{thread} is tried again by the next worker that has its graph.")
    return Exit.DONE


def _recovery(log: EventLog) -> Recovery:
    return Recovery(SyncHost(), LogSaver(log).reader)


def _view(report: Report) -> WorkView:
    return WorkView(
        report.what, report.kind, report.name, report.run, report.graph, report.attempt, report.text
    )
