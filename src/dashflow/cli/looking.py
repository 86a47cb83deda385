"""What ``runs``, ``show``, ``events`` and ``state`` do: read the log and tell. They change nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any, NamedTuple

from msgspec import structs

from dashflow.cli.exits import Exit
from dashflow.cli.interrupts import Interrupts
from dashflow.cli.logfile import PARTS, PLANS, THREADS, find_run, find_thread, opened
from dashflow.cli.options import Settings
from dashflow.cli.output import Output
from dashflow.cli.views import (
    SCHEMA,
    STOPPED,
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
from dashflow.hitl.core import codec as approvals
from dashflow.log.base import EventLog, Record
from dashflow.log.groups import codec as groups
from dashflow.log.owner import owner_of
from dashflow.planner.core.codec import decode, state_data, stream_of
from dashflow.planner.core.events import PlanCancelled, PlanFailed, PlanningCompleted
from dashflow.planner.core.fold import fold_all
from dashflow.planner.core.state import PlannerState

_ENDS = frozenset({kind.__name__ for kind in (PlanCancelled, PlanFailed, PlanningCompleted)})


def list_runs(settings: Settings) -> int:
    """Show every plan and graph thread of the log, the one begun last in front."""
    with opened(settings) as log:
        rows = [*_plan_rows(log), *_thread_rows(log)]
    rows.sort(key=lambda row: (row.created_at, row.run), reverse=True)
    Output(settings).show(RunList(SCHEMA, settings.shown_db, tuple(rows)))
    return Exit.DONE


def _plan_rows(log: EventLog) -> list[RunRow]:
    from dashflow.planner.runs import PlanRuns  # brings along all that running needs; only this one lists

    return [
        RunRow(
            run=one.run,
            status=shown_status(one.status, one.owner),
            goal=one.goal,
            tasks_done=one.tasks_done,
            tasks_total=one.tasks_total,
            created_at=timestamp(one.created_at),
            updated_at=timestamp(one.updated_at),
            owner=one.owner,
            tasks_failed=one.tasks_failed,
            tasks_waiting=one.tasks_waiting,
        )
        for one in PlanRuns(log, executors=()).list()
    ]


def _thread_rows(log: EventLog) -> list[RunRow]:
    owners = {info.stream: info.owner for info in log.streams(category=THREADS)}
    if not owners:
        return []
    from dashflow.cli.threads import thread_progress  # only graphs need what this imports

    rows = []
    for one in thread_progress(log).values():
        owner = owners.get(f"{THREADS}-{one.thread}", "")
        # As for a plan: what could go on, and what nobody runs, is stopped.
        stopped = one.status == "paused" or (one.status == "running" and not owner)
        rows.append(
            RunRow(
                run=one.thread,
                status=STOPPED if stopped else one.status,
                goal="",
                tasks_done=one.tasks_done,
                tasks_total=one.tasks_done + one.tasks_failed + one.tasks_waiting,
                created_at=timestamp(one.created_at),
                updated_at=timestamp(one.updated_at),
                owner=owner,
                kind="graph",
                steps=one.steps,
                tasks_failed=one.tasks_failed,
                tasks_waiting=one.tasks_waiting,
                error=one.error,
            )
        )
    return rows


def show_run(settings: Settings, name: str) -> int:
    """Show a run's plan as a tree."""
    with opened(settings) as log:
        stream = stream_of(find_run(log, name, settings.shown_db))
        state = _folded(log, stream)
        view = run_view(state, settings, log.where, owner=owner_of(log, stream))
    Output(settings).show(view, "tree")
    return Exit.DONE


class Wanted(NamedTuple):
    """Which events to print: of a category, of some types, with a correlation id, behind a position."""

    category: str | None = None
    types: tuple[str, ...] = ()
    correlation: str = ""
    after: int = 0

    def fits(self, record: Record) -> bool:
        """Whether a record of the right stream is one of them."""
        return (
            record.position > self.after
            and (not self.types or record.type in self.types)
            and self.correlation in ("", record.correlation_id)
        )


