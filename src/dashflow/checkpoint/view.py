"""What a person or program sees of a thread: checkpoints computed from folded states when somebody looks.

Needs no graph: values, versions and origins are all in the log. Reads only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, cast

import msgspec
from xxhash import xxh3_64_intdigest

from dashflow._util.ids import interrupt_id, path_text, task_id
from dashflow._util.reserved import (
    BRANCH_TO,
    ERROR,
    ERROR_HANDLER,
    ERROR_SOURCE_NODE,
    INPUT,
    INTERRUPT,
    NO_WRITES,
    NS_END,
    NS_SEP,
    PULL,
    PUSH,
    RESUME,
    TASKS,
)
from dashflow.checkpoint.base.checkpoint import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    PendingWrite,
    writes_sort_key,
)
from dashflow.checkpoint.imported import Put, Table, version_of_sends
from dashflow.checkpoint.thread import ThreadReader, stream_of, thread_of
from dashflow.checkpoint.visible import visible
from dashflow.constants import START
from dashflow.core.cadence import is_whole
from dashflow.core.fold import EMPTY, ThreadState, fold
from dashflow.core.ids import checkpoint_id
from dashflow.core.written import wrote_of
from dashflow.log.base import EventLog
from dashflow.log.codec import Registry
from dashflow.types.commands import Overwrite
from dashflow.types.interrupts import Interrupt
from dashflow.types.snapshots import DeltaSnapshot

FORMAT = 4
"""LangGraph's number for this layout of a checkpoint."""


