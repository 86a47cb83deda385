"""What a log's threads hold, as one digest that every later build must come to."""

from __future__ import annotations

from typing import Any

from dashflow._util.ids import digest
from dashflow.checkpoint.saver import LogSaver
from dashflow.checkpoint.thread import thread_of
from dashflow.log.codec import encode


def digest_of(log: Any, graph: Any, *, ids: bool = True) -> str:
    """The digest of all checkpoints of all threads in a log: values, versions, what was asked and answered.

    Args:
        log: The log.
        graph: The threads' graph.
        ids: Whether ids of questions and numbers of events count. Ids of graphs inside differ from run to
            run, and another build may record more events.
    """
    saver = graph.checkpointer if isinstance(graph.checkpointer, LogSaver) else LogSaver(log)
    told: list[Any] = []
    for info in sorted(log.streams(category="run"), key=lambda one: one.stream):
        thread, ns = thread_of(info.stream)
        states = saver.reader.history(thread, ns)
        if not ids:
            states = [one for one in states if one.checkpoint == one.version]
        states.append(saver.reader.at(thread, info.version, ns))
        told += [[info.stream, *_state(state, ids)] for state in states]
    return digest(encode(told))


def _state(state: Any, ids: bool) -> list[Any]:
    questions = {
        key: [[one.id if ids else "", one.value] for one in asked] for key, asked in state.questions.items()
    }
    return [
        *((state.version, state.checkpoint, state.parent) if ids else ()),
        state.step,
        state.source,
        state.status,
        dict(sorted(state.values.items())),
        dict(sorted(state.versions.items())),
        {node: dict(sorted(seen.items())) for node, seen in sorted(state.seen.items())},
        dict(sorted(state.done.items())),
        dict(sorted(questions.items())),
        dict(sorted(state.answers.items())) if ids else [*state.answers.values()],
    ]
