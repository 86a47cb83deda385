"""What ``runs``, ``show``, ``events`` and ``state`` do: read the log and tell. They change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from dashflow.cli.exits import Exit
from dashflow.cli.interrupts import Interrupts
from dashflow.cli.logfile import PLANS, THREADS, find_run, find_thread, opened
from dashflow.cli.options import Settings
from dashflow.cli.output import Output
from dashflow.cli.views import (
    SCHEMA,
    EventView,
    RunList,
    RunRow,
    StateView,
    plain_data,
    run_view,
    shown_status,
    timestamp,
)
from dashflow.errors import UsageError
from dashflow.log.base import EventLog, Record
from dashflow.planner.core.codec import decode, stream_of
from dashflow.planner.core.events import PlanCancelled, PlanFailed, PlanningCompleted
from dashflow.planner.core.fold import fold_all
from dashflow.planner.core.state import PlannerState

_ENDS = frozenset({kind.__name__ for kind in (PlanCancelled, PlanFailed, PlanningCompleted)})


def list_runs(settings: Settings) -> int:
    """Show every run of the log, the one accepted last in front."""
    from dashflow.planner.runs import PlanRuns  # brings along all that running needs; only this one lists

    with opened(settings) as log:
        summaries = sorted(
            PlanRuns(log, executors=()).list(), key=lambda one: (one.created_at, one.run), reverse=True
        )
    rows = tuple(
        RunRow(
            run=one.run,
            status=shown_status(one.status, one.owner),
            goal=one.goal,
            tasks_done=one.tasks_done,
            tasks_total=one.tasks_total,
            created_at=timestamp(one.created_at),
            updated_at=timestamp(one.updated_at),
            owner=one.owner,
        )
        for one in summaries
    )
    Output(settings).show(RunList(SCHEMA, settings.shown_db, rows))
    return Exit.DONE


def show_run(settings: Settings, name: str) -> int:
    """Show a run's plan as a tree."""
    with opened(settings) as log:
        stream = stream_of(find_run(log, name, settings.shown_db))
        state = _folded(log, stream)
        view = run_view(state, settings, log.where, owner=_owner(log, stream))
    Output(settings).show(view, "tree")
    return Exit.DONE


def print_events(settings: Settings, name: str, *, follow: bool) -> int:
    """Print the events of a run or graph thread; with ``follow``, on and on until a run is at its end."""
    output = Output(settings)
    with Interrupts(), opened(settings) as log:
        thread, is_plan = find_thread(log, name, settings.shown_db)
        stream = stream_of(thread) if is_plan else f"{THREADS}-{thread}"
        for record in _followed(log, stream) if follow else log.read(stream):
            if not output.show(_event_view(record), "line"):
                break  # nobody reads on: `| head` has what it wanted
    return Exit.DONE


def show_state(settings: Settings, name: str, version: int | None) -> int:
    """Show the folded state of a plan or a graph thread.

    Raises:
        UsageError: the thread has no such version yet.
    """
    with opened(settings) as log:
        thread, is_plan = find_thread(log, name, settings.shown_db)
        last = log.version(stream_of(thread) if is_plan else f"{THREADS}-{thread}")
        if version is not None and version > last:
            raise UsageError(f"{thread!r} has {last} events so far; --at takes 0 to {last}.")
        at = last if version is None else version
        plain = _plan_state(log, thread, at) if is_plan else _graph_state(log, thread, at)
    Output(settings).show(StateView(SCHEMA, thread, "plan" if is_plan else "graph", at, plain))
    return Exit.DONE


def _plan_state(log: EventLog, run: str, version: int) -> Any:
    return plain_data(_folded(log, stream_of(run), version) if version else PlannerState())


def _folded(log: EventLog, stream: str, version: int | None = None) -> PlannerState:
    return fold_all(decode(record) for record in log.read(stream, upto=version))


def _graph_state(log: EventLog, thread: str, version: int) -> Any:
    from dashflow.cli.threads import state_data  # only graphs need what this imports

    return state_data(log, thread, version)


def _followed(log: EventLog, stream: str) -> Iterator[Record]:
    """Records of a stream as they come, up to the one that ends the run."""
    with closing(log.subscribe(stream=stream)) as subscription:
        while records := subscription.poll():
            for record in records:
                yield record
                if record.type in _ENDS:
                    return


def _event_view(record: Record) -> EventView:
    return EventView(
        position=record.position,
        stream=record.stream,
        version=record.version,
        type=record.type,
        schema=record.schema,
        at=timestamp(record.at),
        event_id=record.event_id.hex(),
        correlation_id=record.correlation_id,
        causation_id=record.causation_id.hex(),
        epoch=record.epoch,
        fingerprint=record.fingerprint,
        data=_event(record),
    )


def _event(record: Record) -> Any:
    """What a record says, as plain data."""
    if record.category == PLANS:
        return plain_data(decode(record))
    from dashflow.cli.threads import event_data  # only graphs need what this imports

    return event_data(record)


def _owner(log: EventLog, stream: str) -> str:
    """Who alive runs this stream; empty for nobody."""
    return next((info.owner for info in log.streams(category=PLANS) if info.stream == stream), "")
