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
from dashflow.errors import FencedError, VersionConflictError
from dashflow.log.base import ANY, EVERYTHING, Append, NewEvent
from dashflow.log.owner import owner_of

_SHORTENING = "shorten-"


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
        append = Append(stream, [*map(new_event, events)], version, unowned=True)
        try:
            forget = max(map(_forgets, events))
            if not forget:
                reader.lines.append(append)
            elif not _shortened(reader, append, forget):
                continue
        except (VersionConflictError, FencedError):
            continue
        return


def _shortened(reader: ThreadReader, append: Append, forget: int) -> bool:
    """Append, and drop events in the same commit, unless a branch goes on from them.

    The stream is claimed before branches are looked for, and whoever begins one looks for such a claim
    afterwards (``shortener_of``): so one of the two sees the other.

    Returns:
        Whether it was done; if not, there is a branch now that ``append`` was decided without.
    """
    lines, stream = reader.lines, append.stream
    owner = shortening(reader, random.getrandbits(64))
    epoch = lines.append(Append(stream, (), append.expected, owner=owner, claim=True)).epoch
    events: Sequence[NewEvent] = ()
    try:
        begun = bool(begun_in(reader, thread_of(stream)[0]))
        if not begun:
            events = append.events
        elif forget == EVERYTHING:  # branches keep what they began with, of a thread that is shown no more
            events, forget = append.events, 0
    finally:
        forget = forget if events else 0
        lines.append(Append(stream, events, owner=owner, epoch=epoch, release=True, forget=forget))
    return bool(events)


def shortening(reader: ThreadReader, number: int) -> str:
    """A name for an owner that drops events; ``number`` tells it from others."""
    return f"{reader.log.instance}/{_SHORTENING}{number & 0xFFFFFFFFFFFFFFFF:016x}"


def is_there(reader: ThreadReader, thread: str, version: int) -> bool:
    """Whether a thread still has the event of a version."""
    return bool(reader.lines.read(stream_of(thread), after=version - 1, upto=version))


def shortener_of(reader: ThreadReader, thread: str) -> str:
    """Who drops events of a thread at this moment; "" while nobody does."""
    owner = owner_of(reader.log, stream_of(thread))
    return owner if owner.partition("/")[2].startswith(_SHORTENING) else ""


def begun_in(reader: ThreadReader, thread: str) -> list[str]:
    """The branches that began in a thread and live."""
    return [branch for branch in branches_of(reader, thread) if reader.head(branch).checkpoint]


def branches_of(reader: ThreadReader, thread: str) -> list[str]:
    """The branches that began in a thread, those too of which nothing but their events is left."""
    found = reader.log.streams(category=CATEGORY, prefix=stream_of(thread) + MARK)
    branches = [info.stream.removeprefix(f"{CATEGORY}-") for info in found]
    return [
        branch
        for branch in branches
        if (began := reader.lines.beginning(branch)) is not None and began.event.thread == thread
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