@lru_cache(maxsize=1024)
def timestamp(at: int) -> str:
    """Nanoseconds since the Unix epoch as ISO 8601 in UTC, microseconds kept."""
    return (
        datetime.fromtimestamp(at // 1_000_000_000, UTC)
        .replace(microsecond=at // 1000 % 1_000_000)
        .isoformat()
    )


def name_of(stream: str, state: ThreadState) -> str:
    """The id of the checkpoint that a state is at."""
    return state.id or checkpoint_id(state.home or stream, state.checkpoint, state.at)


def parent_name(stream: str, state: ThreadState) -> str | None:
    """The id of the checkpoint before; None for a thread's first."""
    if state.parent_id:
        return state.parent_id
    return checkpoint_id(state.parent_home or stream, state.parent, state.parent_at) if state.parent else None


def config_of(thread: str, version: int, at: int, ns: str = "") -> dict[str, Any]:
    """The config that names the checkpoint which the stream's event ``version`` made."""
    return naming(thread, ns, checkpoint_id(stream_of(thread, ns), version, at))


def naming(thread: str, ns: str, identifier: str) -> dict[str, Any]:
    """The config that names a checkpoint by its id."""
    return {"configurable": {"thread_id": thread, "checkpoint_ns": ns, "checkpoint_id": identifier}}


def metadata_of(state: ThreadState) -> dict[str, Any]:
    """How a checkpoint came about, and what its run's caller said of it."""
    if state.id:
        return dict(state.meta)
    metadata = {**state.meta, "source": state.source, "step": state.step, "parents": dict(state.parents)}
    if state.deltas and (
        since := {name: list(one[1:]) for name, one in state.deltas.items() if not is_whole(one)}
    ):
        metadata["counters_since_delta_snapshot"] = since
    return metadata


def mapped(config: dict[str, Any], parents: Mapping[str, str] | None) -> dict[str, Any]:
    """The config with the checkpoints of the graphs around, for a graph inside others."""
    if not parents:
        return config
    own = config["configurable"]
    around = {**parents, own["checkpoint_ns"]: own["checkpoint_id"]}
    return {**config, "configurable": {**own, "checkpoint_map": around}}


# -- as LangGraph's savers show it ----------------------------------------------------------------


def as_tuple(reader: ThreadReader, stream: str, state: ThreadState) -> CheckpointTuple:
    """A folded state as LangGraph's ``CheckpointTuple``, with values of its own."""
    state = reader.own(state)
    table = reader.imports.table(stream)
    thread, ns = thread_of(stream)
    identifier = name_of(stream, state)
    before = parent_name(stream, state)
    checkpoint, metadata = _shown(reader, stream, table, state, identifier)
    return CheckpointTuple(
        cast(Any, naming(thread, ns, identifier)),
        checkpoint,
        cast(CheckpointMetadata, metadata),
        None if before is None else cast(Any, naming(thread, ns, before)),
        _pending(reader, stream, state, identifier, table),
    )


def _shown(
    reader: ThreadReader, stream: str, table: Table, state: ThreadState, identifier: str
) -> tuple[Checkpoint, dict[str, Any]]:
    """The checkpoint and its metadata: as they were put in, if that is where they come from."""
    if state.id and (put := table.checkpoints.get(identifier)) is not None:
        imports = reader.imports
        told = imports.raw(put.event)
        versions = told.get("channel_versions") or {}
        told["channel_values"] = imports.values(stream, put.event, versions)
        if sends := imports.sends_before(stream, put.event, told):
            told["channel_values"][TASKS] = sends
            told["channel_versions"] = {**versions, TASKS: version_of_sends(versions)}
        return cast(Checkpoint, told), imports.metadata(put.event)
    checkpoint: Checkpoint = {
        "v": FORMAT,
        "id": identifier,
        "ts": timestamp(state.at),
        "channel_values": _values(state),
        "channel_versions": _labelled(stream, state, state.versions),
        "versions_seen": {
            INPUT: {},
            **{name: _labelled(stream, state, known) for name, known in state.seen.items()},
        },
        "updated_channels": sorted(state.updated),
    }
    return checkpoint, metadata_of(state)


def _values(state: ThreadState) -> dict[str, Any]:
    """The channels' values, those of delta channels as savers hold them: now and then, as a snapshot."""
    values = dict(state.values)
    if not state.deltas:
        return values
    first = not state.parent and not state.parent_id  # where nothing is before, no updates tell the value
    for name, counter in state.deltas.items():
        if name in values:
            value = values.pop(name)
            if first or is_whole(counter) or not counter[1]:
                values[name] = DeltaSnapshot(value)
    return values


def _labelled(stream: str, state: ThreadState, versions: Mapping[str, int]) -> ChannelVersions:
    """Versions as savers call them: as an import did, else as text that sorts as the number does."""
    shown: ChannelVersions = {}
    for channel, number in versions.items():
        known, label = state.labels.get(channel, (0, ""))
        shown[channel] = label if known == number else version_text(stream, number)
    return shown


def version_text(stream: str, number: int) -> str:
    """A version in LangGraph's form; what it has at random after the point is told from the stream's name."""
    fraction = xxh3_64_intdigest(f"{stream}:{number}".encode()) / 2**64
    return f"{number:032}.{fraction:016}"


def _pending(
    reader: ThreadReader, stream: str, state: ThreadState, identifier: str, table: Table
) -> list[PendingWrite]:
    """What tasks of the step after a checkpoint wrote, asked or failed with, in the order of their paths."""
    found: list[tuple[tuple[str, str, int], str, Any]] = []
    for key in {**state.done, **state.questions, **state.errors, **state.names}:
        path, task, namespace = _task(stream, state, identifier, key)
        if answers := _answers(state, namespace):
            found.append((writes_sort_key(path, task, WRITES_IDX_MAP[RESUME]), RESUME, answers))
        written = state.done.get(key)
        for index, (channel, value) in enumerate(written or ()):
            found.append((writes_sort_key(path, task, index), channel, value))
        if written is not None and not written:
            found.append((writes_sort_key(path, task, 0), NO_WRITES, None))
        if asked := state.questions.get(key):
            interrupts = tuple(Interrupt(q.value, q.id, response_schema=q.schema) for q in asked)
            found.append((writes_sort_key(path, task, WRITES_IDX_MAP[INTERRUPT]), INTERRUPT, interrupts))
        if error := state.errors.get(key):
            found.append((writes_sort_key(path, task, WRITES_IDX_MAP[ERROR]), ERROR, error))
        if key in state.handled:
            found.append((writes_sort_key(path, task, 1), ERROR_SOURCE_NODE, state.names[key]))
    for channel, value in state.later.items():
        task = f"ffffffff{task_id(b'', identifier, channel)[8:]}"  # whatever else there is sorts before it
        found.append((writes_sort_key("~~", task, 0), channel, Overwrite(value)))
    for sort, channel, stored in table.writes_of(identifier):
        found.append((sort, channel, reader.imports.loads(stored)))
    found.sort(key=lambda write: write[0])
    return [(task, channel, value) for (_, task, _), channel, value in found]


def _answers(state: ThreadState, namespace: str) -> list[Any]:
    """What the task in this namespace was answered so far, in the order of its questions."""
    found: list[Any] = []
    if state.answers:
        while (question := interrupt_id(namespace, len(found))) in state.answers:
            found.append(state.answers[question])
    return found


def _task(stream: str, state: ThreadState, identifier: str, key: str) -> tuple[str, str, str]:
    """Path, id and namespace of the task of that key in the step after a checkpoint.

    Its triggers are taken to be those of a graph that is made of edges.
    """
    name = state.names.get(key, key)
    around = thread_of(stream)[1]
    kind: tuple[str, ...]
    caller, _, number = key.rpartition(">")
    failed = key.rpartition(NS_SEP)[0]
    if caller and number[:1].isdigit() and name != key:  # a function that a task called, or a step of it
        at, _, around = _task(stream, state, identifier, caller)
        call = int(number) if number.isdigit() else number
        path, kind = path_text((PUSH, at, call, True)), (PUSH, at, number)
    elif failed:  # the handler of a task that failed
        place = (PUSH, int(failed[1:]), False) if failed.startswith("#") else (PULL, failed)
        path = path_text((*place, ERROR_HANDLER, False))
        _, task, around = _task(stream, state, identifier, failed)
        kind = (PUSH, ERROR_HANDLER, task)
    elif key.startswith("#"):
        path, kind = path_text((PUSH, int(key[1:]))), (PUSH, key[1:])
    else:
        path, kind = path_text((PULL, name)), (PULL, *_triggers(state, name))
    try:
        seed = bytes.fromhex(identifier.replace("-", ""))
    except ValueError:
        seed = identifier.encode()
    outer = f"{around}{NS_SEP}{name}" if around else name
    own = task_id(seed, outer, str(state.step + 1), name, *kind)
    return path, own, f"{outer}{NS_END}{own}"


def _triggers(state: ThreadState, name: str) -> list[str]:
    """What wakes a node: its own channel, and where it waits for several others, as far as those wrote."""
    if name == START:
        return [START]
    joins = [chan for chan in state.versions if chan.startswith("join:") and chan.endswith(f":{name}")]
    return [f"{BRANCH_TO}{name}", *sorted(joins)]


# -- all of a stream ------------------------------------------------------------------------------


def places(reader: ThreadReader, stream: str, *, forgotten: bool = False) -> dict[str, ThreadState]:
    """The states at a stream's checkpoints by id, newest first, each with all that happened at it.

    A run with durability "exit" shows only where it ended, as with LangGraph. ``forgotten`` ones count
    only when asked for. A branch shows of the thread that it began in what led to it.
    """
    thread, ns = thread_of(stream)
    history = reader.history(thread, ns)
    states = visible(history, ns)
    table = reader.imports.table(stream)
    found = {
        name_of(stream, state): state for state in states if state.checkpoint > table.cleared and not state.id
    }
    if table.checkpoints:
        looked_at = {state.checkpoint: state for state in states if state.id}
        for identifier, put in table.checkpoints.items():
            found[identifier] = looked_at.get(put.version) or _imported(reader, stream, put)
        found = {name: found[name] for name in sorted(found)}
    if (origin := reader.lines.origin(stream)) is not None:
        line = _line(stream, found, history, origin.version)
        found = {n: state for n, state in found.items() if state.checkpoint > origin.version or n in line}
    for name in table.writes.keys() & found.keys():
        found[name] = _with_writes(reader, found[name], name, table)
    if not forgotten:
        found = {name: state for name, state in found.items() if name not in table.forgotten}
    return dict(reversed(found.items()))


def _line(
    stream: str, found: Mapping[str, ThreadState], history: Sequence[ThreadState], version: int
) -> set[str]:
    """Ids of the checkpoints that led to the one at a version."""
    at = history[version]
    while at.parent and name_of(stream, at) not in found:
        at = history[at.parent]
    line: set[str] = set()
    name: str | None = name_of(stream, at)
    while name is not None and name in found and name not in line:
        line.add(name)
        name = parent_name(stream, found[name])
    return line


def _with_writes(reader: ThreadReader, state: ThreadState, name: str, table: Table) -> ThreadState:
    """The state with all writes that were put in for its checkpoint, on whatever branch."""
    tasks: dict[tuple[str, str], list[list[Any]]] = {}
    for (path, task, index), channel, stored in table.writes_of(name):
        tasks.setdefault((path, task), []).append([index, channel, reader.imports.loads(stored)])
    return msgspec.structs.replace(state, loose={name: tasks})


def _imported(reader: ThreadReader, stream: str, put: Put) -> ThreadState:
    """The state at an imported checkpoint that no run went on from."""
    event = reader.imports.understood(stream, put, 0)
    return fold(EMPTY, msgspec.structs.replace(event, latest=True), put.version, 0)


def as_shown(reader: ThreadReader, thread: str, state: ThreadState, ns: str = "") -> ThreadState:
    """A thread's latest state, with the parent that history shows."""
    if state.durability != "exit" or not state.checkpoint:
        return state
    for known in reversed(visible(reader.history(thread, ns), ns)):
        if known.checkpoint == state.checkpoint:
            return msgspec.structs.replace(state, parent=known.parent, parent_at=known.parent_at)
    return state


def read_state(log: EventLog, thread: str, at: int | None = None) -> ThreadState:
    """A thread's state at a version of its stream (None: the latest), without the program that wrote it.

    Values of classes that this process does not know come as ``Opaque``. An unknown thread, and a version
    before its first event, give the empty state.
    """
    reader = ThreadReader(log, Registry(), unknown="opaque")
    if at is None:
        state = reader.head(thread)
    else:
        state = reader.at(thread, min(at, reader.lines.version(stream_of(thread)))) if at > 0 else EMPTY
    return msgspec.structs.replace(
        state,
        values=dict(state.values),
        wrote={k: [list(w) for w in writes] for k, writes in wrote_of(state).items()},
    )
