"""What ``import``, ``log`` and ``backup`` do: events and threads between logs, files and other databases."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from dashflow.checkpoint.events import from_record
from dashflow.checkpoint.sealed import is_sealed
from dashflow.checkpoint.thread import CATEGORY, SUB_CATEGORY, thread_of
from dashflow.cli.exits import Exit
from dashflow.cli.logfile import PLANS, opened
from dashflow.cli.moving_views import (
    BroughtView,
    ExportView,
    ImportView,
    VerifyView,
)
from dashflow.cli.options import Settings
from dashflow.cli.output import Output
from dashflow.cli.streams import flush
from dashflow.cli.views import SCHEMA, timestamp
from dashflow.errors import ImportStoppedError, UsageError
from dashflow.log.base import EventLog, Record
from dashflow.log.codec import Registry, decode
from dashflow.log.codec.blobs import KEY_BYTES, Load, keys_in
from dashflow.log.portable import (
    Brought,
    Examined,
    ExportFile,
    Until,
    Written,
    backup,
    bring,
    examine,
    restore,
    verify,
    write_events,
    write_file,
)

_NO_CLASSES = Registry()


def import_threads(
    settings: Settings, source: str, threads: Sequence[str], store: str | None, *, dry_run: bool
) -> int:
    """Bring LangGraph's threads over, and tell what came and what did not."""
    from dashflow.checkpoint.foreign import ImportReport, import_langgraph  # only this command needs them
    from dashflow.checkpoint.saver import LogSaver

    output = Output(settings)

    def tell(report: ImportReport, code: Exit) -> None:
        output.show(ImportView(SCHEMA, settings.db, report, code))

    with opened(settings, create=not dry_run) as log:
        try:
            report = import_langgraph(source, LogSaver(log), threads=threads, store=store, dry_run=dry_run)
        except ImportStoppedError as error:
            tell(error.report, Exit.LOG)
            raise
    lost = any(one.code not in ("not_asked", "orphan") for one in report.skipped)
    tell(report, Exit.FAILED if lost else Exit.DONE)
    return Exit.FAILED if lost else Exit.DONE


def export_events(
    settings: Settings,
    streams: Sequence[str],
    threads: Sequence[str],
    category: str | None,
    path: str | None,
) -> int:
    """Write events to a file, or to standard output."""
    with opened(settings) as log:
        _check_there(settings)
        wanted = _wanted(log, streams, threads, category)
        if path is not None:
            written = write_file(
                log, path, streams=wanted, category=category, shown=lambda record: _shown(log, record)
            )
            Output(settings).show(_export_view(settings, path, written))
        else:
            _to_standard_output(log, wanted, category)
    return Exit.DONE


def _to_standard_output(log: EventLog, streams: Sequence[str] | None, category: str | None) -> None:
    try:
        write_events(
            log,
            sys.stdout.buffer,
            streams=streams,
            category=category,
            shown=lambda record: _shown(log, record),
        )
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        flush([sys.stdout])  # nobody reads on: `| head` has what it wanted


def _check_there(settings: Settings) -> None:
    """An export or backup of a log that is not there would be an empty one, and that nobody wants.

    Raises:
        UsageError: There is no log.
    """
    if "://" not in settings.db and not os.path.lexists(os.path.expanduser(settings.db)):
        raise UsageError(f"There is no log at {settings.db!r}. Name another with --db.", where=settings.db)


def _wanted(
    log: EventLog, streams: Sequence[str], threads: Sequence[str], category: str | None
) -> list[str] | None:
    """The streams that are meant; None: all of the category, or all.

    Raises:
        UsageError: One is not there, or they are named in two ways.
    """
    if not streams and not threads:
        return None
    if category is not None:
        raise UsageError("--category goes with neither --stream nor --thread.")
    infos = log.streams()
    missing = set(streams) - {info.stream for info in infos}
    found = set(streams)
    for thread in threads:
        of_thread = {info.stream for info in infos if _belongs(info.stream, info.category, thread)}
        if not of_thread:
            missing.add(thread)
        found |= of_thread
    if missing:
        raise UsageError(f"The log has no stream or thread {sorted(missing)[0]!r}.")
    return sorted(found)


