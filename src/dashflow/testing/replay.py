"""Recorded histories as fixtures: exports of a log, replayed with a graph as it is now.

``dashflow log export --thread ID -o FILE`` writes one. Needs no test framework; records nothing.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import msgspec

from dashflow.checkpoint.saver import LogSaver
from dashflow.checkpoint.thread import stream_of
from dashflow.errors import CorruptEventError, UsageError
from dashflow.log.base import EventLog
from dashflow.log.memory import MemoryLog
from dashflow.log.portable import ExportFile, bring
from dashflow.pregel.replays import is_there
from dashflow.types.replays import ThreadReplay

__all__ = (
    "ReplayedFile",
    "areplay_exports",
    "areplay_log",
    "assert_replays",
    "exports_in",
    "replay_exports",
    "replay_log",
)

ENDINGS = (".jsonl", ".jsonl.gz", ".jsonl.zst")
"""How files of a folder that are taken for exports end."""

Run = bool | Collection[str]


class ReplayedFile(msgspec.Struct, frozen=True):
    """What a file's threads came to, oldest first."""

    path: str
    threads: tuple[ThreadReplay, ...]


def exports_in(path: str | os.PathLike[str]) -> list[str]:
    """The file, or the exports in the folder and those below it, sorted.

    Raises:
        UsageError: There is no such file or folder, or no export in it.
    """
    place = Path(path)
    if not place.is_dir():
        if not place.exists():
            raise UsageError(f"There is no file or folder {os.fspath(path)!r}.")
        return [os.fspath(place)]
    found = sorted(str(one) for one in place.rglob("*") if one.name.endswith(ENDINGS))
    if not found:
        raise UsageError(
            f"There is no export in {os.fspath(path)!r}: no file that ends in {', '.join(ENDINGS)}."
        )
    return found


def replay_log(
    graph: Any,
    log: EventLog,
    threads: Collection[str] | None = None,
    *,
    run: Run = False,
    routes: bool | None = None,
) -> list[ThreadReplay]:
    """Replay threads of a log; see ``graph.replay``.

    Args:
        graph: The compiled graph; its own checkpointer does not matter.
        log: Where the threads are.
        threads: Which; None: all, and those of graphs with other names count as not replayable.
        run: See ``graph.replay``.
        routes: See ``graph.replay``.
    """
    mine = _Threads(graph, log, threads)
    return [mine.others(one) or mine.graph.replay(_config(one), run=run, routes=routes) for one in mine.names]


async def areplay_log(
    graph: Any,
    log: EventLog,
    threads: Collection[str] | None = None,
    *,
    run: Run = False,
    routes: bool | None = None,
) -> list[ThreadReplay]:
    """``replay_log`` for asyncio callers."""
    mine = _Threads(graph, log, threads)
    return [
        mine.others(one) or await mine.graph.areplay(_config(one), run=run, routes=routes)
        for one in mine.names
    ]


class _Threads:
    """The threads of a log that a graph is asked to replay."""

    def __init__(self, graph: Any, log: EventLog, names: Collection[str] | None) -> None:
        saver = LogSaver(log)
        self.graph = graph.with_checkpointer(saver)
        self._reader = saver.reader.lenient()
        self._all = names is None
        if names is None:
            names = sorted(one for one in self._reader.threads() if is_there(self._reader, one))
        self.names = list(names)

    def others(self, thread: str) -> ThreadReplay | None:
        """What is said of a thread of another graph, where all were asked for."""
        if not self._all:
            return None
        mine = self.graph.plan.recorded
        try:
            theirs = self._reader.at(thread, self._reader.lines.version(stream_of(thread)))
        except CorruptEventError:  # the replay says so
            return None
        if not mine or not theirs.graph or mine == theirs.graph:
            return None
        reason = f"It is a thread of graph {theirs.graph!r}, and this one is {mine!r}."
        return ThreadReplay(thread, "not_replayable", theirs.status, reason=reason)


def _config(thread: str) -> dict[str, Any]:
    return {"configurable": {"thread_id": thread}}


def _logs(paths: Collection[str | os.PathLike[str]]) -> Iterator[tuple[str, EventLog]]:
    """The files, each as a log in memory."""
    for place in paths:
        for path in exports_in(place):
            log = MemoryLog()
            try:
                bring(ExportFile(path), log)
                yield path, log
            finally:
                log.close()


def replay_exports(
    graph: Any, *paths: str | os.PathLike[str], run: Run = False, routes: bool | None = None
) -> list[ReplayedFile]:
    """Replay all threads in files that ``dashflow log export`` wrote.

    Args:
        graph: The compiled graph.
        paths: Files, or folders of them.
        run: See ``graph.replay``.
        routes: See ``graph.replay``.

    Raises:
        UsageError: A file is not there, or a folder has none.
        LogError: A file is damaged, of a newer format, or something else.
    """
    return [
        ReplayedFile(path, tuple(replay_log(graph, log, run=run, routes=routes)))
        for path, log in _logs(paths)
    ]


async def areplay_exports(
    graph: Any, *paths: str | os.PathLike[str], run: Run = False, routes: bool | None = None
) -> list[ReplayedFile]:
    """``replay_exports`` for asyncio callers."""
    return [
        ReplayedFile(path, tuple(await areplay_log(graph, log, run=run, routes=routes)))
        for path, log in _logs(paths)
    ]


def assert_replays(
    graph: Any, *paths: str | os.PathLike[str], run: Run = False, routes: bool | None = None
) -> None:
    """Check that recorded histories go the same way with the graph as it is now.

    Raises:
        AssertionError: One diverged: says where, and what that means. Or none could be replayed.
    """
    files = replay_exports(graph, *paths, run=run, routes=routes)
    problems = [
        f"{file.path}: thread {one.thread_id!r} diverges at step {found.step}, task {found.task!r} "
        f"({found.kind}): recorded {found.recorded!r}, now {found.present!r}. {found.meaning}"
        for file in files
        for one in file.threads
        if (found := one.divergence) is not None
    ]
    if problems:
        raise AssertionError("\n".join(problems))
    if all(one.verdict == "not_replayable" for file in files for one in file.threads):
        raise AssertionError(f"No thread in {', '.join(file.path for file in files)} can be replayed.")
