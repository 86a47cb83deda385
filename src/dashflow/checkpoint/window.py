"""Parts of a long stream's checkpoints, without folding all of it into a list of states.

What is found here is what ``places`` finds, for as much of the stream as is asked for. Where that cannot be
told from a part (branches, imports, delta channels, runs that store only their end, work that went on from
an old checkpoint), ``places`` looks at the whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from dashflow.checkpoint.thread import ThreadReader, base_of, stream_of, thread_of
from dashflow.checkpoint.view import metadata_of, name_of, places
from dashflow.checkpoint.visible import visible
from dashflow.core.events import OPENERS, RunStarted, StateEdited, StepCompleted
from dashflow.core.fold import EMPTY, ThreadState
from dashflow.core.ids import checkpoint_version
from dashflow.log.base import Record

_MAKERS: Final = frozenset({StepCompleted.type, StateEdited.type})
"""Events that always make a checkpoint; ``RunStarted`` may."""


def newest(reader: ThreadReader, stream: str, count: int) -> dict[str, ThreadState]:
    """``places``, or as much of it as has the newest ``count`` checkpoints."""
    version = reader.lines.version(stream)
    length = 4 * count + 16
    while length < version:
        records = reader.lines.read(stream, after=version - length)
        if sum(record.type in _MAKERS for record in records) > count:
            found = _between(reader, stream, version - length, records)
            return places(reader, stream) if found is None else found
        length *= 4
    return places(reader, stream)


def place(reader: ThreadReader, stream: str, name: str) -> ThreadState | None:
    """What ``places`` has under an id; None: nothing."""
    version = checkpoint_version(name)
    if version is None or not 0 < version <= reader.lines.version(stream):
        return places(reader, stream).get(name)
    records = reader.lines.read(stream, after=version - 1)
    for record in records[1:]:
        if record.type in OPENERS and base_of(reader.event(record, stream), record.version) not in (
            None,
            record.version - 1,
        ):
            return places(reader, stream).get(name)
    found = _between(reader, stream, version - 1, records, only=version)
    return places(reader, stream).get(name) if found is None else found.get(name)


def checkpoints(
    reader: ThreadReader,
    thread: str,
    *,
    before: str | None = None,
    filter: Mapping[str, Any] | None = None,  # noqa: A002  # LangGraph's name
    limit: int | None = None,
    ns: str = "",
) -> Iterator[ThreadState]:
    """The states at a thread's checkpoints, newest first, each with all that was asked and done at it."""
    shown = 0
    stream = stream_of(thread, ns)
    found = places(reader, stream) if limit is None or before or filter else newest(reader, stream, limit)
    for name, state in found.items():
        if before and not _is_before(name, state, before):
            continue
        if filter and not _has(metadata_of(state), filter):
            continue
        if limit is not None and shown >= limit:
            return
        shown += 1
        yield state


def _has(metadata: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(metadata.get(key) == value for key, value in wanted.items())


def _is_before(name: str, state: ThreadState, bound: str) -> bool:
    """Ids of a stream's own checkpoints are compared by what they say of it, all others as they are."""
    version = None if state.id else checkpoint_version(bound)
    return name < bound if version is None else state.checkpoint < version


def _between(
    reader: ThreadReader, stream: str, begin: int, records: Sequence[Record], only: int = 0
) -> dict[str, ThreadState] | None:
    """What ``places`` finds behind a version, or of ``only`` one checkpoint; None: it has to look itself."""
    table = reader.imports.table(stream)
    if table.checkpoints or table.values or table.writes or table.forgotten or table.cleared:
        return None
    if not records or records[0].version != begin + 1 or reader.lines.origin(stream) is not None:
        return None
    thread, ns = thread_of(stream)
    states = [reader.at(thread, begin, ns) if begin else EMPTY]
    if begin and states[0].checkpoint < reader.lines.read(stream, limit=1)[0].version:
        return None  # the checkpoint before was dropped, and what is dropped is nobody's parent
    for record in records:
        event = reader.kept_event(record, stream)
        base = base_of(event, record.version)
        index = (record.version - 1 if base is None else base) - begin
        if index < 0 or (isinstance(event, RunStarted) and event.durability == "exit"):
            return None
        states.append(reader.folded(states[index], event, record, stream))
        if only and record.version > only and states[-1].checkpoint != only:
            break
    if any(state.deltas or state.durability == "exit" for state in states):
        return None
    made = {state.checkpoint for state in states}
    if any(state.parent and state.parent not in made for state in states if state.checkpoint > begin):
        return None  # whether that one is shown, the whole tells
    shown = [state for state in visible(states, ns) if state.checkpoint > begin]
    return {
        name_of(stream, state): state for state in reversed(shown) if not only or state.checkpoint == only
    }
