"""What the ``batch`` commands do: hand over to ``dashflow.batch``, then tell how it went."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

import msgspec

from dashflow._util.drive import drive, iterate
from dashflow.batch import Batch, Progress, Work
from dashflow.batch.batch import Origin, work_of
from dashflow.batch.control import BatchControl
from dashflow.batch.core import codec
from dashflow.batch.core.state import BatchState
from dashflow.checkpoint.saver import LogSaver
from dashflow.cli.batch_views import BatchList, FailureRow, ResultRow, batch_view, exit_of_batch
from dashflow.cli.exits import Exit
from dashflow.cli.graphs import load_graph
from dashflow.cli.interrupts import Interrupts
from dashflow.cli.logfile import newest_first, opened
from dashflow.cli.options import Settings
from dashflow.cli.output import Output
from dashflow.cli.threads import value_data
from dashflow.cli.views import SCHEMA, command_line
from dashflow.errors import UnknownBatchError, UsageError
from dashflow.hosts.sync import SyncHost
from dashflow.log.base import EventLog
from dashflow.log.codec import Registry
from dashflow.planner.runs import PlanRuns

PLAN = "plan"
"""What stands for the planner where a graph is named."""

_JSON = (".jsonl", ".ndjson")
_DRAWN = 0.1
"""Seconds between two drawings of the progress line."""


class Wanted(msgspec.Struct, frozen=True):
    """What ``batch run`` was asked for; fields as its options."""

    target: str
    source: str
    name: str
    key: str
    priority: str
    concurrency: int
    rate: str | None
    timeout: float | None
    attempts: int
    on_error: str
    threshold: str | None


def start(settings: Settings, wanted: Wanted) -> int:
    """Start a batch, or go on with it; the exit code."""
    output = Output(settings)
    items = lines_of(wanted.source)
    origin = Origin(wanted.target, os.path.abspath(wanted.source), wanted.key, wanted.priority)
    with Interrupts() as interrupts, opened(settings, create=True) as log:
        batch = Batch(
            work_on(wanted.target, log),
            items,
            name=wanted.name,
            log=log,
            key=_field(wanted.key, required=True),
            priority=_field(wanted.priority, default=0),
            concurrency=wanted.concurrency,
            rate=wanted.rate,
            timeout=wanted.timeout,
            retry=wanted.attempts,
            on_error=wanted.on_error,
            failure_threshold=threshold_of(wanted.threshold),
            origin=origin,
        )
        resume_line = command_line(settings, "batch", "resume", wanted.name)
        output.say(f"Batch {wanted.name}. If it is stopped: {resume_line}")
        return _work(batch, output, settings, interrupts)


def resume(settings: Settings, name: str, target: str | None, source: str | None) -> int:
    """Go on with a batch; the exit code."""
    output = Output(settings)
    with Interrupts() as interrupts, opened(settings) as log:
        return _work(_recorded(log, name, target, source), output, settings, interrupts)


def retry(settings: Settings, name: str, keys: tuple[str, ...], *, go_on: bool) -> int:
    """Requeue what failed, and go on if that is wanted; the exit code."""
    output = Output(settings)
    with Interrupts() as interrupts, opened(settings) as log:
        count = drive(_control(log, name).requeue(keys or None))
        output.say(f"{count} item{'s' * (count != 1)} of batch {name} requeued.")
        if go_on:
            return _work(_recorded(log, name, None, None), output, settings, interrupts)
        _show(log, name, output, settings)
    return Exit.DONE


def pause(settings: Settings, name: str, reason: str) -> int:
    """Let no further item begin."""
    return _steer(settings, name, lambda control: drive(control.pause(reason)))


def cancel(settings: Settings, name: str, reason: str) -> int:
    """End a batch for good."""
    return _steer(settings, name, lambda control: drive(control.cancel(reason)))


def show_one(settings: Settings, name: str) -> int:
    """Show how a batch stands."""
    return _steer(settings, name, lambda control: None)


def list_all(settings: Settings) -> int:
    """Show every batch of the log, the one started last in front."""
    with opened(settings) as log:
        infos = newest_first(log.streams(category=codec.CATEGORY))
        found = [(codec.name_of(info.stream), info.owner) for info in infos]
        views = [
            batch_view(drive(_control(log, name).state()), settings, log.where, owner)
            for name, owner in found
        ]
    Output(settings).show(BatchList(SCHEMA, settings.db, tuple(views)))
    return Exit.DONE


def print_results(settings: Settings, name: str, form: str, *, failed: bool) -> int:
    """Print results, or dead letters, as they are read from the log."""
    output = Output(settings)
    with Interrupts(), opened(settings) as log:
        rows = _failures(log, name) if failed else _results(log, name)
        first = next(rows, None)  # a batch that is not there is said before anything is printed
        found = chain(() if first is None else (first,), rows)
        if form == "jsonl":
            texts: Iterator[str] = (_line(row) + "\n" for row in found)
        else:
            texts = chain(("[",), _with_commas(found), ("\n]\n",))
        for text in texts:
            output.out.write(text)
            if output.out.gone:
                break  # nobody reads on: `| head` has what it wanted
    return Exit.DONE


def lines_of(path: str) -> Iterator[Any]:
    """The items of a file, read as they are asked for.

    Raises:
        UsageError: The file cannot be read; while it is read, a line is no JSON.
    """
    try:
        file = open(path, encoding="utf-8")  # noqa: SIM115  # closed when it is read to its end
    except OSError as error:
        raise UsageError(f"The items in {path!r} cannot be read: {error.strerror}.") from error

    def read() -> Iterator[Any]:
        with file:
            for number, line in enumerate(file, 1):
                if not line.strip():
                    continue
                if not path.endswith(_JSON):
                    yield line.rstrip("\r\n")
                    continue
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise UsageError(f"Line {number} of {path!r} is no JSON: {error}.") from error

    return read()


def threshold_of(text: str | None) -> int | float | None:
    """A threshold as a number of items or a share.

    Raises:
        UsageError: It is neither.
    """
    if text is None:
        return None
    try:
        if text.endswith("%"):
            return float(text[:-1]) / 100
        return float(text) if "." in text else int(text)
    except ValueError:
        raise UsageError(f"{text!r} is no threshold. Write 20, 0.1 or 10%.") from None


def work_on(target: str, log: EventLog) -> Work:
    """What runs the items: the planner, or a graph, which gets a checkpointer on the log if it has none.

    Raises:
        UsageError: There is no such graph.
    """
    if target == PLAN:
        return work_of(PlanRuns(log))
    graph = load_graph(target)
    if graph.checkpointer is None:
        graph = graph.copy({"checkpointer": LogSaver(log)})
    return work_of(graph)


def _recorded(log: EventLog, name: str, target: str | None, source: str | None) -> Batch:
    """A batch of the log with its graph and, as far as it was not read to its end, its items.

    Raises:
        UnknownBatchError: There is none of that name.
        UsageError: Nobody recorded where its graph or items are, or they are there no more.
    """
    state = drive(_control(log, name).state())
    target = target or state.target
    source = source or ("" if state.ended else state.source)
    if not target:
        raise UsageError(
            f"Batch {name!r} was started by a program; name its graph with --target MODULE:GRAPH."
        )
    if not source and not state.ended:
        raise UsageError(f"Batch {name!r} was started by a program; name its items with --input FILE.")
    return Batch.resume(
        log,
        name,
        work_on(target, log),
        items=lines_of(source) if source else None,
        key=_field(state.key, required=True),
        priority=_field(state.priority, default=0),
    )


def _field(name: str, *, required: bool = False, default: Any = None) -> Callable[[Any], Any] | None:
    """What takes a field out of an item; None where none is named."""
    if not name:
        return None

    def field(item: Any) -> Any:
        if not isinstance(item, dict) or (required and name not in item):
            raise UsageError(f"The item {str(item)[:80]!r} has no field {name!r}.")
        return item.get(name, default)

    return field


def _work(batch: Batch, output: Output, settings: Settings, interrupts: Interrupts) -> int:
    """Work on a batch while somebody looks on; the exit code."""
    interrupts.stop = batch.leave
    line = _Line(output)
    try:
        for part in batch.stream(items=False):
            if isinstance(part, Progress):
                line.draw(part)
    finally:
        interrupts.stop = None
        line.end()
    code = exit_of_batch(drive(_control(batch.log, batch.name).state()))
    if code is Exit.INTERRUPTED:
        output.say(
            f"Left; nothing is lost. Go on with: {command_line(settings, 'batch', 'resume', batch.name)}"
        )
    _show(batch.log, batch.name, output, settings, int(code))
    return code


class _Line:
    """A line on standard error that tells how far a batch is, where lines can be drawn again."""

    def __init__(self, output: Output) -> None:
        self._err = output.err
        self._next = 0.0
        self._drawn = False

    def draw(self, progress: Progress) -> None:
        """Show how far it is."""
        now = time.monotonic()
        if not self._err.animated or now < self._next:
            return
        self._next = now + _DRAWN
        self._drawn = True
        total = f"{progress.accepted}{'' if progress.ended else '+'}"
        self._err.write(f"\r\x1b[K{progress.completed} of {total} completed, {progress.failed} failed")

    def end(self) -> None:
        """Take the line away."""
        if self._drawn:
            self._err.write("\r\x1b[K")


def _steer(settings: Settings, name: str, act: Callable[[BatchControl], None]) -> int:
    output = Output(settings)
    with opened(settings) as log:
        act(_control(log, name))
        _show(log, name, output, settings)
    return Exit.DONE


def _show(log: EventLog, name: str, output: Output, settings: Settings, code: int | None = None) -> None:
    control = _control(log, name)
    state: BatchState = drive(control.state())
    owner = drive(control.owner())
    output.show(batch_view(state, settings, log.where, owner, msgspec.UNSET if code is None else code))


def _control(log: EventLog, name: str) -> BatchControl:
    if not name:
        raise UnknownBatchError(name, log.where)
    return BatchControl(SyncHost(), log, name, Registry(), "opaque")


def _results(log: EventLog, name: str) -> Iterator[ResultRow]:
    for one in iterate(_control(log, name).results()):
        yield ResultRow(one.index, one.key, one.attempts, value_data(one.value))


def _failures(log: EventLog, name: str) -> Iterator[FailureRow]:
    for one in iterate(_control(log, name).failures()):
        yield FailureRow(one.index, one.key, one.attempts, one.kind, one.message, value_data(one.value))


def _line(row: Any) -> str:
    return json.dumps(msgspec.to_builtins(row), ensure_ascii=True)


def _with_commas(rows: Iterator[Any]) -> Iterator[str]:
    for number, row in enumerate(rows):
        yield ("," if number else "") + "\n" + _line(row)
