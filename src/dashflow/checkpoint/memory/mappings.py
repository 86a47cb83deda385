"""The tables of LangGraph's saver in memory, as views of a log: for programs that look or write into them.

What they show of threads that graphs have run is made when somebody looks; what is written into them is
imported into the thread. Like ``defaultdict``s they give an empty table for a key that is not there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, NoReturn

import msgspec

from dashflow.checkpoint.imported import EMPTY_TAG, Typed
from dashflow.checkpoint.saver import LogSaver
from dashflow.checkpoint.thread import CATEGORY, SUB_CATEGORY, stream_of, thread_of
from dashflow.checkpoint.view import as_tuple, parent_name, places
from dashflow.core.events import CheckpointImported, ValuesImported, WritesImported

Row = tuple[Typed, Typed, str | None]
"""A checkpoint, its metadata, and the id of the checkpoint before it."""

Write = tuple[str, str, Typed, str]
"""Task id, channel, value, task path."""

WritesKey = tuple[str, str, str]
"""Thread, namespace, checkpoint id."""

BlobKey = tuple[str, str, str, Any]
"""Thread, namespace, channel, version."""


def _streams(saver: LogSaver) -> Iterator[tuple[str, str, str]]:
    """(stream, thread, namespace) of all that there is."""
    for category in (CATEGORY, SUB_CATEGORY):
        for info in saver.log.streams(category=category):
            yield (info.stream, *thread_of(info.stream))


class Storage(MutableMapping[str, "Namespaces"]):
    """Threads."""

    def __init__(self, saver: LogSaver) -> None:
        self._saver = saver

    def __getitem__(self, thread: str) -> Namespaces:
        return Namespaces(self._saver, str(thread))

    def __setitem__(self, thread: str, namespaces: Mapping[str, Mapping[str, Row]]) -> None:
        self[thread].update(namespaces)  # type: ignore[arg-type]  # each becomes a view of its own

    def __delitem__(self, thread: str) -> None:
        self._saver.delete_thread(thread)

    def __iter__(self) -> Iterator[str]:
        return iter(
            {thread: None for _, thread, _ in _streams(self._saver) if Namespaces(self._saver, thread)}
        )

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, thread: object) -> bool:
        return bool(Namespaces(self._saver, str(thread)))

    def get(self, thread: str, default: Any = None) -> Any:
        """The thread's namespaces; ``default`` if it has none."""
        found = self[thread]
        return found or default

    def plain(self) -> dict[str, Any]:
        """All of it as dicts."""
        return {
            thread: {ns: dict(checkpoints) for ns, checkpoints in namespaces.items()}
            for thread, namespaces in self.items()
        }


class Namespaces(MutableMapping[str, "Checkpoints"]):
    """One thread's namespaces."""

    def __init__(self, saver: LogSaver, thread: str) -> None:
        self._saver = saver
        self._thread = thread

    def __getitem__(self, ns: str) -> Checkpoints:
        return Checkpoints(self._saver, stream_of(self._thread, ns))

    def __setitem__(self, ns: str, checkpoints: Mapping[str, Row]) -> None:
        self[ns].update(checkpoints)

    def __delitem__(self, ns: str) -> None:
        self[ns].clear()

    def __iter__(self) -> Iterator[str]:
        return (ns for ns in self._saver.reader.namespaces(self._thread) if self[ns])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, ns: object) -> bool:
        return bool(self[str(ns)])

    def get(self, ns: str, default: Any = None) -> Any:
        """The namespace's checkpoints; ``default`` if it has none."""
        found = self[ns]
        return found or default


class Checkpoints(MutableMapping[str, Row]):
    """The checkpoints of one thread and namespace, oldest first."""

    def __init__(self, saver: LogSaver, stream: str) -> None:
        self._saver = saver
        self._stream = stream

    def __getitem__(self, name: str) -> Row:
        reader = self._saver.reader
        state = places(reader, self._stream)[name]
        put = reader.imports.table(self._stream).checkpoints.get(name)
        if put is not None:
            (tag, data), (meta_tag, meta) = put.event.checkpoint, put.event.metadata
            return (tag, data), (meta_tag, meta), put.event.parent or None
        found = as_tuple(reader, self._stream, state)
        dumps = self._saver.serde.dumps_typed
        told = {key: value for key, value in found.checkpoint.items() if key != "channel_values"}
        return dumps(told), dumps(dict(found.metadata)), parent_name(self._stream, state)

    def __setitem__(self, name: str, row: Row) -> None:
        checkpoint, metadata, parent = row
        event = CheckpointImported(name, [*checkpoint], [*metadata], parent or "")
        self._saver.record(
            self._stream, lambda newest: [msgspec.structs.replace(event, latest=name >= newest)]
        )

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise KeyError(name)
        self._saver.forget(self._stream, [name])

    def __iter__(self) -> Iterator[str]:
        return iter([*places(self._saver.reader, self._stream)][::-1])

    def __len__(self) -> int:
        return len(places(self._saver.reader, self._stream))

    def __contains__(self, name: object) -> bool:
        return name in places(self._saver.reader, self._stream)


