"""Graph threads as the command line shows them: any program's thread, without that program's classes."""

from __future__ import annotations

from typing import Any

from dashflow.checkpoint.events import from_record
from dashflow.checkpoint.overview import ThreadOverview, ThreadProgress
from dashflow.checkpoint.view import read_state
from dashflow.cli.views import plain_data
from dashflow.log.base import EventLog, Record
from dashflow.log.codec import Opaque, Registry
from dashflow.log.projections import Projector


def state_data(log: EventLog, thread: str, version: int) -> Any:
    """A thread's folded state after ``version`` events, as plain data."""
    return plain_data(read_state(log, thread, version), _shown)


def thread_progress(log: EventLog) -> dict[str, ThreadProgress]:
    """How far every thread is, by thread."""
    return Projector(log, ThreadOverview()).current()


def event_data(record: Record) -> Any:
    """What a record of a thread says, as plain data."""
    return plain_data(from_record(record, Registry(), unknown="opaque"), _shown)


def _shown(value: Any) -> Any:
    """An object of a class that is not known here by its fields, any other as Python writes it."""
    return {"class": value.type_name, "fields": value.fields} if isinstance(value, Opaque) else repr(value)
