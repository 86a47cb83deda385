"""Appending to a thread from outside of a run: decided on what is there, and again when that changed."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

from dashflow._util.ids import uuid7
from dashflow.checkpoint.events import to_new
from dashflow.checkpoint.lines import CATEGORY, MARK, stream_of, thread_of
from dashflow.checkpoint.thread import ThreadReader
from dashflow.checkpoint.view import name_of
from dashflow.core.events import CheckpointsForgotten, Event, HistoryForgotten
from dashflow.errors import VersionConflictError
from dashflow.log.base import ANY, EVERYTHING, Append, NewEvent


def record(
    reader: ThreadReader, stream: str, decide: Callable[[str], Sequence[Event]], *, ordered: bool = True
) -> None:
    """Append to a stream what ``decide`` makes of the id of its latest checkpoint ("": none).

    Args:
        reader: The log's threads.
        stream: Which.
        decide: Called again when somebody else was faster.
        ordered: Whether it matters what came before; if not, the id is "".

    Raises:
        OwnershipConflictError: A run of the thread is going on.
    """
    while True:
        newest, version = "", ANY
        if ordered:
            head = reader.head(*thread_of(stream))
            newest, version = name_of(stream, head) if head.checkpoint else "", head.version
        events = decide(newest)
        if not events:
            return
        forget = max(map(_forgets, events))
        # A cut was decided on with the branches in mind; forgetting everything was not.
        if forget == EVERYTHING and begun_in(reader, thread_of(stream)[0]):
            forget = 0  # branches that began here go on from it
        try:
            reader.lines.append(
                Append(stream, [*map(new_event, events)], version, unowned=True, forget=forget)
            )
        except VersionConflictError:
            continue
        return


def begun_in(reader: ThreadReader, thread: str) -> list[str]:
    """The branches that began in a thread and live."""
    start = stream_of(thread) + MARK
    found = [info.stream for info in reader.log.streams(category=CATEGORY) if info.stream.startswith(start)]
    branches = [stream.removeprefix(f"{CATEGORY}-") for stream in found]
    return [
        branch
        for branch in branches
        if (began := reader.lines.beginning(branch)) is not None
        and began.event.thread == thread
        and reader.head(branch).checkpoint
    ]


def _forgets(event: Event) -> int:
    """Up to which version an event stands for what was before it."""
    if isinstance(event, HistoryForgotten):
        return event.upto
    return EVERYTHING if isinstance(event, CheckpointsForgotten) and event.all else 0


def new_event(event: Event) -> NewEvent:
    """An event of no run, now."""
    now = time.time_ns()
    return to_new(event, uuid7(now, random.getrandbits(62)), now, "", b"", "")