def _recorded(what: str) -> NoReturn:
    raise TypeError(f"{what} cannot be taken back one by one; delete_thread() forgets all of a thread")


class Writes(MutableMapping[WritesKey, "TaskWrites"]):
    """Writes that were put in by hand, by checkpoint."""

    def __init__(self, saver: LogSaver) -> None:
        self._saver = saver

    def __getitem__(self, key: WritesKey) -> TaskWrites:
        thread, ns, checkpoint = key
        return TaskWrites(self._saver, stream_of(str(thread), ns), checkpoint)

    def __setitem__(self, key: WritesKey, writes: Mapping[tuple[str, int], Write]) -> None:
        self[key].update(writes)

    def __delitem__(self, key: WritesKey) -> None:
        _recorded("Writes")

    def __iter__(self) -> Iterator[WritesKey]:
        for stream, thread, ns in _streams(self._saver):
            for checkpoint in self._saver.reader.imports.table(stream).writes:
                yield thread, ns, checkpoint

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, key: object) -> bool:
        return isinstance(key, tuple) and len(key) == 3 and bool(self[key])

    def get(self, key: WritesKey, default: Any = None) -> Any:
        """The checkpoint's writes; ``default`` if it has none."""
        found = self[key]
        return found or default

    def plain(self) -> dict[WritesKey, Any]:
        """All of it as dicts."""
        return {key: dict(writes) for key, writes in self.items()}


class TaskWrites(MutableMapping[tuple[str, int], Write]):
    """The writes that were put in by hand for one checkpoint, by task and index."""

    def __init__(self, saver: LogSaver, stream: str, checkpoint: str) -> None:
        self._saver = saver
        self._stream = stream
        self._checkpoint = checkpoint

    def _there(self) -> Mapping[tuple[str, int], tuple[str, str, Typed]]:
        return self._saver.reader.imports.table(self._stream).writes.get(self._checkpoint, {})

    def __getitem__(self, key: tuple[str, int]) -> Write:
        path, channel, value = self._there()[key]
        return key[0], channel, value, path

    def __setitem__(self, key: tuple[str, int], write: Write) -> None:
        (task, index), (_, channel, value, path) = key, write
        event = WritesImported(self._checkpoint, task, [[index, channel, *value]], path)
        self._saver.record(self._stream, lambda newest: [event], ordered=False)

    def __delitem__(self, key: tuple[str, int]) -> None:
        _recorded("Writes")

    def __iter__(self) -> Iterator[tuple[str, int]]:
        return iter(self._there())

    def __len__(self) -> int:
        return len(self._there())


class Blobs(MutableMapping[BlobKey, Typed]):
    """Values of channels by version."""

    def __init__(self, saver: LogSaver) -> None:
        self._saver = saver

    def _of(self, stream: str) -> dict[tuple[str, Any], Typed]:
        """By channel and version: what graphs have made of a thread, and what was put in."""
        reader = self._saver.reader
        found: dict[tuple[str, Any], Typed] = {}
        for state in reversed(places(reader, stream).values()):
            if state.id:
                continue
            checkpoint = as_tuple(reader, stream, state).checkpoint
            values = checkpoint["channel_values"]
            for channel, version in checkpoint["channel_versions"].items():
                if (channel, version) not in found:
                    known = channel in values
                    typed = self._saver.serde.dumps_typed(values[channel]) if known else (EMPTY_TAG, b"")
                    found[channel, version] = typed
        return {**found, **reader.imports.table(stream).values}

    def __getitem__(self, key: BlobKey) -> Typed:
        thread, ns, channel, version = key
        stream = stream_of(str(thread), ns)
        stored = self._saver.reader.imports.table(stream).values.get((channel, version))
        return stored if stored is not None else self._of(stream)[channel, version]

    def __setitem__(self, key: BlobKey, value: Typed) -> None:
        thread, ns, channel, version = key
        event = ValuesImported([[channel, version, *value]])
        self._saver.record(stream_of(str(thread), ns), lambda newest: [event], ordered=False)

    def __delitem__(self, key: BlobKey) -> None:
        _recorded("Values")

    def __iter__(self) -> Iterator[BlobKey]:
        for stream, thread, ns in _streams(self._saver):
            for channel, version in self._of(stream):
                yield thread, ns, channel, version

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def plain(self) -> dict[BlobKey, Typed]:
        """All of it as a dict."""
        return dict(self)