def print_events(settings: Settings, name: str | None, wanted: Wanted, *, follow: bool) -> int:
    """Print the events of a run or graph thread, or of the whole log.

    With ``follow`` on and on: until a run is at its end, or until interrupted.

    Raises:
        UsageError: a category beside a run; or there is no log that could be followed.
    """
    if name is not None and wanted.category is not None:
        raise UsageError("A run has one stream; leave --category out, or the run.")
    output = Output(settings)
    with Interrupts(), opened(settings) as log:
        if name is None:
            if follow and log.where == "memory://":
                raise UsageError(f"There is no log at {settings.shown_db!r} that could be followed.")
            records = _of_all(log, wanted, follow=follow)
        else:
            thread, is_plan = find_thread(log, name, settings.shown_db)
            stream = stream_of(thread) if is_plan else f"{THREADS}-{thread}"
            own = _followed(log, stream) if follow else iter(log.read(stream))
            records = filter(wanted.fits, own if is_plan else _whole(log, stream, own))
        for record in records:
            if not output.show(_event_view(log, record), "line" if name is not None else "log"):
                break  # nobody reads on: `| head` has what it wanted
    return Exit.DONE


def _of_all(log: EventLog, wanted: Wanted, *, follow: bool) -> Iterator[Record]:
    """Records of the whole log as they are, or as they come."""
    category, types, correlation, after = wanted
    if not follow:
        while page := log.read_all(after=after, category=category, types=types, correlation=correlation):
            yield from page
            after = page[-1].position
        return
    with closing(
        log.subscribe(after=after, category=category, types=types, correlation=correlation)
    ) as subscription:
        while page := subscription.poll():
            yield from page


def show_state(settings: Settings, name: str, version: int | None) -> int:
    """Show the folded state of a plan or a graph thread.

    Raises:
        UsageError: the thread has no such version yet.
    """
    with opened(settings) as log:
        thread, is_plan = find_thread(log, name, settings.shown_db)
        last = log.version(stream_of(thread)) if is_plan else _last(log, thread)
        if version is not None and version > last:
            raise UsageError(f"{thread!r} has {last} events so far; --at takes 0 to {last}.")
        at = last if version is None else version
        plain = _plan_state(log, thread, at) if is_plan else _graph_state(log, thread, at)
    Output(settings).show(StateView(SCHEMA, thread, "plan" if is_plan else "graph", at, plain))
    return Exit.DONE


def _plan_state(log: EventLog, run: str, version: int) -> Any:
    return plain_data(state_data(_folded(log, stream_of(run), version) if version else PlannerState()))


def _folded(log: EventLog, stream: str, version: int | None = None) -> PlannerState:
    return fold_all(decode(record) for record in log.read(stream, upto=version))


def _graph_state(log: EventLog, thread: str, version: int) -> Any:
    from dashflow.cli.threads import state_data  # only graphs need what this imports

    return state_data(log, thread, version)


def _whole(log: EventLog, stream: str, own: Iterator[Record]) -> Iterator[Record]:
    """The records of a graph's thread; of a branch, after those that it began with."""
    from dashflow.cli.threads import whole  # as above

    return whole(log, stream, own)


def _last(log: EventLog, thread: str) -> int:
    from dashflow.cli.threads import last_version  # as above

    return last_version(log, thread)


def _followed(log: EventLog, stream: str) -> Iterator[Record]:
    """Records of a stream as they come, up to the one that ends the run."""
    with closing(log.subscribe(stream=stream)) as subscription:
        while records := subscription.poll():
            for record in records:
                yield record
                if record.type in _ENDS:
                    return


def _event_view(log: EventLog, record: Record) -> EventView:
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
        data=_event(log, record),
    )


def _event(log: EventLog, record: Record) -> Any:
    """What a record says, as plain data."""
    if record.category == PLANS:
        return plain_data(decode(record))
    if record.category == groups.CATEGORY:
        return plain_data(structs.asdict(groups.decode(record)))
    if record.category == approvals.CATEGORY:
        return plain_data(approvals.decode(record))
    if record.category not in (THREADS, PARTS):
        return {"size": len(record.data)}  # another program's: only that one knows what it says
    from dashflow.cli.threads import event_data  # only graphs need what this imports

    return event_data(log, record)
