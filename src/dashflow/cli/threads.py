"""Graph threads as the command line shows them: any program's thread, without that program's classes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec.structs import replace

from dashflow.checkpoint.events import from_record
from dashflow.checkpoint.lines import Lines, stream_of
from dashflow.checkpoint.view import read_state
from dashflow.cli.views import plain_data
from dashflow.log.base import EventLog, Record
from dashflow.log.codec import Opaque, Registry


def state_data(log: EventLog, thread: str, version: int) -> Any:
    """A thread's folded state after ``version`` events, as plain data."""
    return plain_data(read_state(log, thread, version), shown)


def last_version(log: EventLog, thread: str) -> int:
    """How many events made a thread what it is; a branch's count goes on from where it began."""
    return Lines(log).version(stream_of(thread))


def whole(log: EventLog, stream: str, own: Iterator[Record]) -> Iterator[Record]:
    """A stream's own records after those of the thread that it began in as a branch."""
    lines = Lines(log)
    origin = lines.origin(stream)
    if origin is None:
        yield from own
        return
    yield from lines.read(stream, upto=origin.version)
    for record in own:
        yield replace(record, version=record.version + origin.version)


def event_data(log: EventLog, record: Record) -> Any:
    """What a record of a thread says, as plain data."""
    return plain_data(from_record(record, Registry(), unknown="opaque", load=log.blob), shown)


def value_data(value: Any) -> Any:
    """A recorded value as plain data."""
    return plain_data(value, shown)


def shown(value: Any) -> Any:
    """An object of a class that is not known here by its fields, any other as Python writes it."""
    return {"class": value.type_name, "fields": value.fields} if isinstance(value, Opaque) else repr(value)