def _belongs(stream: str, category: str, thread: str) -> bool:
    if category in (CATEGORY, SUB_CATEGORY):
        return thread_of(stream)[0] == thread
    return stream == f"{PLANS}-{thread}"


def bring_events(settings: Settings, path: str) -> int:
    """Bring the events of a file into the log."""
    with opened(settings, create=True) as log:
        brought = bring(ExportFile(path), log)
    Output(settings).show(_brought_view(settings, path, brought))
    return Exit.DONE


def create_backup(settings: Settings, path: str) -> int:
    """Back the log up."""
    with opened(settings) as log:
        _check_there(settings)
        written = backup(log, path)
    Output(settings).show(_export_view(settings, path, written))
    return Exit.DONE


def restore_backup(settings: Settings, path: str, until: str | None) -> int:
    """Make a new log out of a backup."""
    brought = restore(path, settings.db, until=None if until is None else _until(until))
    Output(settings).show(_brought_view(settings, path, brought))
    return Exit.DONE


def _until(text: str) -> Until:
    """A position or a time.

    Raises:
        UsageError: It is neither.
    """
    if re.fullmatch(r"[0-9]+", text):
        return Until(position=int(text))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is neither a position nor a time, such as 1200 or 2026-05-04T10:30:00Z."
        ) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    seconds = int(moment.replace(microsecond=0).timestamp())
    return Until(at=seconds * 1_000_000_000 + moment.microsecond * 1000)


def verify_events(settings: Settings, path: str | None) -> int:
    """Check a backup or the log."""
    if path is not None:
        examined = examine(ExportFile(path), check=_checking(None))
    else:
        with opened(settings) as log:
            _check_there(settings)
            examined = verify(log, check=_checking(log.blob))
    code = Exit.LOG if examined.found else Exit.DONE
    Output(settings).show(_verify_view(path or settings.db, examined, code))
    return code


def _checking(load: Load | None) -> Callable[[Record], None]:
    """What tells whether an event says something that this program understands; raises LogError if not.

    Args:
        load: Where large values are; None: in lines of their own of the same file, which are checked there.
    """
    return lambda record: _check(record, load)


def _check(record: Record, load: Load | None) -> None:
    if is_sealed(record):
        return
    if record.category in (CATEGORY, SUB_CATEGORY):
        if load is None and len(record.data) > KEY_BYTES and keys_in(record.data):
            return
        from_record(record, _NO_CLASSES, unknown="opaque", load=load)
    elif record.category == PLANS:
        from dashflow.planner.core.codec import decode as decode_plan

        decode_plan(record)
    else:
        decode(record.data, _NO_CLASSES, unknown="opaque", load=load)


def _shown(log: EventLog, record: Record) -> Any:
    """What an event says, for people; None where that cannot be told."""
    from dashflow.cli.threads import event_data

    told = record.category in (CATEGORY, SUB_CATEGORY) and not is_sealed(record)
    return event_data(log, record) if told else None


def _export_view(settings: Settings, path: str, written: Written) -> ExportView:
    return ExportView(
        SCHEMA,
        settings.db,
        path,
        streams=written.streams,
        events=written.events,
        upto=written.upto,
        at=timestamp(written.at) if written.at else None,
        bytes=os.path.getsize(path),
    )


def _brought_view(settings: Settings, path: str, brought: Brought) -> BroughtView:
    return BroughtView(
        SCHEMA,
        settings.db,
        path,
        streams=brought.streams,
        events=brought.events,
        present=brought.present,
        left_out=brought.left_out,
        upto=brought.upto,
        at=timestamp(brought.at) if brought.at else None,
    )


def _verify_view(where: str, examined: Examined, code: Exit) -> VerifyView:
    return VerifyView(
        SCHEMA,
        where,
        sound=not examined.found,
        streams=len(examined.streams),
        events=examined.events,
        upto=examined.upto,
        from_time=timestamp(examined.first_at) if examined.first_at else None,
        to_time=timestamp(examined.last_at) if examined.last_at else None,
        findings=tuple(examined.findings),
        found=examined.found,
        exit_code=code,
    )
