"""What of a thread's history is kept, and dropping the rest for good. Changes streams; shows nothing.

What is left goes on from states that are recorded in the commit which drops the events before it, so no
history that is kept can break. Two sorts of streams are shortened for the eye only, since the beginning
still tells what later checkpoints are: those that checkpoints were put into by hand, and those of graphs
with delta channels. So are branches, and threads that branches began in.
"""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Sequence
from typing import NamedTuple

from dashflow.checkpoint.breakpoints import new_set
from dashflow.checkpoint.breakpoints import stream_of as breakpoints_of
from dashflow.checkpoint.importing import latest_again
from dashflow.checkpoint.recording import begun_in, branches_of, new_event, record
from dashflow.checkpoint.snapshots import plain_of
from dashflow.checkpoint.thread import ThreadReader, stream_of, thread_of
from dashflow.checkpoint.view import places
from dashflow.core.events import CheckpointsForgotten, Event, HistoryForgotten
from dashflow.core.fold import ThreadState
from dashflow.log.base import EVERYTHING, Append, NewEvent


class Bounds(NamedTuple):
    """What is kept of a stream's checkpoints; the newest always is.

    Attributes:
        checkpoints: How many; None: any number.
        seconds: How old they may be, of this machine's clock; None: any age.
    """

    checkpoints: int | None = None
    seconds: float | None = None

    def kept(self, there: Sequence[ThreadState]) -> int:
        """How many of a stream's checkpoints, newest first, are kept."""
        oldest = None if self.seconds is None else time.time_ns() - int(self.seconds * 1e9)
        fresh = sum(oldest is None or state.at >= oldest for state in there)
        return max(1, fresh if self.checkpoints is None else min(fresh, self.checkpoints))


def forgotten_by(reader: ThreadReader, stream: str, bounds: Bounds) -> int:
    """How many checkpoints ``keep_checkpoints`` would forget."""
    there = list(places(reader, stream).values())
    return max(0, len(there) - bounds.kept(there))


def keep_checkpoints(reader: ThreadReader, stream: str, bounds: Bounds) -> int:
    """Keep a stream's newest checkpoints, and forget all others.

    Returns:
        How many checkpoints are forgotten.

    Raises:
        OwnershipConflictError: A run of the thread is going on.
    """
    forgotten = 0

    def decide(newest: str) -> Sequence[Event]:
        nonlocal forgotten
        there = places(reader, stream)
        count = bounds.kept(list(there.values()))
        forgotten = max(0, len(there) - count)
        names = list(there)
        return _forgetting(reader, stream, there, names[:count], names[count:])

    record(reader, stream, decide)
    return forgotten


def forget_checkpoints(reader: ThreadReader, stream: str, names: Collection[str]) -> None:
    """Forget single checkpoints; if the latest is among them, the thread goes on from the one before.

    Raises:
        OwnershipConflictError: A run of the thread is going on.
    """

    def decide(newest: str) -> Sequence[Event]:
        there = places(reader, stream)
        gone = [name for name in there if name in names]
        kept = [name for name in there if name not in names]
        if not gone:
            return ()
        if not kept:
            return [CheckpointsForgotten(all=True, base=0)]
        if newest in names:
            return latest_again(reader, stream, kept[0], there[kept[0]], gone)
        return [CheckpointsForgotten(gone)]

    if names:
        record(reader, stream, decide)


def _forgetting(
    reader: ThreadReader, stream: str, there: dict[str, ThreadState], kept: list[str], gone: list[str]
) -> Sequence[Event]:
    if not gone:
        return ()
    cut = _cut(reader, stream, [there[name] for name in kept])
    if cut is None:
        return [CheckpointsForgotten(gone)]
    later = [name for name in gone if there[name].checkpoint > cut.upto]  # on branches of what is kept
    return [*([CheckpointsForgotten(later)] if later else ()), cut]


def _cut(reader: ThreadReader, stream: str, kept: Sequence[ThreadState]) -> HistoryForgotten | None:
    """What drops all that the checkpoints do not need; None when nothing can be dropped."""
    upto = min(state.checkpoint for state in kept) - 1
    table = reader.imports.table(stream)
    if table.checkpoints or table.values or table.writes or any(state.deltas for state in kept):
        return None
    states, bases = reader.states(stream)
    first = next((version for version, state in enumerate(states) if state.version), 0)
    if upto < first or reader.lines.origin(stream) is not None:
        return None
    thread, ns = thread_of(stream)
    # Of a run whose process died the stream still says who it was, and to drop events is to claim it.
    if reader.head(thread, ns).status == "running" or begun_in(reader, thread):
        return None
    wanted = {upto, *(base for base in reader.branching(stream, after=upto) if 0 < base <= upto)}
    known = {version: states[version] if version >= first else bases[version] for version in wanted}
    return HistoryForgotten(upto, {version: plain_of(state) for version, state in known.items()})


def delete_thread(reader: ThreadReader, thread: str) -> None:
    """Delete a thread for good, in all namespaces, with its breakpoints and all branches that began in it.

    Its events leave the log; a tombstone stays. A run that goes on meanwhile is cut off: whatever it still
    writes is refused with ``FencedError``, and cannot bring the thread back.
    """
    tombstone = CheckpointsForgotten(all=True, base=0)
    for branch in branches_of(reader, thread):
        delete_thread(reader, branch)
    for ns in reader.namespaces(thread):
        stream = stream_of(thread, ns)
        if reader.log.version(stream):
            _bury(reader, stream, new_event(tombstone))
        reader.forget(thread, ns)
    for branch in branches_of(reader, thread):  # that began meanwhile
        delete_thread(reader, branch)
    reader.lines.forget(thread)
    stream = breakpoints_of(thread)
    if reader.log.version(stream):
        _bury(reader, stream, new_set([]))


def _bury(reader: ThreadReader, stream: str, tombstone: NewEvent) -> None:
    log = reader.log
    owner = f"{log.instance}/delete-{random.getrandbits(64):016x}"
    log.append(
        Append(stream, (tombstone,), owner=owner, claim=True, force=True, release=True, forget=EVERYTHING)
    )
