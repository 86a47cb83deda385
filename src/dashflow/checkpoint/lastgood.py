"""What is left of a damaged thread: its state at the last checkpoint that can be read whole.

For errors and for the doctor; slow, and never on the way of a run. Reads only.
"""

from __future__ import annotations

from dashflow.checkpoint.snapshots import from_snapshot
from dashflow.checkpoint.thread import ThreadReader, stream_of
from dashflow.checkpoint.view import as_shown
from dashflow.core.fold import ThreadState
from dashflow.errors import CorruptLogError, CorruptStreamError, ValueCodecError

_PAGE = 200


def last_good(reader: ThreadReader, thread: str, ns: str = "") -> ThreadState | None:
    """The thread as it was before what cannot be read; None when nothing of it is left.

    Args:
        reader: The log's threads.
        thread: Id of the thread.
        ns: Namespace in it.
    """
    try:
        end, state = readable(reader, thread, ns)
        return as_shown(reader, thread, state, ns) if end and state.checkpoint else None
    except CorruptStreamError as error:
        return _of_snapshot(reader, str(error.data["stream"])) if not ns else None
    except (CorruptLogError, ValueCodecError):
        return None


def readable(reader: ThreadReader, thread: str, ns: str = "") -> tuple[int, ThreadState]:
    """Up to which version a thread can be read and folded, and its state there; 0: not at all.

    Raises:
        CorruptStreamError: The stream as a whole cannot be trusted.
        ValueCodecError: A value's class is not known to the reader.
    """
    end = _end(reader, stream_of(thread, ns))
    while end > 0:
        try:
            return end, reader.at(thread, end, ns)
        except CorruptStreamError:
            raise
        except CorruptLogError as error:
            # Every error of an event says which one; what says nothing leaves nothing.
            end = min(int(error.data.get("version", 0)), end) - 1
    return 0, reader.at(thread, 0, ns)


def _end(reader: ThreadReader, stream: str) -> int:
    """The last version before the first event that is damaged or missing."""
    lines = reader.lines
    last = lines.version(stream)
    after, step = 0, _PAGE
    while after < last:
        try:
            page = lines.read(stream, after=after, upto=last, limit=step)
        except CorruptStreamError:
            raise
        except CorruptLogError:
            if step == 1:
                break
            step = 1
            continue
        if not page:
            break
        after = page[-1].version
    return after


def _of_snapshot(reader: ThreadReader, stream: str) -> ThreadState | None:
    """What a snapshot has kept, where the stream itself says nothing that can be trusted."""
    try:
        snapshot = reader.log.snapshot(stream)
    except CorruptLogError:
        return None
    return None if snapshot is None else from_snapshot(snapshot, reader.classes)
